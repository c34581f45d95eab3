//! Request bodies by a schema.

use std::io::Write;

use bytes::Bytes;

use super::{await_counter, config, echo, metrics, post, refusal, sent};
use crate::harness::{
    H2Client, Setup, Upstream, Weir, answer, block_on, curl, curl_fed, wait_until,
};

const SCHEMA: &str = "{ schema: { type: object, required: [sku], properties: { \
    sku: { type: string }, lines: { type: array, items: { type: integer } } } } }";

#[test]
fn bodies_that_match_reach_the_upstream_as_they_came() {
    let server = echo();
    let weir = Weir::start(&config(&server, SCHEMA));
    let body = "{ \"sku\" : \"AB\\u002d1\",\n \"lines\": [1, 2.0] }";
    for more in [
        &[][..],
        &["-H", "transfer-encoding: chunked"],
        &[
            "-H",
            "content-type: application/vnd.order+json; charset=utf-8",
        ],
        &["-X", "PATCH"],
        &["--http2-prior-knowledge"],
        &["-H", "expect: 100-continue"],
        &["--http2-prior-knowledge", "-H", "expect: 100-continue"],
    ] {
        let answer = post(&weir, "/a", body, more);
        assert_eq!(
            (answer.status(), answer.text()),
            (201, body.to_owned()),
            "{more:?}"
        );
    }
    // Nothing to look at.
    assert_eq!(curl(&[&weir.url("/")]).answer().status(), 201);
    await_counter(
        &weir,
        "weir_validated_messages_total",
        "message=\"request\",outcome=\"valid\"",
        8,
    );
}

#[test]
fn bodies_that_do_not_are_refused_and_never_sent_on() {
    let server = Upstream::answering(|_| panic!("nothing must come here"));
    let weir = Weir::start(&config(&server, SCHEMA));
    let invalid = |body: &str| {
        let (status, reason, errors) = refusal(&post(&weir, "/", body, &[]));
        assert_eq!((status, reason.as_str()), (400, "invalid_request"));
        errors
            .into_iter()
            .map(|(place, pointer, _)| format!("{place} {pointer}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        invalid(r#"{"lines": [1, "x", null]}"#),
        ["body ", "body /lines/1", "body /lines/2"]
    );
    for text in [
        "{",
        "[]",
        r#"{"sku": "a", "sku": "b"}"#,
        r#"{"sku": NaN}"#,
        "null",
    ] {
        assert_eq!(invalid(text), ["body "], "{text}");
    }
    let missing = curl(&["-X", "POST", &weir.url("/")]).answer();
    assert_eq!(refusal(&missing).0, 400);

    let wrong = |more: &[&str]| refusal(&post(&weir, "/", r#"{"sku": "a"}"#, more));
    for more in [
        ["-H", "content-type: text/plain"],
        ["-H", "content-type:"],
        ["-H", "content-encoding: compress"],
    ] {
        let (status, reason, errors) = wrong(&more);
        assert_eq!(
            (status, reason.as_str()),
            (415, "unsupported_media_type"),
            "{more:?}"
        );
        assert_eq!(errors[0].0, "content_type");
    }
    wait_until("they are counted", || {
        weir.metric("weir_answers_total", &["\"unsupported_media_type\""]) == 3.0
    });
    await_counter(
        &weir,
        "weir_validated_messages_total",
        "message=\"request\",outcome=\"refused\"",
        10,
    );
    await_counter(
        &weir,
        "weir_contract_faults_total",
        "message=\"request\",part=\"body\"",
        7,
    );
    let log = weir.log();
    assert!(
        log.contains(r#""weir.reason":"invalid_request","weir.cause":"body""#),
        "{log}"
    );
}

#[test]
fn bodies_beyond_the_limit_are_refused_however_they_come() {
    let server = Upstream::answering(|_| panic!("nothing must come here"));
    let weir = Weir::start(&config(
        &server,
        "{ schema: { type: object }, body_bytes: 1KiB }",
    ));
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(2000));
    for more in [&[][..], &["-H", "transfer-encoding: chunked"]] {
        let (status, reason, _) = refusal(&post(&weir, "/", &long, more));
        assert_eq!(
            (status, reason.as_str()),
            (413, "body_too_large_to_check"),
            "{more:?}"
        );
    }
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let request = http::Request::post(weir.url("/")).header("content-type", "application/json");
        let request = request.body(()).unwrap();
        let answer = client.send(request, Bytes::from(long), None).await.unwrap();
        assert_eq!(answer.status, 413);
    });
}

/// A body that `gzip` wrote.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = body.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&body));
    let written = child.wait_with_output().unwrap().stdout;
    writing.join().unwrap().unwrap();
    written
}

#[test]
fn compressed_bodies_are_judged_by_what_they_mean_and_pass_as_they_came() {
    let server = echo();
    let rules = SCHEMA.replace("{ schema", "{ body_bytes: 64KiB, schema");
    let weir = Weir::start(&config(&server, &rules));
    let json = "content-type: application/json";
    let send = |body: &[u8], coding: &str| {
        let coding = format!("content-encoding: {coding}");
        let url = weir.url("/");
        curl_fed(
            &["--data-binary", "@-", "-H", json, "-H", &coding, &url],
            body,
        )
        .answer()
    };
    let valid = gzip(br#"{"sku": "a"}"#);
    let twice = gzip(&valid);
    for (body, coding) in [(&valid, "gzip"), (&twice, "gzip, gzip")] {
        let answer = send(body, coding);
        assert_eq!((answer.status(), &answer.body), (201, body), "{coding}");
    }
    let large = format!("{{\"sku\": \"{}\"}}", "a".repeat(60_000));
    let passed = send(&gzip(large.as_bytes()), "gzip");
    assert_eq!(
        (passed.status(), passed.body),
        (201, gzip(large.as_bytes()))
    );
    // Long without a coding, too.
    assert_eq!(post(&weir, "/", &large, &[]).status(), 201);
    let wrong = large.replace("sku", "key");
    for (body, coding) in [
        (wrong.as_bytes().to_vec(), "identity"),
        (gzip(b"{}"), "gzip"),
    ] {
        let (status, reason, errors) = refusal(&send(&body, coding));
        assert_eq!((status, &*reason), (400, "invalid_request"));
        assert_eq!(errors[0].0, "body");
    }
    let cut = &valid[..valid.len() - 9];
    let (status, _, errors) = refusal(&send(cut, "gzip"));
    assert_eq!(
        (status, &*errors[0].2),
        (400, "its content coding is broken")
    );
    let bomb = gzip(&vec![b' '; 100 << 20]);
    for (body, coding) in [
        (gzip(&bomb), "gzip, gzip"),
        (gzip(&vec![b' '; 70_000]), "gzip"),
    ] {
        assert!(body.len() < 60_000);
        send(&body, coding).assert_problem(413, "body_too_large_to_check");
    }
    send(&valid, "gzip, gzip, gzip, gzip").assert_problem(415, "unsupported_media_type");
}

#[test]
fn what_is_compressed_or_long_is_reported_about() {
    let server = echo();
    let rules = SCHEMA.replace("{ schema", "{ request: report, schema");
    let weir = Weir::start(&config(&server, &rules));
    let url = weir.url("/");
    let json = "content-type: application/json";
    let (good, bad) = (gzip(br#"{"sku": "a"}"#), gzip(b"{}"));
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(20_000)).into_bytes();
    for (body, coding) in [
        (&good, "gzip"),
        (&bad, "gzip"),
        (&bad, "br"),
        (&long, "identity"),
    ] {
        let coding = format!("content-encoding: {coding}");
        let arguments = ["--data-binary", "@-", "-H", json, "-H", &coding, &url];
        let answer = curl_fed(&arguments, body).answer();
        assert_eq!((answer.status(), &answer.body), (201, body));
    }
    for (outcome, count) in [("valid", 1), ("reported", 2), ("unchecked", 1)] {
        let labels = format!("message=\"request\",outcome=\"{outcome}\"");
        await_counter(&weir, "weir_validated_messages_total", &labels, count);
    }
    wait_until("a line tells it", || {
        weir.log().contains("a request breaks its contract")
    });
}

#[test]
fn what_is_reported_passes() {
    let server = echo();
    let rules = SCHEMA.replace("{ schema", "{ request: report, body_bytes: 1KiB, schema");
    let weir = Weir::start(&config(&server, &rules));
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(2000));
    let stream = ["-H", "transfer-encoding: chunked"];
    for (body, more) in [
        ("{}", &[][..]),
        ("{", &stream),
        ("{}", &["-H", "content-type: text/plain"]),
        (&long, &[]),
        (&long, &stream),
        ("{}", &["-H", "content-encoding: gzip"]),
        (r#"{"sku": "a"}"#, &stream),
    ] {
        let answer = post(&weir, "/", body, more);
        assert_eq!((answer.status(), answer.text()), (201, body.to_owned()));
    }
    for (outcome, count) in [
        ("valid", 1),
        ("reported", 3),
        ("unchecked", 3),
        ("refused", 0),
    ] {
        let labels = format!("message=\"request\",outcome=\"{outcome}\"");
        await_counter(&weir, "weir_validated_messages_total", &labels, count);
    }
    let is_logged = || {
        let log = weir.log();
        let count = |part: &str| log.matches(&format!("\"weir.fault\":\"{part}\"")).count();
        (count("body"), count("content_type")) == (2, 1)
    };
    wait_until("the faults are logged", is_logged);
}

#[test]
fn a_change_of_the_schema_is_a_change_of_the_configuration() {
    let server = echo();
    let setup = Setup::new();
    setup.write("order.yaml", "properties: {a: {$ref: 'parts.json#/a'}}\n");
    setup.write("parts.json", r#"{"a": {"type": "string"}}"#);
    let weir = setup.start(&config(&server, "{ schema: 'file:order.yaml' }"));
    let status = |weir: &Weir, body| sent(weir, "/", body, &[]).answer().status();
    assert_eq!(
        (status(&weir, r#"{"a": ""}"#), status(&weir, r#"{"a": 1}"#)),
        (201, 400)
    );
    weir.setup()
        .write("parts.json", r#"{"a": {"type": "integer"}}"#);
    wait_until("the new schema holds", || {
        status(&weir, r#"{"a": 1}"#) == 201
    });
    assert_eq!(status(&weir, r#"{"a": ""}"#), 400);
    // A schema that cannot be used leaves the former one.
    weir.setup()
        .write("parts.json", r#"{"a": {"pattern": "(?=x)"}}"#);
    wait_until("the mistake is told", || weir.log().contains("WR0320"));
    assert_eq!(
        (status(&weir, r#"{"a": 1}"#), status(&weir, r#"{"a": ""}"#)),
        (201, 400)
    );
}

#[test]
fn a_target_that_answers_early_and_a_client_that_leaves_do_no_harm() {
    let server = Upstream::answering(|_| answer(200, &[("connection", "close")], b"early"));
    let weir = Weir::start(&config(&server, "{ schema: {}, request: report }"));
    let body = format!("[{}1]", "1,".repeat(200_000));
    let answer = curl_fed(
        &[
            "-H",
            "content-type: application/json",
            "-T",
            "-",
            "-X",
            "POST",
            &weir.url("/"),
        ],
        body.as_bytes(),
    );
    assert_eq!(answer.answer().status(), 200);
    let cut = curl(&[
        "-H",
        "content-type: application/json",
        "-H",
        "content-length: 100",
        "-d",
        "{",
        "--max-time",
        "1",
        &weir.url("/"),
    ]);
    assert_ne!(cut.exit, 0);
    let is_counted = || {
        let metrics = metrics(&weir);
        ["valid", "unchecked"].iter().map(|outcome| {
            let line = format!(
                "weir_validated_messages_total{{http_route=\"orders\",message=\"request\",outcome=\"{outcome}\"}} "
            );
            let rest = metrics.split_once(&line).map_or("0", |(_, rest)| rest);
            rest.lines().next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
        }).sum::<u64>() == 2
    };
    wait_until("both are counted", is_counted);
}
