//! Changes that are to outlive the process, while a successor is starting.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::Signal;

use crate::harness::{Message, PATIENCE, Upstream, Weir, Wire, answer, wait_until};

/// A Consul that knows of no instance. It answers the first who asks at once, and the next when it is
/// released: so long that one does not serve. Blocking queries it never answers.
fn consul(asked: Sender<()>, released: Receiver<()>) -> Upstream {
    let released = Mutex::new(released);
    let is_first = AtomicBool::new(true);
    Upstream::answering(move |request| {
        if !request.target().contains("index=0") {
            loop {
                std::thread::park();
            }
        }
        if !is_first.swap(false, Ordering::AcqRel) {
            asked.send(()).unwrap();
            let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        }
        answer(200, &[("X-Consul-Index", "1")], "[]")
    })
}

fn send(weir: &Weir, method: &str, path: &str, body: &str) -> Message {
    let admin = weir.setup().admin;
    let operator = weir.setup().operator();
    let mut wire = Wire::connect(admin);
    wire.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\n{operator}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    wire.response(method)
}

#[test]
fn changes_are_refused_and_renewals_are_not_while_a_successor_starts() {
    const TARGET: &str = "/v1/upstreams/registered/targets/a";
    const BODY: &str = r#"{"address": "127.0.0.1:9"}"#;
    let (asked, wait_for_successor) = channel();
    let (release, released) = channel();
    let consul = consul(asked, released);
    let server = Upstream::answering(|_| answer(200, &[], "fine"));
    let weir = Weir::start(&format!(
        "upstreams:\n  blue: {{ targets: [\"{server}\"] }}\n  green: {{ targets: [\"{server}\"] }}\n  \
         registered: {{ discovery: {{ registration: {{ expiry: 60s }} }} }}\n  \
         slow: {{ discovery: {{ consul: {{ address: \"http://{consul}\", service: slow }} }} }}\n\
         routes:\n  - {{ name: items, split: {{ upstreams: {{ blue: 1, green: 0 }} }} }}\n  \
         - {{ name: registered, match: {{ path: /registered }}, upstream: registered }}\n  \
         - {{ name: slow, match: {{ path: /slow }}, upstream: slow }}\n",
        server = server.address,
        consul = consul.address,
    ));
    assert_eq!(send(&weir, "PUT", TARGET, BODY).status(), 201);
    let before = weir.serving_id().unwrap();
    weir.signal(Signal::USR2);
    wait_for_successor.recv_timeout(PATIENCE).unwrap();

    let refused = send(&weir, "POST", "/v1/traffic/items", r#"{"switch": "green"}"#);
    refused.assert_problem_word(409, "upgrading");
    assert_eq!(refused.get("retry-after"), Some("1"));
    let command = weir.run("traffic", &["switch", "items", "green"]);
    assert_eq!(command.code, Some(1));
    let said = "An upgrade is under way, and nothing can be changed until it is over";
    assert!(command.stderr.contains(said), "{}", command.stderr);
    send(&weir, "DELETE", TARGET, "").assert_problem_word(409, "upgrading");
    let other = r#"{"address": "127.0.0.1:10"}"#;
    send(&weir, "PUT", TARGET, other).assert_problem_word(409, "upgrading");
    assert_eq!(send(&weir, "PUT", TARGET, BODY).status(), 200);
    assert_eq!(send(&weir, "PUT", TARGET, "").status(), 200);

    release.send(()).unwrap();
    wait_until("the successor takes the change", || {
        weir.run("traffic", &["switch", "items", "green"]).code == Some(0)
    });
    assert_ne!(weir.serving_id(), Some(before));
    // The former process may have taken a connection to the admin listener along.
    wait_until("the successor tells of it", || {
        let splits = weir.ask("GET", "/v1/traffic").json();
        splits["splits"][0]["upstreams"][1]["percent"] == 100.0
    });
    let kept = std::fs::read_to_string(weir.directory().join("data/traffic.json")).unwrap();
    assert!(kept.contains("\"command\""), "{kept}");
}
