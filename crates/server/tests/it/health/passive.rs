//! Conclusions from requests.

use super::*;

/// A server that fails in its own way, unless it is well.
struct Patient {
    upstream: Upstream,
    is_well: Arc<AtomicUsize>,
}

impl Patient {
    fn new(failing: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        let is_well = Arc::<AtomicUsize>::default();
        let state = Arc::clone(&is_well);
        let upstream = Upstream::new(move |mut wire| {
            while wire.request().is_some() {
                if state.load(Ordering::Relaxed) == 0 {
                    // And the connection ends.
                    let _ = wire.try_send(failing());
                    return;
                }
                if wire.try_send(answer(200, &[], "patient")).is_err() {
                    return;
                }
            }
        });
        Self { upstream, is_well }
    }

    fn recovers(&self) {
        self.is_well.store(1, Ordering::Relaxed);
    }
}

fn both(well: &Server, patient: &Patient, settings: &str) -> Weir {
    let addresses = [
        well.upstream.address.to_string(),
        patient.upstream.address.to_string(),
    ];
    Weir::start(&to(&addresses, settings))
}

#[test]
fn failures_in_a_row_eject_a_server_for_a_while() {
    let well = Server::named("well");
    let patient = Patient::new(Vec::new);
    let weir = both(
        &well,
        &patient,
        "health: { passive: { eject_for: 2s }, slow_start: 1s }",
    );
    wait_until("the failing server is ejected", || {
        // Repeats go to the other one: no client sees a failure.
        assert_eq!(weir.get("/").status(), 200);
        health(&weir)[1]["state"] == "ejected"
    });
    let told = &health(&weir)[1];
    let reason = told["reason"].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("5 failures in a row, the latest upstream_reset"),
        "{reason}"
    );
    assert!(told["until"].as_str() > told["since"].as_str());
    assert_eq!(told["ejections"], 1);
    let accepted = patient.upstream.accepted();
    assert_eq!(voices(&weir), ["well"]);
    assert_eq!(patient.upstream.accepted(), accepted, "not even tried");
    patient.recovers();
    wait_for_states(&weir, &["healthy", "healthy"]);
    wait_until("it gets requests again", || {
        weir.get("/").text() == "patient"
    });
    let address = patient.upstream.address.to_string();
    let ejections = weir.metric("weir_upstream_ejections_total{", &[&address]);
    assert_eq!(ejections, 1.0);
    wait_until("the log tells of it", || {
        let log = weir.log();
        log.contains("target ejected") && log.contains("5 failures in a row")
    });
}

#[test]
fn statuses_count_if_they_are_listed() {
    let well = Server::named("well");
    let patient = Patient::new(|| answer(503, &[], "no"));
    let weir = both(
        &well,
        &patient,
        "health: { passive: { statuses: [503], consecutive_failures: 3 } }",
    );
    wait_until("the failing server is ejected", || {
        weir.get("/");
        health(&weir)[1]["state"] == "ejected"
    });
    assert_eq!(
        health(&weir)[1]["reason"],
        "3 failures in a row, the latest status 503"
    );
    // A reload that says nothing of health changes nothing about it.
    let addresses = [&well.upstream, &patient.upstream].map(|up| up.address.to_string());
    let settings = "health: { passive: { statuses: [503] } }\n    balance: least_request";
    assert_eq!(weir.reload(&to(&addresses, settings)).status(), 200);
    assert_eq!(health(&weir)[1]["state"], "ejected");
    assert_eq!(voices(&weir), ["well"]);
    let settings = "health: { passive: false }";
    assert_eq!(weir.reload(&to(&addresses, settings)).status(), 200);
    wait_for_states(&weir, &["healthy", "healthy"]);
    assert_eq!(voices(&weir), ["no", "well"]);
}

#[test]
fn answers_that_are_cut_short_count_in_the_rate() {
    let well = Server::named("well");
    let patient = Patient::new(|| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart".to_vec());
    let weir = both(
        &well,
        &patient,
        "health: { passive: { failure_rate: 50%, min_requests: 10 } }",
    );
    wait_until("the failing server is ejected", || {
        let mut wire = crate::harness::Wire::connect(weir.http());
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        wire.rest();
        health(&weir)[1]["state"] == "ejected"
    });
    let reason = &health(&weir)[1]["reason"];
    let is_rate = |text: &str| text.starts_with("100% of 1") && text.ends_with("requests failed");
    assert!(reason.as_str().is_some_and(is_rate), "{reason}");
    assert_eq!(voices(&weir), ["well"]);
}

#[test]
fn the_last_one_stays_whatever_it_does() {
    let one = Patient::new(Vec::new);
    let other = Patient::new(Vec::new);
    let addresses = [&one.upstream, &other.upstream].map(|up| up.address.to_string());
    let weir = Weir::start(&to(
        &addresses,
        "health: { passive: { max_ejected: 100% } }",
    ));
    let ejected = || {
        let health = health(&weir);
        health.iter().filter(|at| at["state"] == "ejected").count()
    };
    wait_until("one of them is ejected", || {
        assert_eq!(weir.get("/").status(), 502);
        ejected() == 1
    });
    for _ in 0..30 {
        assert_eq!(weir.get("/").status(), 502);
    }
    assert_eq!(ejected(), 1);
}

#[test]
fn a_server_that_is_listed_twice_is_ejected_as_a_whole() {
    let well = Server::named("well");
    let patient = Patient::new(Vec::new);
    let failing = patient.upstream.address.to_string();
    let addresses = [
        failing.clone(),
        well.upstream.address.to_string(),
        failing.clone(),
    ];
    let weir = Weir::start(&to(
        &addresses,
        "health: { passive: { max_ejected: 100% }, panic_threshold: 0% }\n    retry: { attempts: 0 }",
    ));
    wait_until("nobody meets the failing server any more", || {
        let accepted = patient.upstream.accepted();
        (0..12).all(|_| weir.get("/").status() == 200) && patient.upstream.accepted() == accepted
    });
    let shown = health(&weir);
    assert_eq!(shown.len(), 2, "one server is one target: {shown:?}");
}
