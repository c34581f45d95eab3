//! Where logs go, and which requests they tell of.

use rustix::process::Signal;
use serde_json::Value;

use super::{access_lines, requests};
use crate::harness::{Load, Receiver, Upstream, Weir, answer, forward, wait_until};

#[test]
fn errors_are_logged_whatever_the_share() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/all/error" | "/none/error" => answer(503, &[], ""),
        _ => answer(200, &[], ""),
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: ['{}'], retry: {{ attempts: 0 }} }}\nlog: {{ sample: 0% }}\n\
         routes:\n  - {{ name: none, match: {{ path: /none/* }}, upstream: up }}\n  \
         - {{ name: all, match: {{ path: /all/* }}, upstream: up, log: {{ sample: 100% }} }}\n",
        upstream.address
    ));
    for path in ["/none/a", "/none/error", "/nowhere", "/all/a", "/all/error"] {
        weir.get(path);
    }
    wait_until("the requests are logged", || access_lines(&weir).len() >= 3);
    let lines = access_lines(&weir);
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line["url.path"].as_str().unwrap())
        .collect();
    // Workers write in their own order.
    let mut paths = paths;
    paths.sort_unstable();
    assert_eq!(paths, ["/all/a", "/all/error", "/none/error"]);
}

#[test]
fn messages_about_a_request_have_its_ids() {
    let upstream = Upstream::echo();
    let weir = Weir::start(
        &(forward(upstream.address)
            + "log: { level: debug }\ntracing: true\ntimeouts: { head: 1s }\n"),
    );
    let answer = weir.get("/%zz");
    assert_eq!(answer.status(), 400);
    let id = answer.get("x-request-id").unwrap();
    wait_until("the request is logged", || !access_lines(&weir).is_empty());
    let log = weir.log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let about: Vec<Value> = lines.filter(|line| line["weir.request_id"] == id).collect();
    let message = about.iter().find(|line| line["body"].is_string()).unwrap();
    let access = about
        .iter()
        .find(|line| line["event.name"].is_string())
        .unwrap();
    assert_eq!(message["reason"], "bad_path");
    assert_eq!(message["trace_id"], access["trace_id"]);
    assert_eq!(access["trace_id"], id);
}

#[test]
fn a_file_is_moved_aside_when_it_is_full_and_nothing_is_lost() {
    let upstream = Upstream::echo();
    let config = |keep: u32| {
        format!(
            "{}log: {{ output: 'file:access.log', rotate: {{ size: 20KiB, keep: {keep} }} }}\n",
            forward(upstream.address)
        )
    };
    let mut weir = Weir::start(&config(1000));
    let file = |name: String| weir.directory().join(name);
    for number in 0..200 {
        weir.get(&format!("/{number}"));
    }
    let names = || {
        let formers = (1..).map(|number| format!("access.log.{number}"));
        std::iter::once("access.log".to_owned()).chain(formers)
    };
    let logged = || {
        let contents = names().map_while(|name| std::fs::read_to_string(file(name)).ok());
        contents.map(|content| {
            assert!(content.len() <= 20 * 1024);
            requests(&content).len()
        })
    };
    wait_until("all requests are logged", || logged().sum::<usize>() == 200);
    assert!(logged().count() > 4);
    // Signals open the file anew as before.
    std::fs::rename(file("access.log".into()), file("moved.log".into())).unwrap();
    weir.signal(Signal::USR1);
    wait_until("there is a new file", || file("access.log".into()).exists());
    weir.reload(&config(2));
    for number in 0..100 {
        weir.get(&format!("/{number}"));
    }
    weir.signal(Signal::TERM);
    weir.wait_exit();
    let file = |name: &str| weir.directory().join(name).exists();
    assert!(file("access.log") && file("access.log.1") && file("access.log.2"));
}

#[test]
fn lines_are_records_of_a_receiver() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "{}log: {{ output: otlp, headers: [accept] }}\ntracing: {{ sample: 0% }}\notlp: {{ endpoint: 'http://{}' }}\n",
        forward(upstream.address),
        receiver.address
    ));
    let id = weir.get("/items").text();
    let id = id
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "))
        .unwrap();
    let logs = receiver.wait_for("log", 1, |log| log["event"] == "http.server.request");
    let attributes = &logs[0]["attributes"];
    assert_eq!(attributes["weir.request_id"], *id);
    assert_eq!(logs[0]["trace_id"], *id);
    assert_eq!(logs[0]["span_id"].as_str().unwrap().len(), 16);
    assert_eq!(attributes["http.response.status_code"], 200);
    assert_eq!(attributes["url.path"], "/items");
    assert!(attributes["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(logs[0]["number"], 9);
    let said = receiver.wait_for("log", 1, |log| log["body"] == "serving");
    assert_eq!(
        said[0]["attributes"]["scope.name"],
        "weir::serve::supervise"
    );
    assert_eq!(weir.log(), "");
    assert!(receiver.all("span").is_empty());
}

#[test]
fn what_waits_is_sent_before_the_process_ends() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::echo();
    let mut weir = Weir::start(&format!(
        "{}log: {{ output: otlp }}\ntracing: {{ sample: 100% }}\notlp: {{ endpoint: 'http://{}' }}\n",
        forward(upstream.address),
        receiver.address
    ));
    weir.get("/last");
    weir.signal(Signal::TERM);
    assert!(weir.wait_exit().success());
    receiver.wait_for("span", 1, |span| span["attributes"]["url.path"] == "/last");
    receiver.wait_for("log", 1, |log| log["attributes"]["url.path"] == "/last");
    receiver.wait_for("log", 1, |log| log["body"] == "drained");
}

#[test]
fn a_full_disk_slows_no_request_and_is_counted() {
    let upstream = Upstream::answering(|_| answer(200, &[], "yes"));
    let rotate = "rotate: { size: 4KiB, every: 1h }";
    let weir = Weir::start(&format!(
        "{}log: {{ output: 'file:/dev/full', {rotate} }}\n",
        forward(upstream.address)
    ));
    let load = Load::keep_alive(weir.http(), 8, "yes");
    load.wait_for_more(2_000);
    let counts = load.finish();
    assert!(counts.answered() >= 2_000);
    wait_until("what was lost is counted", || {
        let lost = weir.metric("weir_log_lines_lost_total", &[]) as u64;
        lost + weir.metric("weir_access_records_dropped_total", &[]) as u64 >= counts.answered()
    });
    assert!(weir.metric("weir_log_writes_failed_total", &[]) > 0.0);
    assert!(std::path::Path::new("/dev/full").exists());
}
