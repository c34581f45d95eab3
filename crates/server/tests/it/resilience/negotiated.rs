//! Many requests at once for a target whose protocol a handshake decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bench::{Link, server};
use super::gate::ask;
use crate::harness::{Authority, Nginx, Setup, Upstream, Weir, wait_until};

fn config(target: &str, tls: &str) -> String {
    format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{target}\"]\n    tls: {tls}\n    \
         health: {{ passive: false }}\n    retry: {{ attempts: 0 }}\n    \
         timeouts: {{ connect: 15s }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    )
}

fn connections(weir: &Weir, outcome: &str) -> f64 {
    weir.metric("weir_upstream_connections_total", &[outcome])
}

#[test]
fn one_handshake_is_enough_for_all_who_wait_for_http2() {
    let target = server(Link::Tls);
    let setup = Setup::new();
    setup.write("ca.pem", target.authority().unwrap());
    let tls = "{ server_name: faulty.test, authorities: file:ca.pem }";
    let weir = setup.start(&config(&target.address.to_string(), tls));
    let mut wires: Vec<_> = (0..60).map(|_| ask(&weir)).collect();
    for wire in &mut wires {
        assert_eq!(wire.response("GET").status(), 200);
    }
    assert_eq!(target.seen().connections, 1);
    assert_eq!(connections(&weir, "made"), 1.0);
}

#[test]
fn who_waited_for_http2_in_vain_has_a_connection_of_its_own() {
    let setup = Setup::new();
    let authority = Authority::new("test");
    setup.write("ca.pem", authority.pem());
    let issued = authority.issue("nginx", &["nginx.test"]);
    issued.write(setup.directory.path(), "nginx");
    let nginx = Nginx::secure(setup.directory.path(), "");
    let tls = "{ server_name: nginx.test, authorities: file:ca.pem }";
    let weir = setup.start(&config(&nginx.address.to_string(), tls));
    for _ in 0..2 {
        let mut wires: Vec<_> = (0..30).map(|_| ask(&weir)).collect();
        for wire in &mut wires {
            assert_eq!(wire.response("GET").status(), 200);
        }
    }
    let made = connections(&weir, "made");
    assert!((1.0..=30.0).contains(&made), "{made}");
}

#[test]
fn a_handshake_that_fails_fails_all_who_waited_for_it() {
    let may_end = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&may_end);
    let target = Upstream::new(move |wire| {
        wait_until("the test says so", || told.load(Ordering::Acquire));
        drop(wire);
    });
    let weir = Weir::start(&config(&target.address.to_string(), "true"));
    let mut wires: Vec<_> = (0..20).map(|_| ask(&weir)).collect();
    wait_until("all of them wait", || {
        weir.metric("weir_upstream_in_flight", &[]) == 20.0
    });
    may_end.store(true, Ordering::Release);
    for wire in &mut wires {
        let answer = wire.response("GET");
        answer.assert_problem(502, "upstream_tls_failed");
    }
    assert_eq!(target.accepted(), 1);
    assert_eq!(connections(&weir, "failed"), 1.0);
    // It is no verdict on those that come later.
    assert_eq!(weir.get("/").status(), 502);
    assert_eq!(target.accepted(), 2);
}
