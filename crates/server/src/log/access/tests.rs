use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytestring::ByteString;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use weir_core::{GrpcStatus, RequestId};
use weir_gateway::websocket::{By, WebSocketRecord};
use weir_gateway::{Altered, TraceIds, Version};

use super::*;

pub(crate) fn record() -> AccessRecord {
    AccessRecord {
        time: UNIX_EPOCH + Duration::new(1_767_323_045, 123_456_000),
        request_id: RequestId::generate(),
        client: [192, 0, 2, 7].into(),
        version: Version::Http11,
        scheme: "https",
        host: ByteString::from_static("example.com:8443"),
        method: Some(Method::GET),
        path: ByteString::from_static("/items"),
        query: None,
        headers: Vec::new(),
        user_agent: Some(HeaderValue::from_static("curl/8.5")),
        status: 200,
        received: 0,
        sent: 1_234,
        route: Some(Arc::from("items")),
        upstream: Some(Arc::from("catalog")),
        target: Some(ByteString::from_static("127.0.0.1:9001")),
        attempts: 1,
        duration: Duration::from_micros(1_204),
        upstream_connect: Some(Duration::from_micros(150)),
        upstream_head: Some(Duration::from_nanos(980_999)),
        reason: None,
        policy: None,
        rule: None,
        user: None,
        altered: Altered::default(),
        is_logged: true,
        is_noted: false,
        cause: None,
        trace: None,
        grpc_status: None,
        fault: None,
        websocket: None,
    }
}

fn line(record: &AccessRecord, form: Form) -> String {
    let mut line = Vec::new();
    write(&mut line, record, &Redactor::default(), form);
    String::from_utf8(line).expect("UTF-8")
}

fn parsed(record: &AccessRecord) -> Value {
    let line = line(record, Form::Json);
    assert_eq!(line.matches('\n').count(), 1);
    serde_json::from_str(&line).expect("a JSON object")
}

#[test]
fn a_request_has_all_its_attributes() {
    let record = record();
    let expected = json!({
        "timestamp": "2026-01-02T03:04:05.123456Z",
        "severity_text": "INFO",
        "event.name": "http.server.request",
        "http.request.method": "GET",
        "url.scheme": "https",
        "server.address": "example.com",
        "server.port": 8443,
        "url.path": "/items",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.7",
        "user_agent.original": "curl/8.5",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 1234,
        "http.route": "items",
        "weir.request_id": record.request_id.to_string(),
        "weir.upstream": "catalog",
        "weir.target": "127.0.0.1:9001",
        "weir.attempts": 1,
        "duration_ms": 1.204,
        "upstream_connect_ms": 0.150,
        "upstream_duration_ms": 0.980,
    });
    assert_eq!(parsed(&record), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let record = AccessRecord {
        host: ByteString::new(),
        method: None,
        user_agent: None,
        status: 400,
        route: None,
        upstream: None,
        target: None,
        attempts: 0,
        upstream_connect: None,
        upstream_head: None,
        reason: Some("malformed_request"),
        cause: Some("a \"bare\" line feed"),
        ..record()
    };
    let parsed = parsed(&record);
    let absent = [
        "http.request.method",
        "server.address",
        "server.port",
        "user_agent.original",
        "http.route",
        "weir.upstream",
        "weir.target",
        "weir.attempts",
        "upstream_connect_ms",
        "upstream_duration_ms",
    ];
    for key in absent {
        assert!(parsed.get(key).is_none(), "{key}");
    }
    assert_eq!(parsed["weir.reason"], "malformed_request");
    assert_eq!(parsed["weir.cause"], "a \"bare\" line feed");
}

#[test]
fn hostile_text_neither_breaks_a_line_nor_forges_another() {
    let hostile =
        "/\"},\n{\"severity_text\":\"FATAL\"\r\n\u{0}\u{7f}\u{85}\u{2028}\u{202e}\\\u{1b}[2J";
    let record = AccessRecord {
        host: ByteString::from(hostile),
        path: ByteString::from(hostile),
        user_agent: Some(HeaderValue::from_bytes(b"\t\"\\\xff\xc3(\xe2\x80\xa8").expect("a value")),
        ..record()
    };
    let parsed = parsed(&record);
    assert_eq!(parsed["url.path"], hostile);
    assert_eq!(parsed["server.address"], hostile);
    assert_eq!(parsed["severity_text"], "INFO");
    assert_eq!(
        parsed["user_agent.original"],
        "\t\"\\\u{fffd}\u{fffd}(\u{2028}"
    );
    for form in [Form::Json, Form::Text] {
        let line = line(&record, form);
        let controls = line
            .chars()
            .filter(|character| character.is_control())
            .count();
        assert_eq!(controls, 1, "only the line's end: {line:?}");
    }
}

#[test]
fn keys_are_not_repeated() {
    let record = AccessRecord {
        reason: Some("no_route"),
        cause: Some("because"),
        ..record()
    };
    let line = line(&record, Form::Json);
    for key in parsed(&record).as_object().expect("an object").keys() {
        assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key}");
    }
}

#[test]
fn hosts_are_split_from_ports_that_are_ports() {
    let cases = [
        ("example.com", ("example.com", None)),
        ("example.com:80", ("example.com", Some(80))),
        ("example.com:", ("example.com:", None)),
        ("example.com:+80", ("example.com:+80", None)),
        ("example.com:99999", ("example.com:99999", None)),
        ("[2001:db8::1]:443", ("2001:db8::1", Some(443))),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("a:b:1", ("a:b:1", None)),
        ("", ("", None)),
    ];
    for (authority, expected) in cases {
        assert_eq!(split_host(authority), expected, "{authority}");
    }
}

#[test]
fn text_is_one_line_for_people() {
    assert_eq!(
        line(&record(), Form::Text),
        "03:04:05.123 200 GET  example.com:8443/items 1.2ms items→catalog 127.0.0.1:9001\n"
    );
    let failed = AccessRecord {
        status: 502,
        attempts: 2,
        duration: Duration::from_millis(2_500),
        reason: Some("upstream_malformed"),
        cause: Some("the header is too long"),
        grpc_status: Some(GrpcStatus::Internal),
        ..record()
    };
    assert_eq!(
        line(&failed, Form::Text),
        "03:04:05.123 502 GET  example.com:8443/items 2.50s items→catalog 127.0.0.1:9001 \
         attempts=2 grpc=INTERNAL upstream_malformed (the header is too long)\n"
    );
    assert!(line(&failed, Form::Colored).contains("\x1b[31m502\x1b[0m"));
    assert!(!line(&failed, Form::Text).contains('\x1b'));
}

/// Names in the first column of the document's table of requests.
#[test]
fn the_document_lists_every_field() {
    const DOCUMENT: &str = include_str!("../../../../../docs/logs.md");
    let (_, section) = DOCUMENT.split_once("## Requests").expect("the section");
    let (section, _) = section
        .split_once("### Connections without a request")
        .expect("its end");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let documented: BTreeSet<String> = cells
        .flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`')))
        .map(|name| name.replace("NAME", "x-tenant"))
        .collect();
    let record = AccessRecord {
        rule: Some(Arc::from("office-hours")),
        user: Some(Arc::from("ada")),
        query: Some(ByteString::from_static("a=1")),
        headers: vec![(
            HeaderName::from_static("x-tenant"),
            HeaderValue::from_static("7"),
        )],
        trace: Some(TraceIds {
            trace_id: 1,
            span_id: 2,
            is_sampled: true,
        }),
        altered: Altered::default()
            .with(Alteration::Cors)
            .with(Alteration::Compress),
        reason: Some("no_route"),
        cause: Some("because"),
        grpc_status: Some(GrpcStatus::Unavailable),
        fault: Some("body"),
        websocket: Some(Box::new(WebSocketRecord {
            close_code: 1000,
            closed_by: By::Client,
            received: 1,
            sent: 1,
        })),
        ..record()
    };
    let written: BTreeSet<String> = parsed(&record)
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(documented, written);
}
