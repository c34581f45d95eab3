//! What stays over revisions, restarts and changed sources.

use weir_config::model::{Discovery, DiscoverySource};

use crate::harness::{Api, Reply, Running, UPSTREAM, config, consul, from, wait_until};

const ONE: &str = r#"[{"Node": {"Address": "10.0.0.1"}, "Service": {"Port": 80}}]"#;

/// A Consul that answers once and then waits for changes.
async fn api(answer: &'static str) -> Api {
    Api::start(move |asked| match asked.parameter("index") {
        Some("0") => Reply::consul(1, answer),
        _ => Reply::Hold,
    })
    .await
}

fn settings(api: &Api) -> Discovery {
    from(DiscoverySource::Consul(consul(api)))
}

#[tokio::test]
async fn a_source_that_stays_is_not_disturbed() {
    let api = api(ONE).await;
    let mut running = Running::start(settings(&api));
    running.next().await;
    wait_until("it waits for a change", || api.asked().len() == 2).await;
    let other = from(DiscoverySource::File {
        path: running.data.path().join("targets.yaml"),
    });
    std::fs::write(running.data.path().join("targets.yaml"), "[10.0.0.9:80]").unwrap();
    for _ in 0..20 {
        let both = [
            (UPSTREAM, Some(settings(&api))),
            ("other", Some(other.clone())),
        ];
        running.discoverer.apply(&config(&both));
    }
    // The other is new, so that its set comes; and nothing else does.
    assert_eq!(running.next().await, ["10.0.0.9:80"]);
    running.expect_nothing_new();
    assert_eq!(api.asked().len(), 2);
    assert_eq!(running.filled(settings(&api)), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn the_last_known_targets_outlive_the_process() {
    let api = api(ONE).await;
    let mut running = Running::start(settings(&api));
    running.next().await;
    let file = running.data.path().join("discovery/catalog.json");
    wait_until("it is kept", || file.exists()).await;
    let settings = settings(&api);
    drop(api);
    let data = running.end();
    let running = Running::start_in(data, settings.clone());
    assert_eq!(running.filled(settings.clone()), ["10.0.0.1:80"]);
    running.lost().await;
    assert_eq!(running.status().targets, 1);
    assert_eq!(running.status().last_success, None);
    // Those of another service are not this one's.
    let DiscoverySource::Consul(mut source) = settings.source else {
        panic!("not consul");
    };
    source.service = "orders".into();
    let data = running.end();
    let other = from(DiscoverySource::Consul(source));
    let running = Running::start_in(data, other.clone());
    assert_eq!(running.filled(other), [""; 0]);
}

#[tokio::test]
async fn another_source_begins_with_what_is_known_until_it_answers() {
    let api = api(ONE).await;
    let mut running = Running::start(settings(&api));
    running.next().await;
    let path = running.data.path().join("targets.yaml");
    let file = from(DiscoverySource::File { path: path.clone() });
    running
        .discoverer
        .apply(&config(&[(UPSTREAM, Some(file.clone()))]));
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
    running.lost().await;
    assert_eq!(running.filled(file), ["10.0.0.1:80"]);
    std::fs::write(&path, "[10.0.0.2:80]").unwrap();
    assert_eq!(running.next().await, ["10.0.0.2:80"]);
}

#[tokio::test]
async fn narrower_networks_hold_at_once() {
    let api = api(
        r#"[{"Node": {"Address": "10.0.0.1"}, "Service": {"Port": 80}},
            {"Node": {"Address": "192.168.0.1"}, "Service": {"Port": 80}}]"#,
    )
    .await;
    let mut running = Running::start(settings(&api));
    assert_eq!(running.next().await.len(), 2);
    api.now(|_| Reply::Hold);
    let narrow = Discovery {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..settings(&api)
    };
    assert_eq!(running.filled(narrow.clone()), ["10.0.0.1:80"]);
    running
        .discoverer
        .apply(&config(&[(UPSTREAM, Some(narrow))]));
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
}

#[tokio::test]
async fn an_upstream_that_is_gone_leaves_nothing_behind() {
    let api = api(ONE).await;
    let mut running = Running::start(settings(&api));
    running.next().await;
    let file = running.data.path().join("discovery/catalog.json");
    wait_until("it is kept", || file.exists()).await;
    running.discoverer.apply(&config(&[(UPSTREAM, None)]));
    assert!(running.discoverer.status().is_empty());
    wait_until("its file is gone", || !file.exists()).await;
    running.expect_nothing_new();
}

#[tokio::test]
async fn what_cannot_be_kept_is_used_all_the_same() {
    let api = api(ONE).await;
    let data = tempfile::tempdir().unwrap();
    // A file where the directory would be.
    std::fs::write(data.path().join("discovery"), "").unwrap();
    let mut running = Running::start_in(data, settings(&api));
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
}
