//! Calls in traces: their status lies behind an HTTP status of 200.

use serde_json::{Value, json};

use super::{call, server, to, unary};
use crate::harness::{Receiver, Weir};

fn of_kind(receiver: &Receiver, kind: u64, count: usize) -> Vec<Value> {
    receiver.wait_for("span", count, |span| span["kind"] == kind)
}

#[test]
fn calls_that_fail_are_traced_and_logged_whatever_the_share() {
    let receiver = Receiver::start("grpc");
    let server = server();
    let weir = Weir::start(&format!(
        "{}tracing: {{ sample: 0% }}\nlog: {{ sample: 0% }}\notlp: {{ endpoint: 'http://{}' }}\n",
        to(&server, "health: { passive: false }", ""),
        receiver.address
    ));
    assert_eq!(
        call(&weir, unary("Fail", "5:not there"))["code"],
        "NOT_FOUND"
    );
    assert_eq!(call(&weir, unary("Fail", "13:broken"))["code"], "INTERNAL");
    let late = json!({ "kind": "server", "method": "FailLate", "messages": ["15:gone"] });
    assert_eq!(call(&weir, late)["code"], "DATA_LOSS");

    for kind in [2, 3] {
        let spans = of_kind(&receiver, kind, 2);
        let told = |span: &Value| {
            let attributes = &span["attributes"];
            assert_eq!(attributes["http.response.status_code"], 200);
            assert_eq!(attributes["rpc.system.name"], "grpc");
            assert_eq!(span["status"], 2);
            assert_eq!(
                attributes["error.type"],
                attributes["rpc.response.status_code"]
            );
            attributes["error.type"].as_str().unwrap().to_owned()
        };
        // Workers export in their own order.
        let mut all: Vec<String> = spans.iter().map(told).collect();
        all.sort_unstable();
        assert_eq!(all, ["DATA_LOSS", "INTERNAL"]);
    }
    let logged: Vec<Value> = super::records(&weir);
    assert_eq!(logged.len(), 2, "{logged:?}");
}

#[test]
fn each_attempt_of_a_call_has_its_own_status() {
    let receiver = Receiver::start("http");
    let retry = "health: { passive: false }, \
        retry: { attempts: 1, budget: 100%, backoff: 1ms, grpc: [unavailable] }";
    let server = server();
    let weir = Weir::start(&format!(
        "{}tracing: {{ sample: 100% }}\notlp: {{ endpoint: 'http://{}', protocol: http, compression: none }}\n",
        to(&server, retry, ""),
        receiver.address
    ));
    let result = call(&weir, unary("FailTimes", "a:1:14"));
    assert_eq!(result["replies"], json!(["attempt 2"]), "{result}");
    let attempts = of_kind(&receiver, 3, 2);
    let attributes = |at: usize, name: &str| attempts[at]["attributes"][name].clone();
    assert_eq!(attributes(0, "rpc.response.status_code"), "UNAVAILABLE");
    assert_eq!(attributes(0, "error.type"), "UNAVAILABLE");
    assert_eq!(attributes(1, "rpc.response.status_code"), "OK");
    assert_eq!(attributes(1, "http.request.resend_count"), 1);
    assert_eq!(attempts[1]["status"], 0);
    let call = &of_kind(&receiver, 2, 1)[0];
    assert_eq!(call["status"], 0);
    assert_eq!(call["attributes"]["rpc.response.status_code"], "OK");
}
