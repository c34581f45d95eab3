//! Targets that announce themselves.

use std::time::Duration;

use weir_config::model::{Discovery, DiscoverySource};
use weir_discovery::{Registration, RegistrationError};

use crate::harness::{Running, UPSTREAM, from, wait_until};

fn settings(expiry: Duration) -> Discovery {
    let token = None;
    from(DiscoverySource::Registration { expiry, token })
}

fn at(address: &str) -> Registration {
    Registration {
        address: address.to_owned(),
        weight: 1,
        zone: None,
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_target_that_falls_silent_is_gone_but_the_last_one_stays() {
    let mut running = Running::start(settings(Duration::from_millis(600)));
    let discoverer = running.discoverer.clone();
    discoverer
        .register(UPSTREAM, "a", &at("10.0.0.1:80"))
        .unwrap();
    discoverer
        .register(UPSTREAM, "b", &at("10.0.0.2:80"))
        .unwrap();
    running.find(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    // Only one goes on to renew.
    wait_until("the other has expired", || {
        discoverer.renew(UPSTREAM, "a").unwrap();
        discoverer.registered(UPSTREAM).unwrap().len() == 1
    })
    .await;
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
    let lost = running.lost().await;
    assert_eq!(lost.error, "every registration has expired");
    assert_eq!(running.status().targets, 1);
    running.expect_nothing_new();
    discoverer
        .register(UPSTREAM, "c", &at("10.0.0.3:80"))
        .unwrap();
    assert_eq!(running.next().await, ["10.0.0.3:80"]);
    assert_eq!(running.status().lost, None);
}

#[tokio::test]
async fn whoever_takes_their_leave_is_gone_even_the_last() {
    let mut running = Running::start(settings(LONG));
    let discoverer = running.discoverer.clone();
    discoverer
        .register(UPSTREAM, "a", &at("10.0.0.1:80"))
        .unwrap();
    running.next().await;
    discoverer.deregister(UPSTREAM, "a").unwrap();
    assert_eq!(running.next().await, [""; 0]);
    assert_eq!(running.status().lost, None);
}

#[tokio::test]
async fn many_that_start_at_once_are_one_change() {
    let mut running = Running::start(settings(LONG));
    let discoverer = running.discoverer.clone();
    for number in 0..50 {
        let address = format!("10.0.0.{number}:80");
        discoverer
            .register(UPSTREAM, &number.to_string(), &at(&address))
            .unwrap();
    }
    let mut sets = 1;
    while running.next().await.len() < 50 {
        sets += 1;
    }
    assert!(sets < 25, "{sets} sets for 50 targets");
}

#[tokio::test]
async fn registrations_survive_a_restart() {
    let mut running = Running::start(settings(LONG));
    running
        .discoverer
        .register(UPSTREAM, "a", &at("10.0.0.1:80"))
        .unwrap();
    running.next().await;
    let data = running.end();
    let running = Running::start_in(data, settings(LONG));
    let registered = running.discoverer.registered(UPSTREAM).unwrap();
    assert_eq!(registered.len(), 1);
    assert_eq!(running.filled(settings(LONG)), ["10.0.0.1:80"]);
    running.discoverer.renew(UPSTREAM, "a").unwrap();
}

#[tokio::test]
async fn an_upstream_that_takes_no_registrations_says_so() {
    let running = Running::start(settings(LONG));
    let outcome = running
        .discoverer
        .register("other", "a", &at("10.0.0.1:80"));
    assert!(matches!(outcome, Err(RegistrationError::NoSuchUpstream)));
    running.discoverer.stop();
    let outcome = running
        .discoverer
        .register(UPSTREAM, "a", &at("10.0.0.1:80"));
    assert!(matches!(outcome, Err(RegistrationError::NoSuchUpstream)));
}
