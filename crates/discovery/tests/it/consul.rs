//! A server that speaks as Consul does.

use std::time::{Duration, Instant};

use weir_config::model::{ConsulSource, DiscoverySource};
use weir_core::Secret;

use crate::harness::{Api, Reply, Running, consul, from, wait_until};

/// Instances at these addresses.
fn instances(addresses: &[&str]) -> String {
    let each = addresses.iter().map(|address| {
        let (host, port) = address.rsplit_once(':').unwrap();
        format!(
            r#"{{"Node": {{"Address": "203.0.113.1"}},
                 "Service": {{"Address": "{host}", "Port": {port}}}, "Checks": []}}"#
        )
    });
    format!("[{}]", each.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn changes_come_as_they_happen() {
    let api = Api::start(|asked| match asked.parameter("index") {
        Some("0") => Reply::consul(7, instances(&["10.0.0.1:80"])),
        _ => Reply::Hold,
    })
    .await;
    let source = ConsulSource {
        tag: Some("v1".into()),
        datacenter: Some("eu".into()),
        token: Some(Secret::new("canary-7f3a".into())),
        ..consul(&api)
    };
    let mut running = Running::start(from(DiscoverySource::Consul(source)));
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
    wait_until("it waits for a change", || api.asked().len() == 2).await;
    api.now(|asked| match asked.parameter("index") {
        Some("7") => Reply::consul(8, instances(&["10.0.0.1:80", "10.0.0.2:80"])),
        _ => Reply::Hold,
    });
    assert_eq!(running.next().await, ["10.0.0.1:80", "10.0.0.2:80"]);
    let asked = api.asked();
    assert!(
        asked[1]
            .target
            .starts_with("/v1/health/service/catalog?passing=true&index=7&wait=")
    );
    assert!(asked[1].target.ends_with("&tag=v1&dc=eu"));
    assert!(asked[1].has("x-consul-token: canary-7f3a"), "{asked:?}");
    // A tenth more or less than two minutes.
    let wait = asked[1].parameter("wait").unwrap();
    let wait: u64 = wait.strip_suffix("ms").unwrap().parse().unwrap();
    assert!((108_000..=132_000).contains(&wait), "{wait}");
}

#[tokio::test]
async fn an_index_that_goes_backwards_begins_anew() {
    let api = Api::start(|asked| match asked.parameter("index") {
        Some("0") => Reply::consul(100, instances(&["10.0.0.1:80"])),
        Some("100") => Reply::consul(3, instances(&["10.0.0.2:80"])),
        _ => Reply::Hold,
    })
    .await;
    let mut running = Running::start(from(DiscoverySource::Consul(consul(&api))));
    running.find(&["10.0.0.2:80"]).await;
    wait_until("it began anew", || api.asked().len() >= 3).await;
    assert_eq!(api.asked()[2].parameter("index"), Some("0"));
}

#[tokio::test]
async fn answers_that_do_not_block_do_not_make_a_storm() {
    // Index 0 is what a broken Consul says; each answer comes at once.
    let api = Api::start(|_| Reply::consul(0, instances(&["10.0.0.1:80"]))).await;
    let began = Instant::now();
    let mut running = Running::start(from(DiscoverySource::Consul(consul(&api))));
    running.next().await;
    wait_until("it was asked five times", || api.asked().len() >= 5).await;
    assert!(began.elapsed() >= Duration::from_millis(800));
}

#[tokio::test]
async fn a_consul_that_is_lost_or_empties_leaves_what_was_known() {
    let script = |_: &crate::harness::Asked| Reply::consul(1, instances(&["10.0.0.1:80"]));
    let api = Api::start(script).await;
    let address = api.address;
    let mut running = Running::start(from(DiscoverySource::Consul(consul(&api))));
    running.next().await;

    api.now(|_| Reply::consul(2, "[]"));
    let lost = running.lost().await;
    assert_eq!(lost.error, "the answer has no targets");

    api.now(|_| Reply::Whole(500, String::new(), "no leader".into()));
    wait_until("the error is noted", || {
        let lost = running.status().lost;
        lost.is_some_and(|lost| lost.error.ends_with("answered 500 Internal Server Error"))
    })
    .await;

    drop(api);
    wait_until("the end is noted", || {
        let lost = running.status().lost;
        lost.is_some_and(|lost| lost.error.contains("cannot be reached"))
    })
    .await;
    assert_eq!(running.status().targets, 1);
    running.expect_nothing_new();

    let _api = Api::start_at(address, move |_| {
        Reply::consul(1, instances(&["10.0.0.1:80", "10.0.0.5:80"]))
    })
    .await;
    assert_eq!(running.next().await, ["10.0.0.1:80", "10.0.0.5:80"]);
    assert_eq!(running.status().lost, None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Api::start(|_| Reply::consul(1, instances(&["10.0.0.9:80"]))).await;
    let location = format!("Location: http://{}/\r\n", other.address);
    let api = Api::start(move |_| Reply::Whole(307, location.clone(), String::new())).await;
    let source = ConsulSource {
        token: Some(Secret::new("canary-7f3a".into())),
        ..consul(&api)
    };
    let running = Running::start(from(DiscoverySource::Consul(source)));
    let lost = running.lost().await;
    assert!(
        lost.error.contains("redirects are not followed"),
        "{lost:?}"
    );
    assert!(other.asked().is_empty());
}
