//! Sources that lie, flood, drone on or fall silent: what was known stays.

use std::time::Duration;

use weir_config::model::{Discovery, DiscoverySource};

use crate::harness::{Api, Reply, Running, UPSTREAM, consul, from, kubernetes, wait_until};

const GOOD: &str = r#"[{"Node": {"Address": "10.0.0.1"}, "Service": {"Port": 80}}]"#;

/// An API that gave a good answer first.
async fn trusted() -> (Api, Running, Discovery) {
    let api = Api::start(|_| Reply::consul(1, GOOD)).await;
    let settings = Discovery {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..from(DiscoverySource::Consul(consul(&api)))
    };
    let mut running = Running::start(settings.clone());
    assert_eq!(running.next().await, ["10.0.0.1:80"]);
    (api, running, settings)
}

async fn expect_loss(running: &mut Running, error: &str) {
    wait_until(error, || {
        let lost = running.status().lost;
        lost.is_some_and(|lost| lost.error.contains(error))
    })
    .await;
    assert_eq!(running.status().targets, 1);
    running.expect_nothing_new();
}

#[tokio::test]
async fn ten_thousand_targets_are_refused_as_a_whole() {
    let (api, mut running, _) = trusted().await;
    api.now(|_| {
        let each = (0..10_000u32).map(|number| {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            format!(r#"{{"Node": {{"Address": "{address}"}}, "Service": {{"Port": 80}}}}"#)
        });
        let all = each.collect::<Vec<_>>().join(",");
        Reply::consul(2, format!("[{all}]"))
    });
    expect_loss(&mut running, "10000 targets, 1000 are allowed").await;
}

#[tokio::test]
async fn private_places_are_left_out() {
    let (api, mut running, _) = trusted().await;
    let instance =
        |host: &str| format!(r#"{{"Node": {{"Address": "{host}"}}, "Service": {{"Port": 80}}}}"#);
    let lies = [
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
        "2130706433",
    ];
    let lies = lies.map(instance).join(",");
    let only_lies = format!("[{lies}]");
    api.now(move |_| Reply::consul(2, only_lies.clone()));
    expect_loss(&mut running, "none of the answer's 5 targets can be used").await;
    let mixed = format!("[{lies},{}]", instance("10.0.0.7"));
    api.now(move |_| Reply::consul(3, mixed.clone()));
    assert_eq!(running.next().await, ["10.0.0.7:80"]);
    let left_out = running.status().left_out;
    // The loopback address in IPv6 dress is the loopback address once more.
    assert_eq!((left_out.outside_networks, left_out.names), (3, 1));
    assert_eq!(left_out.unusable, 1);
}

#[tokio::test]
async fn garbage_is_refused_whole() {
    let (api, mut running, _) = trusted().await;
    for garbage in [
        "",
        "<html>",
        r#"{"Node": 1}"#,
        r#"[{"Node": {"Address": "10.0.0.2"}, "Service": {"Port": 80}}, {"Node": {}}]"#,
        r#"[{"Node": {"Address": "10.0.0.2"}, "Service": {"Port": 65536}}]"#,
    ] {
        api.now(move |_| Reply::consul(2, garbage));
        expect_loss(&mut running, "not as expected").await;
        api.now(|_| Reply::consul(1, GOOD));
        wait_until("it is back", || running.status().lost.is_none()).await;
    }
    let deep = "[".repeat(100_000);
    api.now(move |_| Reply::consul(2, deep.clone()));
    expect_loss(&mut running, "not as expected").await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let (api, mut running, _) = trusted().await;
    api.now(|_| Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()));
    expect_loss(&mut running, "the exchange failed").await;
    // A head without end.
    api.now(|_| Reply::Raw([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 1 << 20]].concat()));
    expect_loss(&mut running, "too large").await;
    // A body that breaks off.
    api.now(|_| Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[".to_vec()));
    expect_loss(&mut running, "end of file before message length reached").await;
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let (api, mut running, _) = trusted().await;
    api.now(|_| Reply::Endless("[[[[[[[["));
    expect_loss(&mut running, "larger than 16777216 bytes").await;
}

#[tokio::test]
async fn a_watch_without_line_ends_is_cut() {
    let slice = r#"{"metadata": {"name": "a", "resourceVersion": "1"},
        "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}"#;
    let api = Api::start(move |asked| match asked.parameter("watch") {
        None => Reply::json(format!(
            r#"{{"metadata": {{"resourceVersion": "1"}}, "items": [{slice}]}}"#
        )),
        Some(_) => Reply::Endless("aaaaaaaa"),
    })
    .await;
    let mut running = Running::start(from(DiscoverySource::Kubernetes(kubernetes(&api))));
    running.next().await;
    expect_loss(&mut running, "larger than 4194304 bytes").await;
}

#[tokio::test]
async fn one_that_falls_silent_holds_up_no_other() {
    let (silent, running, settings) = trusted().await;
    silent.now(|_| Reply::Hold);
    wait_until("it waits", || silent.asked().len() >= 2).await;
    let other = Api::start(|_| Reply::consul(1, GOOD)).await;
    let of_other = from(DiscoverySource::Consul(consul(&other)));
    let both = [(UPSTREAM, Some(settings)), ("other", Some(of_other))];
    running.discoverer.apply(&crate::harness::config(&both));
    wait_until("the other is known", || {
        running.discoverer.status()["other"].targets == 1
    })
    .await;
    // Nor its own end.
    let data = tokio::time::timeout(Duration::from_secs(1), async { running.end() }).await;
    data.unwrap();
}
