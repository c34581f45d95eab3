//! Questions asked of servers.

use super::*;
use crate::harness::free_port;

const CHECK: &str =
    "health: { active: { path: /healthz, interval: 200ms, timeout: 200ms, unhealthy_after: 2 } }";

#[test]
fn a_server_that_answers_checks_wrongly_gets_no_requests_until_it_answers_rightly() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let weir = Weir::start(&watched(&[&one, &two], CHECK));
    wait_for_states(&weir, &["healthy", "healthy"]);
    assert_eq!(voices(&weir), ["one", "two"]);
    two.turns(503);
    wait_for_states(&weir, &["healthy", "unhealthy"]);
    assert_eq!(voices(&weir), ["one"]);
    let told = &health(&weir)[1];
    assert_eq!(told["reason"], "status 503");
    assert_eq!(told["checks"]["last"]["wrong"], "status 503");
    assert!(told["checks"]["failed"].as_u64() >= Some(2));
    let address = two.upstream.address.to_string();
    let healthy = || weir.metric("weir_upstream_healthy{", &[&address]);
    assert_eq!(healthy(), 0.0);
    assert!(weir.metric("weir_upstream_checks_total{", &[&address, "failed"]) >= 2.0);
    two.turns(200);
    wait_for_states(&weir, &["healthy", "healthy"]);
    assert_eq!(voices(&weir), ["one", "two"]);
    assert_eq!(healthy(), 1.0);
    assert!(health(&weir)[1]["reason"].is_null());
    wait_until("the log tells of it", || {
        let log = weir.log();
        log.contains("target unhealthy")
            && log.contains("status 503")
            && log.contains("target healthy")
    });
}

#[test]
fn health_and_its_checks_outlive_a_reload() {
    let (one, two) = (Server::named("one"), Server::named("two"));
    let weir = Weir::start(&watched(&[&one, &two], CHECK));
    two.turns(503);
    wait_for_states(&weir, &["healthy", "unhealthy"]);
    let before = health(&weir)[1].clone();
    // Something else changes, and a third one comes.
    let three = Server::named("three");
    let settings = format!("{CHECK}\n    balance: least_request");
    let config = watched(&[&one, &two, &three], &settings);
    assert_eq!(weir.reload(&config).status(), 200);
    let after = health(&weir)[1].clone();
    for told in ["state", "since", "reason"] {
        assert_eq!(after[told], before[told]);
    }
    assert_eq!(voices(&weir), ["one", "three"]);
    wait_for_states(&weir, &["healthy", "unhealthy", "healthy"]);
    // Another check asks anew, and until then the verdict stays.
    let config = watched(&[&one, &two, &three], &CHECK.replace("200ms", "250ms"));
    assert_eq!(weir.reload(&config).status(), 200);
    assert_eq!(health(&weir)[1]["state"], "unhealthy");
    two.turns(200);
    wait_for_states(&weir, &["healthy", "healthy", "healthy"]);
    two.turns(503);
    wait_for_states(&weir, &["healthy", "unhealthy", "healthy"]);
    // Without checks nothing speaks against it.
    let config = watched(&[&one, &two], "balance: round_robin");
    assert_eq!(weir.reload(&config).status(), 200);
    wait_for_states(&weir, &["healthy", "healthy"]);
    assert!(health(&weir)[1]["checks"].is_null());
}

#[test]
fn when_too_few_are_healthy_all_get_requests() {
    let servers = ["one", "three", "two"].map(Server::named);
    let weir = Weir::start(&watched(&servers.each_ref(), CHECK));
    wait_for_states(&weir, &["healthy", "healthy", "healthy"]);
    let panics = || weir.metric("weir_upstream_panicking{", &["up"]) == 1.0;
    servers[0].turns(500);
    wait_for_states(&weir, &["unhealthy", "healthy", "healthy"]);
    assert!(!panics());
    assert_eq!(voices(&weir), ["three", "two"]);
    servers[1].turns(500);
    wait_until("so little is healthy that it does not matter", panics);
    assert_eq!(voices(&weir), ["one", "three", "two"]);
    let told = weir.ask("GET", "/v1/upstreams").json();
    assert_eq!(told["upstreams"][0]["panic"], true);
    servers[0].turns(200);
    wait_until("enough is healthy", || !panics());
    assert_eq!(voices(&weir), ["one", "two"]);
    wait_until("all that was said", || {
        let log = weir.log();
        log.contains("too few targets are healthy") && log.contains("enough targets are healthy")
    });
}

#[test]
fn a_connection_may_be_all_that_is_asked_for() {
    let one = Server::named("one");
    let nobody = format!("127.0.0.1:{}", free_port());
    let addresses = [one.upstream.address.to_string(), nobody];
    let weir = Weir::start(&to(
        &addresses,
        "health: { active: { tcp: true, interval: 200ms, timeout: 200ms } }",
    ));
    wait_for_states(&weir, &["healthy", "unhealthy"]);
    assert_eq!(health(&weir)[1]["reason"], "connection refused");
    assert_eq!(one.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn another_port_may_be_asked() {
    let (one, check) = (Server::named("one"), Server::named("check"));
    check.turns(500);
    let port = check.upstream.address.port();
    let weir = Weir::start(&watched(
        &[&one],
        &format!("health: {{ active: {{ path: /healthz, port: {port}, interval: 1s }} }}"),
    ));
    wait_for_states(&weir, &["unhealthy"]);
    // The only one there is: better than none.
    assert_eq!(voices(&weir), ["one"]);
    assert_eq!(one.asked.load(Ordering::Relaxed), 0);
}
