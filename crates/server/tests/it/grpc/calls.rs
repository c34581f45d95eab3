//! Calls of all kinds pass as if nothing were between.

use serde_json::json;

use super::{call, calls, calls_with, records, server, to, unary};
use crate::harness::{Authority, NodeScript, Setup, Weir, wait_until};

#[test]
fn all_four_kinds_pass_unbuffered_in_both_directions() {
    let server = server();
    let weir = Weir::start(&to(&server, "", ""));
    let results = calls(
        &weir,
        &[
            json!({ "kind": "unary", "method": "Unary", "messages": ["hello"],
                    "metadata": { "x-own": "1" } }),
            json!({ "kind": "client", "method": "Count", "messages": ["a", "b", "c"] }),
            // Each message waits for the one before to arrive at the other side.
            json!({ "kind": "two", "method": "Two" }),
            json!({ "kind": "chat", "method": "Chat", "messages": ["a", "b", "c"] }),
        ],
    );
    for result in &results {
        assert_eq!(result["code"], "OK", "{result}");
    }
    assert_eq!(results[0]["replies"], json!(["hello"]));
    assert_eq!(results[0]["initial"]["x-initial"], "1");
    assert_eq!(results[0]["trailing"]["x-trailing"], "2");
    assert_eq!(results[0]["trailing"]["x-odd-bin"], "00ff0a");
    assert_eq!(results[1]["replies"], json!(["3"]));
    assert_eq!(results[2]["replies"], json!(["first", "second"]));
    assert_eq!(results[3]["replies"], json!(["re: a", "re: b", "re: c"]));

    wait_until("all are recorded", || records(&weir).len() == 5);
    for record in records(&weir) {
        assert_eq!(record["rpc.system.name"], "grpc", "{record}");
        assert_eq!(record["rpc.response.status_code"], "OK", "{record}");
        assert_eq!(record["weir.reason"], json!(null), "{record}");
    }
    let words = ["http_route=\"all\"", "rpc_response_status_code=\"OK\""];
    assert_eq!(weir.metric("weir_grpc_calls_total", &words), 5.0);
}

#[test]
fn tls_on_both_sides() {
    let setup = Setup::new();
    let authority = Authority::new("test");
    for (file, name) in [("weir", "weir.test"), ("server", "server.test")] {
        authority
            .issue(file, &[name])
            .write(setup.directory.path(), file);
    }
    setup.write("ca.pem", authority.pem());
    let path = |name| setup.path(name).display().to_string();
    let (certificate, key, ca) = (path("server.crt"), path("server.key"), path("ca.pem"));
    let server = NodeScript::python(
        "grpc_server.py",
        &["--certificate", &certificate, "--key", &key],
    );
    let weir = setup.start(&format!(
        "listeners: [{{ address: $HTTPS, tls: {{ certificate: file:weir.crt, key: file:weir.key }} }}]\n\
         upstreams:\n  up:\n    targets: [\"{}\"]\n    \
         tls: {{ server_name: server.test, authorities: file:ca.pem, min_version: '1.2' }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up, host: server.test }}]\n",
        server.address
    ));
    let results = calls_with(
        &weir.https().to_string(),
        &["--authority", &ca, "--name", "weir.test"],
        &[
            unary("Unary", "hello"),
            json!({ "kind": "chat", "method": "Chat", "messages": ["a"] }),
        ],
    );
    assert_eq!(results[0]["replies"], json!(["hello"]), "{}", results[0]);
    assert_eq!(results[1]["replies"], json!(["re: a"]), "{}", results[1]);
}

#[test]
fn a_client_that_does_not_read_holds_the_server_up() {
    let server = server();
    let weir = Weir::start(&to(&server, "", ""));
    let before = weir.memory();
    let wanted = json!({ "kind": "large", "method": "Large", "messages": ["1000"] });
    let result = call(&weir, wanted);
    assert_eq!(result["code"], "OK", "{result}");
    let sent: u64 = result["replies"][0].as_str().unwrap().parse().unwrap();
    // Of 1,000 messages of 64 KiB; windows on three machines' sides hold some.
    assert!(sent < 500, "{sent} messages were sent, and one was read");
    assert_eq!(result["replies"][1], (1000 * 64 * 1024).to_string());
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn a_call_that_is_given_up_ends_at_the_server_too() {
    let server = server();
    let weir = Weir::start(&to(&server, "", ""));
    let wanted = json!({ "kind": "server", "method": "FirstThenWait", "cancel": true });
    let result = call(&weir, wanted);
    assert_eq!(result["code"], "CANCELLED", "{result}");
    assert_eq!(result["replies"], json!(["first"]));
    wait_until("the server knows", || {
        server.lines().iter().any(|line| line == "cancelled")
    });
    wait_until("it is recorded", || records(&weir).len() == 1);
    let record = &records(&weir)[0];
    assert_eq!(record["rpc.response.status_code"], "CANCELLED");
    assert_eq!(record["weir.reason"], "client_closed");
}

#[test]
fn errors_of_the_server_pass_with_all_they_say() {
    let server = server();
    let weir = Weir::start(&to(&server, "", ""));
    let late = json!({ "kind": "server", "method": "FailLate", "messages": ["15:too late"] });
    let results = calls(
        &weir,
        &[
            unary("Fail", "9:wrong, \u{e9}\n 100%"),
            late,
            unary("/test.Echo/Nothing", ""),
            unary("/test.Nobody/Unary", ""),
        ],
    );
    assert_eq!(results[0]["code"], "FAILED_PRECONDITION");
    assert_eq!(results[0]["details"], "wrong, \u{e9}\n 100%");
    assert_eq!(results[0]["trailing"]["x-trailing"], "2");
    assert_eq!(results[1]["code"], "DATA_LOSS");
    assert_eq!(results[1]["replies"], json!(["one"]));
    assert_eq!(results[2]["code"], "UNIMPLEMENTED");
    assert_eq!(results[3]["code"], "UNIMPLEMENTED");
    wait_until("all are recorded", || records(&weir).len() == 4);
    // All came on one connection, which one worker has.
    let codes: Vec<_> = records(&weir)
        .iter()
        .map(|record| record["rpc.response.status_code"].clone())
        .collect();
    let expected = [
        "FAILED_PRECONDITION",
        "DATA_LOSS",
        "UNIMPLEMENTED",
        "UNIMPLEMENTED",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn the_health_service_decides_who_takes_traffic() {
    let server = server();
    let active = "grpc: true, interval: 50ms, unhealthy_after: 1, healthy_after: 1";
    let weir = Weir::start(&format!(
        "upstreams:\n  whole: {{ targets: [\"{0}\"], http2: true, health: {{ active: {{ {active} }} }} }}\n  \
         one: {{ targets: [\"{0}\"], http2: true, health: {{ active: {{ {active}, service: test.Echo }} }} }}\n  \
         none: {{ targets: [\"{0}\"], http2: true, health: {{ active: {{ {active}, service: test.None }} }} }}\n  \
         http1: {{ targets: [\"{1}\"], health: {{ active: {{ {active} }} }} }}\n\
         routes:\n  - {{ name: whole, match: {{ path: /* }}, upstream: whole }}\n  \
         - {{ name: one, match: {{ path: /one }}, upstream: one }}\n  \
         - {{ name: none, match: {{ path: /none }}, upstream: none }}\n  \
         - {{ name: http1, match: {{ path: /http1 }}, upstream: http1 }}\n",
        server.address,
        crate::harness::Upstream::echo().address,
    ));
    let health = |upstream: &str| {
        let all = weir.ask("GET", "/v1/upstreams").json();
        let upstreams = all["upstreams"].as_array().unwrap().clone();
        let found = upstreams.iter().find(|known| known["name"] == upstream);
        found.unwrap()["targets"][0]["health"].clone()
    };
    let is = |upstream: &str, state: &str| {
        wait_until(&format!("{upstream} is {state}"), || {
            health(upstream)["state"] == state
        });
    };
    is("none", "unhealthy");
    assert!(
        health("none").to_string().contains("gRPC status NOT_FOUND"),
        "{}",
        health("none")
    );
    is("http1", "unhealthy");
    is("whole", "healthy");
    is("one", "healthy");
    let set = |state: &str| call(&weir, unary("SetHealth", state));
    assert_eq!(set("test.Echo=NOT_SERVING")["code"], "OK");
    is("one", "unhealthy");
    assert!(
        health("one").to_string().contains("NOT_SERVING"),
        "{}",
        health("one")
    );
    assert_eq!(
        health("whole")["state"],
        "healthy",
        "that is another question"
    );
    assert_eq!(set("test.Echo=SERVING")["code"], "OK");
    is("one", "healthy");
}
