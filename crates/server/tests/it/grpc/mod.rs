//! gRPC: the library of the gRPC project (Python's grpcio) on both sides, and clients of gRPC-Web.

mod answers;
mod calls;
mod deadlines;
mod hostile;
mod retries;
mod traced;
mod web;

use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::{Value, json};

use crate::harness::{H2Client, Message, NodeScript, Weir, Wire, block_on, installed, peer};

/// `test.Echo` of `peers/grpc_server.py`, over HTTP/2 with prior knowledge.
fn server() -> NodeScript {
    NodeScript::python("grpc_server.py", &[])
}

/// Forwards everything to it.
fn to(server: &NodeScript, upstream: &str, route: &str) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], http2: true, {upstream} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up, {route} }}]\n",
        server.address
    )
}

/// Makes calls one after another on one channel; what came of each.
fn calls(weir: &Weir, calls: &[Value]) -> Vec<Value> {
    calls_with(&weir.http().to_string(), &[], calls)
}

fn calls_with(address: &str, arguments: &[&str], calls: &[Value]) -> Vec<Value> {
    let output = Command::new(installed("venv/bin/python"))
        .arg(peer("grpc_client.py"))
        .arg(address)
        .args(arguments)
        .args(calls.iter().map(Value::to_string))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let results: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results.len(), calls.len(), "{errors}");
    results
}

fn call(weir: &Weir, wanted: Value) -> Value {
    calls(weir, &[wanted]).remove(0)
}

fn unary(method: &str, message: &str) -> Value {
    json!({ "kind": "unary", "method": method, "messages": [message] })
}

/// A message with its frame.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The versions of HTTP that gRPC-Web is spoken over.
const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

/// A request of which the test decides on all it says.
struct Raw<'a> {
    version: Version,
    path: &'a str,
    content_type: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

impl Raw<'_> {
    /// Its answer; trailers stand behind the fields.
    fn send(&self, weir: &Weir) -> Message {
        match self.version {
            Version::Http1 => self.send_http1(weir),
            Version::Http2 => block_on(self.send_http2(weir)),
        }
    }

    fn send_http1(&self, weir: &Weir) -> Message {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: weir.test\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.path,
            self.content_type,
            self.body.len()
        );
        for (name, value) in self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        let mut wire = Wire::connect(weir.http());
        wire.send(head + "\r\n");
        wire.send(self.body);
        let answer = wire.response("POST");
        assert!(answer.complete, "{answer:?}");
        answer
    }

    async fn send_http2(&self, weir: &Weir) -> Message {
        let client = H2Client::connect(weir.http()).await;
        let mut request = Request::post(weir.url(self.path))
            .header("content-type", self.content_type)
            .header("te", "trailers");
        for (name, value) in self.fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let body = Bytes::copy_from_slice(self.body);
        let answer = client.send(request, body, None).await.unwrap();
        let fields = answer.fields.iter().chain(answer.trailers.iter().flatten());
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Message {
            start: format!("HTTP/2 {}", answer.status),
            fields: fields
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: answer.body,
            complete: true,
            ..Message::default()
        }
    }
}

/// A call of gRPC-Web.
fn web(weir: &Weir, version: Version, path: &str, content_type: &str, body: &[u8]) -> Message {
    let raw = Raw {
        version,
        path,
        content_type,
        fields: &[],
        body,
    };
    raw.send(weir)
}

/// A call of gRPC, and what is really answered.
fn raw_grpc(weir: &Weir, path: &str, fields: &[(&str, &str)]) -> Message {
    let raw = Raw {
        version: Version::Http2,
        path,
        content_type: "application/grpc",
        fields,
        body: &framed(b"hi"),
    };
    raw.send(weir)
}

/// The lines of the access log.
fn records(weir: &Weir) -> Vec<Value> {
    let log = weir.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["event.name"] == "http.server.request")
        .collect()
}
