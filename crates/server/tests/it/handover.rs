//! Changes that are to outlive the process, while a successor is starting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

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
fn registrations_are_refused_and_renewals_are_not_while_a_successor_starts() {
    const TARGET: &str = "/v1/upstreams/registered/targets/a";
    const BODY: &str = r#"{"address": "127.0.0.1:9"}"#;
    let (asked, wait_for_successor) = channel();
    let (release, released) = channel();
    let consul = consul(asked, released);
    let weir = Weir::start(&format!(
        "upstreams:\n  registered: {{ discovery: {{ registration: {{ expiry: 60s }} }} }}\n  \
         slow: {{ discovery: {{ consul: {{ address: \"http://{consul}\", service: slow }} }} }}\n\
         routes:\n  - {{ name: registered, match: {{ path: /registered }}, upstream: registered }}\n  \
         - {{ name: slow, match: {{ path: /slow }}, upstream: slow }}\n",
        consul = consul.address,
    ));
    assert_eq!(send(&weir, "PUT", TARGET, BODY).status(), 201);
    let before = weir.serving_id().unwrap();
    weir.signal(Signal::USR2);
    wait_for_successor.recv_timeout(PATIENCE).unwrap();

    let refused = send(&weir, "DELETE", TARGET, "");
    refused.assert_problem_word(409, "upgrading");
    assert_eq!(refused.get("retry-after"), Some("1"));
    let other = r#"{"address": "127.0.0.1:10"}"#;
    send(&weir, "PUT", TARGET, other).assert_problem_word(409, "upgrading");
    assert_eq!(send(&weir, "PUT", TARGET, BODY).status(), 200);
    assert_eq!(send(&weir, "PUT", TARGET, "").status(), 200);

    release.send(()).unwrap();
    wait_until("the successor takes the change", || {
        send(&weir, "DELETE", TARGET, "").status() == 204
    });
    assert_ne!(weir.serving_id(), Some(before));
}

/// A split whose successor waits for a source when it starts.
fn split_beside(consul: &Upstream, blue: &Upstream, green: &Upstream, rest: &str) -> String {
    format!(
        "upstreams:\n  blue: {{ targets: [\"{}\"] }}\n  green: {{ targets: [\"{}\"] }}\n  \
         slow: {{ discovery: {{ consul: {{ address: \"http://{}\", service: slow }} }} }}\n\
         routes:\n  - {{ name: slow, match: {{ path: /slow }}, upstream: slow }}\n  \
         - name: items\n    split:\n      upstreams: {{ blue: 50, green: 50 }}\n{rest}",
        blue.address, green.address, consul.address,
    )
}

/// Processes that were started in this Weir's directory, but for the first.
fn successors(weir: &Weir) -> Vec<u32> {
    let directory = weir.directory().display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != weir.id())
        .filter(|id| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&directory)
        })
        .collect()
}

/// Stops a process: from then on it takes no connection.
fn stop(id: u32) {
    crate::harness::send(id, Signal::STOP);
    // Each thread goes on until it is told.
    wait_until("every thread has stopped", || {
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let states =
            threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")));
        states.into_iter().all(|state| {
            // Behind the name, which is in parentheses.
            let state = state.unwrap_or_default();
            state
                .rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    });
}

/// The split, as the process that serves tells it once the first one does no more.
fn split(weir: &Weir) -> serde_json::Value {
    weir.ask("GET", "/v1/traffic").json()["splits"][0].clone()
}

#[test]
fn a_guard_that_acts_while_a_successor_starts_has_acted_there() {
    let (asked, wait_for_successor) = channel();
    let (release, released) = channel();
    let consul = consul(asked, released);
    let fails = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&fails);
    let blue = Upstream::answering(|_| answer(200, &[], "blue"));
    let green = Upstream::answering(move |_| {
        let status = if broken.load(Ordering::Acquire) {
            500
        } else {
            200
        };
        answer(status, &[], "green")
    });
    let guard = "      guard: { error_rate: 20%, window: 10s, min_requests: 20 }\n";
    let mut weir = Weir::start(&split_beside(&consul, &blue, &green, guard));
    let first = weir.id();
    weir.signal(Signal::USR2);
    wait_for_successor.recv_timeout(PATIENCE).unwrap();
    // However slow this machine is, it does not serve before the guard of the first process has acted.
    let successor = successors(&weir);
    assert_eq!(successor.len(), 1);
    stop(successor[0]);

    fails.store(true, Ordering::Release);
    wait_until("the guard acts", || {
        (0..20).for_each(|_| drop(weir.get("/")));
        !split(&weir)["guard"]["acted"].is_null()
    });
    let decided = split(&weir);
    assert_eq!(weir.serving_id(), Some(first));
    crate::harness::send(successor[0], Signal::CONT);
    release.send(()).unwrap();
    // Requests go on all the time, and none is lost.
    wait_until("the successor has taken over", || {
        assert!(matches!(weir.get("/").status(), 200 | 500));
        weir.ended().is_some()
    });
    let told = split(&weir);
    assert_eq!(weir.serving_id(), Some(successor[0]));
    assert_eq!(told["guard"]["acted"], decided["guard"]["acted"], "{told}");
    assert_eq!(told["override"], decided["override"], "{told}");
    for _ in 0..50 {
        assert_eq!(weir.get("/").text(), "blue");
    }
    let kept = std::fs::read_to_string(weir.directory().join("data/traffic.json")).unwrap();
    assert!(kept.contains("\"guard\""), "{kept}");
}

#[test]
fn a_command_given_while_a_successor_starts_holds_there_and_so_does_the_next() {
    let (asked, wait_for_successor) = channel();
    let (release, released) = channel();
    let consul = consul(asked, released);
    let blue = Upstream::answering(|_| answer(200, &[], "blue"));
    let green = Upstream::answering(|_| answer(200, &[], "green"));
    let mut weir = Weir::start(&split_beside(&consul, &blue, &green, ""));
    weir.signal(Signal::USR2);
    wait_for_successor.recv_timeout(PATIENCE).unwrap();
    let command = weir.run("traffic", &["switch", "items", "green"]);
    assert_eq!(command.code, Some(0), "{}", command.stderr);
    // Both processes accept connections.
    let mut in_a_row = 0;
    wait_until("the starting process follows, too", || {
        let is_green = weir.get("/").text() == "green";
        in_a_row = if is_green { in_a_row + 1 } else { 0 };
        in_a_row == 50
    });
    release.send(()).unwrap();
    wait_until("the successor has taken over", || weir.ended().is_some());
    assert_eq!(split(&weir)["upstreams"][1]["percent"], 100.0);
    let command = weir.run("traffic", &["rollback", "items"]);
    assert_eq!(command.code, Some(0), "{}", command.stderr);
    assert_eq!(weir.get("/").text(), "blue");
    let kept = std::fs::read_to_string(weir.directory().join("data/traffic.json")).unwrap();
    assert!(kept.contains("\"command\""), "{kept}");
}

#[test]
fn a_successor_that_fails_leaves_what_was_decided_meanwhile() {
    let (asked, wait_for_successor) = channel();
    let (_release, released) = channel();
    let consul = consul(asked, released);
    let blue = Upstream::answering(|_| answer(200, &[], "blue"));
    let green = Upstream::answering(|_| answer(200, &[], "green"));
    let weir = Weir::start(&split_beside(&consul, &blue, &green, ""));
    weir.signal(Signal::USR2);
    wait_for_successor.recv_timeout(PATIENCE).unwrap();
    let successor = successors(&weir);
    stop(successor[0]);
    let command = weir.run("traffic", &["switch", "items", "green"]);
    assert_eq!(command.code, Some(0), "{}", command.stderr);
    crate::harness::send(successor[0], Signal::KILL);
    wait_until("the upgrade is given up", || {
        weir.log().contains("upgrade failed")
    });
    let command = weir.run("traffic", &["set", "items", "blue=25", "green=75"]);
    assert_eq!(command.code, Some(0), "{}", command.stderr);
    assert_eq!(split(&weir)["upstreams"][1]["percent"], 75.0);
    let kept = std::fs::read_to_string(weir.directory().join("data/traffic.json")).unwrap();
    assert!(kept.contains("0.75"), "{kept}");
}
