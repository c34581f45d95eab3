//! Zones, end to end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ask, named};
use crate::harness::{Upstream, Weir, answer, wait_until};

fn config(zone: &str, keys: &str, targets: &[(&Upstream, &str)]) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|(target, zone)| format!("{{ address: \"{}\", zone: {zone} }}", target.address))
        .collect();
    format!(
        "{zone}\nupstreams:\n  up: {{ {keys} targets: [{}] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n",
        targets.join(", ")
    )
}

fn answering(weir: &Weir) -> HashSet<String> {
    (0..16).map(|_| ask(weir, "/", "").text()).collect()
}

#[test]
fn traffic_stays_in_the_nodes_own_zone() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let targets = [(&a, "east"), (&b, "east"), (&c, "west")];
    let set =
        |names: &[&str]| -> HashSet<String> { names.iter().map(ToString::to_string).collect() };
    let weir = Weir::start(&config("zone: east", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b"]));
    weir.reload(&config("zone: west", "", &targets));
    assert_eq!(answering(&weir), set(&["c"]));
    weir.reload(&config("zone: north", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b", "c"]), "nobody is near");
    weir.reload(&config("", "", &targets));
    assert_eq!(answering(&weir), set(&["a", "b", "c"]), "no zone");
    let anywhere = config("zone: east", "zones: { prefer_own: false },", &targets);
    weir.reload(&anywhere);
    assert_eq!(answering(&weir), set(&["a", "b", "c"]));
}

/// A server that is as healthy as it is told to be.
fn switched(name: &'static str) -> (Upstream, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(true));
    let is_well = Arc::clone(&switch);
    let server = Upstream::answering(move |request| {
        let status = match request.target() {
            "/healthz" if !is_well.load(Ordering::Relaxed) => 503,
            _ => 200,
        };
        answer(status, &[], name)
    });
    (server, switch)
}

/// Which part of the requests this server answers.
fn share(weir: &Weir, name: &str) -> f64 {
    const REQUESTS: usize = 300;
    let answers = (0..REQUESTS).filter(|_| ask(weir, "/", "").text() == name);
    answers.count() as f64 / REQUESTS as f64
}

fn is_panicking(weir: &Weir) -> bool {
    weir.ask("GET", "/v1/upstreams").json()["upstreams"][0]["panic"] == true
}

#[test]
fn a_zone_that_fails_overflows_and_gets_its_traffic_back() {
    let ((a, a_is_well), (b, b_is_well), c) = (switched("a"), switched("b"), named("c"));
    let targets = [(&a, "east"), (&b, "east"), (&c, "west")];
    let health = "health: { active: { path: /healthz, interval: 100ms, timeout: 5s, \
                  unhealthy_after: 1, healthy_after: 1 } },";
    let weir = Weir::start(&config("zone: east", health, &targets));
    let east = HashSet::from(["a".to_owned(), "b".to_owned()]);
    assert_eq!(answering(&weir), east);

    a_is_well.store(false, Ordering::Relaxed);
    wait_until("a takes no traffic", || !answering(&weir).contains("a"));
    let stays = share(&weir, "b");
    eprintln!("{:.0}% stay in a zone that is half as large", stays * 100.0);
    assert!((stays - 50.0 / 70.0).abs() < 0.05, "{stays}");

    b_is_well.store(false, Ordering::Relaxed);
    wait_until("nobody is left in the zone", || {
        answering(&weir) == HashSet::from(["c".to_owned()])
    });
    assert!(!is_panicking(&weir), "the other zone is well");

    a_is_well.store(true, Ordering::Relaxed);
    b_is_well.store(true, Ordering::Relaxed);
    wait_until("traffic is back", || answering(&weir) == east);
}
