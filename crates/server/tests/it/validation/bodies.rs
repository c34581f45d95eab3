//! Request bodies by a schema.

use super::{await_counter, config, echo, metrics, post, refusal, sent};
use bytes::Bytes;

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
        ["-H", "content-encoding: gzip"],
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
