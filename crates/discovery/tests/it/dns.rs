//! A real DNS server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use weir_config::model::{Discovery, DiscoverySource, DnsRecord, DnsSource};

use crate::harness::{AAAA, Dnsmasq, Relay, Running, from, wait_until};

fn addresses(server: SocketAddr, least_ttl: u64, most_ttl: u64) -> Discovery {
    let record = DnsRecord::Addresses { port: 8080 };
    of("catalog.weir.test", record, server, least_ttl, most_ttl)
}

fn services(server: SocketAddr) -> Discovery {
    of("_http._tcp.weir.test", DnsRecord::Service, server, 1, 300)
}

fn of(
    name: &str,
    record: DnsRecord,
    server: SocketAddr,
    least_ttl: u64,
    most_ttl: u64,
) -> Discovery {
    from(DiscoverySource::Dns(DnsSource {
        name: name.to_owned(),
        record,
        servers: vec![server],
        least_ttl: Duration::from_secs(least_ttl),
        most_ttl: Duration::from_secs(most_ttl),
    }))
}

fn host(addresses: &str, ttl: u64) -> Vec<String> {
    let each = addresses.split(' ');
    each.map(|address| format!("--host-record=catalog.weir.test,{address},{ttl}"))
        .collect()
}

#[tokio::test]
async fn addresses_of_both_families_are_found_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &host("10.0.0.2 10.0.0.1 fd00::1", 1)).await;
    let mut running = Running::start(addresses(server.address, 1, 300));
    assert_eq!(
        running.next().await,
        ["10.0.0.1:8080", "10.0.0.2:8080", "fd00::1:8080"]
    );
    let address = server.address;
    drop(server);
    let lost = running.lost().await;
    assert!(lost.error.starts_with("catalog.weir.test: "), "{lost:?}");
    assert_eq!(running.status().targets, 3);
    let _server = Dnsmasq::start_at(address, directory.path(), &host("10.0.0.3", 1)).await;
    assert_eq!(running.next().await, ["10.0.0.3:8080"]);
    assert_eq!(running.status().lost, None);
}

#[tokio::test]
async fn an_answer_of_one_family_after_a_restart_leaves_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &host("10.0.0.1 fd00::1", 1)).await;
    let relay = Relay::start(server.address).await;
    let settings = addresses(relay.address, 1, 300);
    let mut running = Running::start(settings.clone());
    assert_eq!(running.next().await, ["10.0.0.1:8080", "fd00::1:8080"]);
    let data = running.end();
    relay.drop(AAAA);
    let running = Running::start_in(data, settings);
    wait_until("it was answered", || {
        running.status().last_success.is_some()
    })
    .await;
    assert_eq!(running.status().targets, 2);
}

#[tokio::test]
async fn more_services_than_allowed_are_refused_before_their_names_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let services_of =
        |number| format!("--srv-host=_http._tcp.weir.test,s{number}.weir.test,80,1,1");
    let options: Vec<String> = (0..3).map(services_of).collect();
    let server = Dnsmasq::start(directory.path(), &options).await;
    let settings = Discovery {
        most_targets: 2,
        ..services(server.address)
    };
    let running = Running::start(settings);
    let lost = running.lost().await;
    assert!(lost.error.contains("3 SRV records, 2 targets"), "{lost:?}");
    assert_eq!(server.queries("A", "s0.weir.test"), 0);
}

#[tokio::test]
async fn a_ttl_says_when_to_ask_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &host("10.0.0.1", 2)).await;
    let began = Instant::now();
    let mut running = Running::start(addresses(server.address, 1, 300));
    running.next().await;
    wait_until("it was asked four times", || {
        server.queries("A", "catalog.weir.test") >= 4
    })
    .await;
    // Three times the TTL; answers need a while too.
    let took = began.elapsed();
    assert!((5_800..9_000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_ttl_of_a_day_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &host("10.0.0.1", 86_400)).await;
    let mut running = Running::start(addresses(server.address, 1, 1));
    running.next().await;
    wait_until("it was asked again", || {
        server.queries("A", "catalog.weir.test") >= 3
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_needs_tcp_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<String> = (0..200).map(|number| format!("10.0.1.{number}")).collect();
    let server = Dnsmasq::start(directory.path(), &host(&all.join(" "), 60)).await;
    let mut running = Running::start(addresses(server.address, 1, 300));
    assert_eq!(running.next().await.len(), 200);
}

#[tokio::test]
async fn services_are_followed_to_their_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let options = [
        "--srv-host=_http._tcp.weir.test,a.weir.test,8081,10,30",
        "--srv-host=_http._tcp.weir.test,b.weir.test,8082,10,10",
        "--srv-host=_http._tcp.weir.test,gone.weir.test,8083,10,10",
        "--srv-host=_http._tcp.weir.test,spare.weir.test,8084,20,10",
        "--host-record=a.weir.test,10.0.0.1,fd00::1,60",
        "--host-record=b.weir.test,10.0.0.2,60",
        "--host-record=spare.weir.test,10.0.0.9,60",
    ];
    let options = options.map(str::to_owned);
    let server = Dnsmasq::start(directory.path(), &options).await;
    let mut running = Running::start(services(server.address));
    assert_eq!(
        running.next().await,
        ["10.0.0.1:8081", "10.0.0.2:8082", "fd00::1:8081"]
    );
    assert_eq!(running.status().left_out.unresolved, 1);
    let mut config = crate::harness::config(&[("catalog", Some(services(server.address)))]);
    running.discoverer.fill(&mut config);
    let weights: Vec<u32> = config.upstreams[0]
        .targets
        .iter()
        .map(|target| target.weight)
        .collect();
    assert_eq!(weights, [30, 10, 30]);
}

#[tokio::test]
async fn a_name_that_is_gone_leaves_what_was_known() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &host("10.0.0.1", 1)).await;
    let mut running = Running::start(addresses(server.address, 1, 300));
    running.next().await;
    let address = server.address;
    drop(server);
    // The name does not exist any more; the zone does.
    let _server = Dnsmasq::start_at(address, directory.path(), &[]).await;
    wait_until("the name is gone", || {
        let lost = running.status().lost;
        lost.is_some_and(|lost| lost.error.contains("no A or AAAA records"))
    })
    .await;
    assert_eq!(running.status().targets, 1);
    running.expect_nothing_new();
}

#[tokio::test]
async fn a_server_that_refuses_is_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let server = Dnsmasq::start(directory.path(), &[]).await;
    let record = DnsRecord::Addresses { port: 80 };
    // Not of the zone, and there is nobody to ask.
    let settings = of("catalog.example", record, server.address, 1, 300);
    let running = Running::start(settings);
    let lost = running.lost().await;
    assert!(lost.error.contains("Refused"), "{lost:?}");
}
