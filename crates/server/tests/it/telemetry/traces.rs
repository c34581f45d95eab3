//! Traces end to end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::access_lines;
use crate::harness::{
    Authority, Message, Receiver, Setup, Upstream, Weir, Wire, answer, forward, free_port,
    wait_until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn send(weir: &Weir, path: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: weir.test\r\n{fields}Connection: close\r\n\r\n"
    ));
    wire.response("GET")
}

/// What the target was told: trace id, parent and flags.
fn told(echo: &str) -> (String, String, String) {
    let line = echo
        .lines()
        .find_map(|line| line.strip_prefix("traceparent: "))
        .unwrap_or_else(|| panic!("no traceparent in {echo}"));
    let parts: Vec<&str> = line.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{line}");
    (parts[1].into(), parts[2].into(), parts[3].into())
}

fn settings(receiver: &Receiver, more: &str, tracing: &str) -> String {
    format!(
        "tracing: {{ {tracing} }}\notlp: {{ endpoint: 'http://{}'{more} }}\n",
        receiver.address
    )
}

fn find(spans: &[Value], kind: u64) -> &Value {
    spans
        .iter()
        .find(|span| span["kind"] == kind)
        .unwrap_or_else(|| panic!("no span of kind {kind} in {spans:#?}"))
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const INTERNAL: u64 = 1;

#[test]
fn a_request_is_one_trace_from_the_caller_to_the_target() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::echo();
    let config = settings(
        &receiver,
        ", resource: { service.name: edge }",
        "parent: all, sample: 0%",
    );
    let weir = Weir::start(&(forward(upstream.address) + &config));
    let stated = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1, b@c=2\r\n");
    let answer = send(&weir, "/items?q=1", &stated);
    let echo = answer.text();
    let (trace, parent, flags) = told(&echo);
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "01"));
    assert!(echo.contains("tracestate: a=1, b@c=2\n"), "{echo}");
    assert_ne!(parent, PARENT);

    let spans = receiver.wait_for("span", 3, |span| span["trace_id"] == TRACE);
    let (server, client) = (find(&spans, SERVER), find(&spans, CLIENT));
    assert_eq!(server["parent"], PARENT);
    assert_eq!(server["state"], "a=1, b@c=2");
    assert_eq!(server["name"], "GET all");
    assert_eq!(server["resource"]["service.name"], "edge");
    assert_eq!(server["scope"], "weir");
    assert_eq!(client["parent"], server["span_id"]);
    assert_eq!(client["span_id"], parent);
    assert_eq!(client["events"][0], "weir.response.head");
    // The first request has no kept connection to go over.
    assert_eq!(find(&spans, INTERNAL)["parent"], client["span_id"]);
    assert_eq!(find(&spans, INTERNAL)["name"], "connect");
    let attributes = &server["attributes"];
    for (name, value) in [
        ("http.request.method", Value::from("GET")),
        ("http.response.status_code", Value::from(200)),
        ("http.route", Value::from("all")),
        ("network.peer.address", Value::from("127.0.0.1")),
        ("server.address", Value::from("weir.test")),
        ("url.path", Value::from("/items")),
        ("url.scheme", Value::from("http")),
        ("weir.upstream", Value::from("up")),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    // Queries stand nowhere unless they are asked for.
    assert!(attributes.get("url.query").is_none());
    assert_eq!(client["attributes"]["server.port"], upstream.address.port());
    for span in &spans {
        let (start, end) = (
            span["start"].as_u64().unwrap(),
            span["end"].as_u64().unwrap(),
        );
        assert!(
            server["start"].as_u64().unwrap() <= start && start <= end,
            "{span}"
        );
        assert!(end <= server["end"].as_u64().unwrap(), "{span}");
    }

    wait_until("the request is logged", || !access_lines(&weir).is_empty());
    let line = &access_lines(&weir)[0];
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"], server["span_id"]);
    assert_eq!(line["trace_flags"], "01");
    assert_eq!(line["weir.request_id"], attributes["weir.request_id"]);
    assert!(echo.contains(&format!(
        "x-request-id: {}\n",
        line["weir.request_id"].as_str().unwrap()
    )));
}

#[test]
fn strangers_begin_a_new_trace_with_the_id_of_their_request() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&(forward(upstream.address) + "tracing: { sample: 0% }\n"));
    let valid = format!("00-{TRACE}-{PARENT}-01");
    for stated in [
        format!("traceparent: {valid}\r\ntracestate: a=1\r\n"),
        format!("traceparent: {valid}\r\ntraceparent: {valid}\r\n"),
        "traceparent: garbage\r\ntracestate: a=1\r\n".to_owned(),
        "tracestate: a=1\r\n".to_owned(),
        String::new(),
    ] {
        let echo = send(&weir, "/", &stated).text();
        let (trace, _, flags) = told(&echo);
        assert_ne!(trace, TRACE);
        assert_eq!(flags, "00");
        assert!(echo.contains(&format!("x-request-id: {trace}\n")), "{echo}");
        assert!(!echo.contains("tracestate"), "{echo}");
        assert_eq!(echo.matches("traceparent").count(), 1, "{echo}");
    }
}

#[test]
fn invalid_context_of_those_who_are_trusted_counts_for_nothing() {
    let upstream = Upstream::echo();
    let config = "tracing: { sample: 100%, parent: all }\nlimits: { head_bytes: 4MiB }\n";
    let weir = Weir::start(&(forward(upstream.address) + config));
    let megabyte = "a".repeat(1 << 20);
    for (parent, state) in [
        (
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            "a=1".to_owned(),
        ),
        (
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            "a=1".to_owned(),
        ),
        (format!("ff-{TRACE}-{PARENT}-01"), "a=1".to_owned()),
        (megabyte.clone(), megabyte.clone()),
        (
            format!("00-{TRACE}-{PARENT}-01-{megabyte}"),
            "a=1".to_owned(),
        ),
    ] {
        let echo = send(
            &weir,
            "/",
            &format!("traceparent: {parent}\r\ntracestate: {state}\r\n"),
        )
        .text();
        let (trace, _, flags) = told(&echo);
        assert_ne!(trace, TRACE);
        // Nobody has decided: the share counts.
        assert_eq!(flags, "01");
        assert!(!echo.contains("tracestate"));
    }
    // A state that cannot be read goes alone.
    let stated = format!("traceparent: 00-{TRACE}-{PARENT}-00\r\ntracestate: a=1,a={megabyte}\r\n");
    let echo = send(&weir, "/", &stated).text();
    assert_eq!(told(&echo).0, TRACE);
    assert!(!echo.contains("tracestate"));
}

#[test]
fn heads_of_a_megabyte_are_refused_before_anything_is_read_from_them() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&(forward(upstream.address) + "tracing: { parent: all }\n"));
    let megabyte = "a=1,".repeat(1 << 18);
    let mut wire = Wire::connect(weir.http());
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\ntracestate: {megabyte}\r\n\r\n");
    // The gateway may close before all of it was taken.
    let _ = wire.try_send(head);
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(
        weir.metric("weir_answers_total", &["head_too_large"]) as u64,
        1
    );
}

#[test]
fn without_tracing_the_context_is_left_alone() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let echo = send(&weir, "/", "traceparent: whatever\r\ntracestate: b\r\n").text();
    assert!(echo.contains("traceparent: whatever\n") && echo.contains("tracestate: b\n"));
    wait_until("the request is logged", || !access_lines(&weir).is_empty());
    assert!(access_lines(&weir)[0].get("trace_id").is_none());
}

#[test]
fn exports_over_http_are_compressed_unless_that_is_off() {
    let upstream = Upstream::echo();
    for (compression, coding) in [("", Some("gzip")), (", compression: none", None)] {
        let receiver = Receiver::start("http");
        let more = format!(", protocol: http{compression}");
        let config = forward(upstream.address)
            + &settings(&receiver, &more, "sample: 100%")
            + "log: { output: otlp }\n";
        let weir = Weir::start(&config);
        for at in 0..50 {
            assert_eq!(weir.get(&format!("/items/{at}")).status(), 200);
        }
        let of_request = |item: &Value| item["attributes"]["url.path"].is_string();
        for signal in ["span", "log"] {
            let found = receiver.wait_for(signal, 50, |item| {
                of_request(item) && (signal == "log" || item["kind"] == SERVER)
            });
            for item in found {
                let headers = &item["headers"];
                assert_eq!(headers["content-encoding"].as_str(), coding, "{headers}");
                assert_eq!(headers["content-type"], "application/x-protobuf");
            }
        }
        for signal in ["traces", "logs"] {
            let lost = weir.metric("weir_otlp_dropped_total", &[signal]);
            assert_eq!(lost, 0.0);
        }
    }
}

#[test]
fn errors_and_slow_requests_are_traced_whatever_the_share() {
    let receiver = Receiver::start("http");
    let (wait, waited) = std::sync::mpsc::channel::<()>();
    let waited = Mutex::new(waited);
    let upstream = Upstream::answering(move |request| match request.target() {
        "/error" => answer(500, &[], "no"),
        "/slow" => {
            // Until the test lets go.
            let _ = waited.lock().unwrap().recv();
            answer(200, &[], "late")
        }
        _ => answer(200, &[], "yes"),
    });
    let dead = free_port();
    let config = format!(
        "upstreams:\n  up: {{ targets: ['{}'] }}\n  dead: {{ targets: ['127.0.0.1:{dead}'] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n  \
         - {{ name: dead, match: {{ path: /dead }}, upstream: dead }}\n\
         {}",
        upstream.address,
        settings(
            &receiver,
            ", protocol: http, compression: none",
            "sample: 0%, slow: 50ms"
        ),
    );
    let weir = Weir::start(&config);
    for path in ["/", "/error", "/missing", "/dead"] {
        weir.get(path);
    }
    let slow = std::thread::spawn({
        let mut wire = Wire::connect(weir.http());
        move || {
            wire.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
            wire.response("GET").status()
        }
    });
    wait_until("the slow request is under way", || {
        weir.metric("weir_upstream_in_flight", &["upstream=\"up\""]) > 0.0
    });
    let started = std::time::Instant::now();
    wait_until("it is slow", || started.elapsed().as_millis() > 60);
    wait.send(()).unwrap();
    assert_eq!(slow.join().unwrap(), 200);

    let spans = receiver.wait_for("span", 3, |span| span["kind"] == SERVER);
    let mut paths: Vec<&str> = spans
        .iter()
        .map(|span| span["attributes"]["url.path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/dead", "/error", "/slow"]);
    let by_path = |path: &str| {
        spans
            .iter()
            .find(|span| span["attributes"]["url.path"] == path)
            .unwrap()
    };
    let error = by_path("/error");
    assert_eq!(
        (&error["status"], &error["attributes"]["error.type"]),
        (&2.into(), &"500".into())
    );
    assert_eq!(by_path("/slow")["status"], 0);
    let dead = by_path("/dead");
    assert_eq!(dead["attributes"]["error.type"], "upstream_connect_failed");
    assert_eq!(dead["attributes"]["weir.cause"], "connection refused");
    // Each attempt has a span of its own.
    let attempts = receiver.wait_for("span", 2, |span| {
        span["kind"] == CLIENT && span["parent"] == dead["span_id"]
    });
    assert_eq!(
        attempts[0]["attributes"]["error.type"],
        "upstream_connect_failed"
    );
    assert!(
        attempts[0]["attributes"]
            .get("http.request.resend_count")
            .is_none()
    );
    assert_eq!(attempts[1]["attributes"]["http.request.resend_count"], 1);
    let headers = &spans[0]["headers"];
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(weir.metric("weir_otlp_dropped_total", &[]) as u64, 0);
}

#[test]
fn each_attempt_tells_its_target_a_span_of_its_own() {
    let receiver = Receiver::start("grpc");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (told_so, count) = (Arc::clone(&seen), AtomicUsize::new(0));
    let upstream = Upstream::answering(move |request| {
        told_so
            .lock()
            .unwrap()
            .push(request.get("traceparent").unwrap().to_owned());
        let status = if count.fetch_add(1, Ordering::AcqRel) == 0 {
            503
        } else {
            200
        };
        answer(status, &[], "")
    });
    let config = format!(
        "upstreams:\n  up: {{ targets: ['{}'], retry: {{ attempts: 1, when: [503], backoff: 0s }} }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up, tracing: {{ sample: 100% }} }}\n{}",
        upstream.address,
        settings(&receiver, "", "sample: 0%"),
    );
    let weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 200);
    let attempts = receiver.wait_for("span", 2, |span| span["kind"] == CLIENT);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for (attempt, told) in attempts.iter().zip(&*seen) {
        let ids = [
            attempt["trace_id"].as_str().unwrap(),
            attempt["span_id"].as_str().unwrap(),
        ];
        assert_eq!(*told, format!("00-{}-{}-01", ids[0], ids[1]));
    }
    let statuses: Vec<&Value> = attempts
        .iter()
        .map(|attempt| &attempt["attributes"]["http.response.status_code"])
        .collect();
    assert_eq!(statuses, [503, 200]);
    assert_ne!(attempts[0]["span_id"], attempts[1]["span_id"]);
}

#[test]
fn two_gateways_are_one_trace_over_http_2() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::echo();
    let inner = settings(
        &receiver,
        ", resource: { service.name: inner }",
        "sample: 0%",
    );
    let inner =
        Weir::start(&(forward(upstream.address) + "trusted_proxies: [127.0.0.1]\n" + &inner));
    let outer = format!(
        "upstreams:\n  up: {{ targets: ['{}'], http2: true }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n{}",
        inner.http(),
        settings(
            &receiver,
            ", resource: { service.name: outer }",
            "sample: 100%"
        ),
    );
    let outer = Weir::start(&outer);
    let (trace, _, flags) = told(&outer.get("/").text());
    assert_eq!(flags, "01");
    let spans = receiver.wait_for("span", 4, |span| {
        span["trace_id"] == *trace && (span["kind"] == SERVER || span["kind"] == CLIENT)
    });
    let of = |service: &str, kind: u64| {
        let is_meant =
            |span: &&Value| span["resource"]["service.name"] == service && span["kind"] == kind;
        spans.iter().find(is_meant).unwrap()
    };
    assert_eq!(
        of("inner", SERVER)["parent"],
        of("outer", CLIENT)["span_id"]
    );
    assert_eq!(of("outer", SERVER)["parent"], "");
    // The request id goes along as well.
    let id = |service| &of(service, SERVER)["attributes"]["weir.request_id"];
    assert_eq!(id("inner"), id("outer"));
    assert_eq!(*id("inner"), *trace);
}

#[test]
fn header_rules_can_keep_the_trace_from_a_target() {
    let upstream = Upstream::echo();
    let config = format!(
        "upstreams:\n  up: {{ targets: ['{}'] }}\nroutes:\n  - name: all\n    match: {{ path: /* }}\n    \
         upstream: up\n    headers: {{ request: {{ remove: [traceparent, tracestate] }} }}\ntracing: true\n",
        upstream.address
    );
    let weir = Weir::start(&config);
    assert!(!weir.get("/").text().contains("traceparent"));
    wait_until("the request is logged", || !access_lines(&weir).is_empty());
    assert!(access_lines(&weir)[0]["trace_id"].is_string());
}

#[test]
fn a_receiver_behind_tls_gets_the_headers_that_it_asks_for() {
    let setup = Setup::new().environment("TOKEN", "Bearer canary-7f3a");
    let authority = Authority::new("telemetry");
    setup.write("ca.pem", authority.pem());
    authority
        .issue("receiver", &["localhost"])
        .write(setup.directory.path(), "receiver");
    let port = free_port();
    let material = [setup.path("receiver.crt"), setup.path("receiver.key")];
    let receiver = Receiver::at("grpcs", port, &[&material[0], &material[1]]);
    let upstream = Upstream::echo();
    let weir = setup.start(&format!(
        "{}tracing: {{ sample: 100% }}\notlp:\n  endpoint: https://localhost:{port}\n  \
         headers: {{ authorization: env:TOKEN }}\n  authorities: file:ca.pem\n",
        forward(upstream.address)
    ));
    assert_eq!(weir.get("/").status(), 200);
    let spans = receiver.wait_for("span", 1, |span| span["kind"] == SERVER);
    assert_eq!(spans[0]["headers"]["authorization"], "Bearer canary-7f3a");
    assert!(!(weir.log() + &weir.stderr()).contains("canary"));
    // Another authority would not do.
    let stranger = Authority::new("stranger");
    weir.setup().write("other.pem", stranger.pem());
    weir.reload(&format!(
        "{}tracing: {{ sample: 100% }}\notlp:\n  endpoint: https://localhost:{port}\n  \
         authorities: file:other.pem\n",
        forward(upstream.address)
    ));
    weir.get("/");
    wait_until("the export fails", || {
        weir.metric("weir_otlp_exports_failed_total", &["traces"]) > 0.0
    });
    wait_until("it is said", || {
        weir.log().contains("telemetry cannot be exported")
    });
}
