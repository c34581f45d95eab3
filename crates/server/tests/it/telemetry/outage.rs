//! A receiver that is away, or takes nothing.

use std::net::TcpListener;

use crate::harness::{Load, Receiver, Upstream, Weir, answer, forward, free_port, wait_until};

/// Everything is traced, and all of it logged to the receiver.
fn start(upstream: &Upstream, port: u16) -> Weir {
    Weir::start(&format!(
        "{}log: {{ output: otlp }}\ntracing: {{ sample: 100% }}\n\
         otlp: {{ endpoint: 'http://127.0.0.1:{port}', timeout: 1s }}\n",
        forward(upstream.address)
    ))
}

fn dropped(weir: &Weir, signal: &str) -> f64 {
    weir.metric("weir_otlp_dropped_total", &[signal])
}

#[test]
fn what_a_receiver_misses_is_counted_and_the_rest_follows() {
    let upstream = Upstream::answering(|_| answer(200, &[], "yes"));
    let port = free_port();
    let weir = start(&upstream, port);
    let load = Load::keep_alive(weir.http(), 8, "yes");
    wait_until("more waits than there is room for", || {
        dropped(&weir, "traces") > 0.0 && dropped(&weir, "logs") > 0.0
    });
    let counts = load.finish();
    assert!(weir.metric("weir_otlp_exports_failed_total", &["traces"]) > 0.0);
    assert_eq!(weir.metric("weir_otlp_exported_total", &[]) as u64, 0);
    // That it is away is said once, where it can be seen.
    assert_eq!(
        weir.stderr()
            .matches("telemetry cannot be exported")
            .count(),
        1,
        "{}",
        weir.stderr()
    );

    let receiver = Receiver::at("grpc", port, &[]);
    let after = |found: &serde_json::Value| found["attributes"]["url.path"] == "/after";
    let mut asked = 0;
    // As soon as there is room again.
    wait_until("exports have resumed", || {
        asked += 1;
        weir.get("/after");
        ["span", "log"]
            .iter()
            .all(|signal| receiver.all(signal).iter().any(after))
    });
    // Whatever came of it, each request is accounted for.
    let total = (counts.answered() + asked) as f64;
    wait_until("every log record is accounted for", || {
        let exported = weir.metric("weir_otlp_exported_total", &["logs"]);
        let lost = weir.metric("weir_access_records_dropped_total", &[]);
        exported + dropped(&weir, "logs") + lost >= total
    });
}

#[test]
fn a_receiver_that_takes_nothing_holds_nobody_up() {
    // It accepts, and never reads a byte.
    let stalled = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = Upstream::answering(|_| answer(200, &[], "yes"));
    let mut weir = start(&upstream, stalled.local_addr().unwrap().port());
    let load = Load::keep_alive(weir.http(), 8, "yes");
    load.wait_for_more(5_000);
    wait_until("an export has failed", || {
        weir.metric("weir_otlp_exports_failed_total", &["traces"]) > 0.0
    });
    assert!(load.finish().answered() >= 5_000);
    // Nor the process: it ends although nothing was taken.
    weir.signal(rustix::process::Signal::TERM);
    assert!(weir.wait_exit().success());
}
