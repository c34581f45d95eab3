//! Balancing, health and resilience: what they mean, and their mistakes.

use std::time::Duration;

use http::Method;

use super::{BASE, codes_of, loaded, refused};
use crate::model::{
    ActiveCheck, Balance, Breaker, Concurrency, HashKey, Health, Hedge, PassiveCheck, Probe,
    RetryCondition, StickyCookie, Upstream, Zones,
};

fn text(settings: &str) -> String {
    let upstream = format!("{{targets: ['a:1', 'b:1'], {settings}}}");
    format!("{BASE}upstreams: {{a: {upstream}}}\nroutes: [{{name: a, upstream: a}}]\n")
}

/// The upstream with these settings, which are not even worth a warning.
#[track_caller]
fn upstream(settings: &str) -> Upstream {
    let loaded = loaded(&text(settings));
    assert_eq!(loaded.warnings, []);
    loaded.config.upstreams[0].clone()
}

/// Codes and places of what is said about these settings.
#[track_caller]
fn said(settings: &str) -> Vec<(&'static str, String)> {
    let diagnostics = match super::try_load(&text(settings)) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    };
    let said = diagnostics.into_iter().map(|one| {
        let path = one.path.strip_prefix("upstreams.a").unwrap_or(&one.path);
        (one.code, path.trim_start_matches('.').to_owned())
    });
    said.collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn upstreams_without_settings_have_their_defaults() {
    let upstream = upstream("");
    assert_eq!(upstream.balance, Balance::RoundRobin);
    assert_eq!(upstream.sticky, None);
    let zones = Zones {
        prefer_own: true,
        overflow_below_percent: 70,
    };
    assert_eq!(upstream.zones, zones);
    let health = Health {
        active: None,
        passive: Some(PassiveCheck {
            consecutive_failures: 5,
            statuses: vec![],
            failure_rate_percent: None,
            minimum_requests: 100,
            eject_for: seconds(30),
            max_ejected_percent: 50,
        }),
        slow_start: Duration::ZERO,
        panic_threshold_percent: 50,
    };
    assert_eq!(upstream.health, health);
    assert!(upstream.discovery.is_none());
    assert_eq!((upstream.breaker, upstream.concurrency), (None, None));
    assert_eq!((upstream.hedge, upstream.timeouts.total), (None, None));
    assert_eq!(upstream.retry.backoff, Duration::from_millis(25));
}

#[test]
fn balancing_means_what_it_says() {
    let balance = |settings: &str| upstream(settings).balance;
    assert_eq!(balance("balance: peak_ewma"), Balance::PeakEwma);
    for (hash, key) in [
        ("", HashKey::Address),
        ("hash: address", HashKey::Address),
        ("hash: path", HashKey::Path),
        (
            "hash: {header: X-Tenant}",
            HashKey::Header("x-tenant".parse().unwrap()),
        ),
        ("hash: {cookie: SID}", HashKey::Cookie("SID".into())),
    ] {
        let settings = format!("balance: consistent_hash, {hash}");
        assert_eq!(balance(&settings), Balance::ConsistentHash(key), "{hash}");
    }
    let sticky = |name: &str, max_age| {
        Some(StickyCookie {
            name: name.into(),
            max_age,
        })
    };
    assert_eq!(
        upstream("sticky: {cookie: weir, max_age: 1h}").sticky,
        sticky("weir", Some(seconds(3600)))
    );
    assert_eq!(
        upstream("sticky: {cookie: weir}").sticky,
        sticky("weir", None)
    );
    let zones = upstream("zones: {prefer_own: false, overflow_below: 0%}").zones;
    assert_eq!((zones.prefer_own, zones.overflow_below_percent), (false, 0));
}

#[test]
fn mistakes_in_balancing_are_reported_at_their_place() {
    let at = |code, path: &str| vec![(code, path.to_owned())];
    for settings in ["hash: path", "balance: peak_ewma, hash: {header: a}"] {
        assert_eq!(said(settings), at("WR0205", ""), "{settings}");
    }
    let hashed = |hash: &str| said(&format!("balance: consistent_hash, hash: {hash}"));
    assert_eq!(hashed("{}"), at("WR0206", "hash"));
    assert_eq!(hashed("adress"), at("WR0114", "hash"));
    assert_eq!(hashed("{header: a, cookie: b}"), at("WR0205", "hash"));
    assert_eq!(hashed("{header: 'a b'}"), at("WR0112", "hash.header"));
    assert_eq!(hashed("{cookie: 'a=b'}"), at("WR0122", "hash.cookie"));
    assert_eq!(said("sticky: {max_age: 1h}"), at("WR0102", "sticky"));
    assert_eq!(
        said("sticky: {cookie: 'a;b'}"),
        at("WR0122", "sticky.cookie")
    );
    assert_eq!(
        said("sticky: {cookie: a, max_age: 0s}"),
        at("WR0105", "sticky.max_age")
    );
    assert_eq!(
        said("zones: {overflow_below: 101%}"),
        at("WR0108", "zones.overflow_below")
    );
    assert_eq!(
        said("zones: {prefer_own: true}"),
        at("WR0510", "zones.prefer_own")
    );
    assert_eq!(said("zones: {overflow_below: 50%}"), []);
}

#[test]
fn a_preferred_zone_is_fine_where_the_node_has_one() {
    let zoned = format!("zone: eu-1\n{}", text("zones: {prefer_own: true}"));
    let loaded = loaded(&zoned);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.zone.as_deref(), Some("eu-1"));
}

#[test]
fn health_means_what_it_says() {
    let health = upstream(
        "health: {active: {path: '/health?full=1', method: HEAD, host: 'a.internal:8080', \
         status: [204, 300-399], port: 9090, interval: 5s, timeout: 500ms, unhealthy_after: 1, \
         healthy_after: 4}, passive: {consecutive_failures: 0, statuses: [502, 429], failure_rate: \
         40%, min_requests: 10, eject_for: 1m, max_ejected: 100%}, slow_start: 1m, \
         panic_threshold: 0%}",
    )
    .health;
    let active = ActiveCheck {
        probe: Probe::Http {
            method: Method::HEAD,
            path: "/health?full=1".into(),
            host: Some("a.internal:8080".into()),
            statuses: vec![204..=204, 300..=399],
        },
        interval: seconds(5),
        timeout: Duration::from_millis(500),
        unhealthy_after: 1,
        healthy_after: 4,
        port: Some(9090),
    };
    let passive = PassiveCheck {
        consecutive_failures: 0,
        statuses: vec![502, 429],
        failure_rate_percent: Some(40),
        minimum_requests: 10,
        eject_for: seconds(60),
        max_ejected_percent: 100,
    };
    let expected = Health {
        active: Some(active),
        passive: Some(passive),
        slow_start: seconds(60),
        panic_threshold_percent: 0,
    };
    assert_eq!(health, expected);

    let health = upstream("health: {active: {tcp: true}, passive: false}").health;
    let active = health.active.unwrap();
    assert_eq!((active.probe, active.port), (Probe::Tcp, None));
    assert_eq!((active.interval, active.timeout), (seconds(2), seconds(1)));
    assert_eq!((active.unhealthy_after, active.healthy_after), (3, 2));
    assert_eq!(health.passive, None);

    let default = upstream("").health;
    assert_eq!(upstream("health: {passive: true}").health, default);
    let health = upstream("health: {active: {path: /, tcp: false}}").health;
    let expected = Probe::Http {
        method: Method::GET,
        path: "/".into(),
        host: None,
        statuses: vec![200..=399],
    };
    assert_eq!(health.active.unwrap().probe, expected);
}

#[test]
fn mistakes_in_health_are_reported_at_their_place() {
    let active = |settings: &str| said(&format!("health: {{active: {{{settings}}}}}"));
    let at = |code, path: &str| vec![(code, path.to_owned())];
    assert_eq!(active(""), at("WR0206", "health.active"));
    assert_eq!(active("interval: 5s"), at("WR0206", "health.active"));
    assert_eq!(active("tcp: false"), at("WR0206", "health.active"));
    assert_eq!(active("tcp: yes"), at("WR0101", "health.active.tcp"));
    assert_eq!(active("path: /, tcp: true"), at("WR0205", "health.active"));
    assert_eq!(
        active("tcp: true, status: [200]"),
        at("WR0205", "health.active")
    );
    assert_eq!(active("path: healthz"), at("WR0116", "health.active.path"));
    assert_eq!(active("path: '/a b'"), at("WR0116", "health.active.path"));
    assert_eq!(
        active("path: /, method: POST"),
        at("WR0114", "health.active.method")
    );
    assert_eq!(
        active("path: /, host: a/b"),
        at("WR0115", "health.active.host")
    );
    assert_eq!(
        active("path: /, status: []"),
        at("WR0119", "health.active.status")
    );
    for status in ["600", "99", "2xx", "399-200", "200-", "200-299-399", "''"] {
        let place = at("WR0107", "health.active.status[0]");
        assert_eq!(
            active(&format!("path: /, status: [{status}]")),
            place,
            "{status}"
        );
    }
    assert_eq!(
        active("tcp: true, port: 0"),
        at("WR0107", "health.active.port")
    );
    assert_eq!(
        active("tcp: true, interval: 0s"),
        at("WR0105", "health.active.interval")
    );
    assert_eq!(
        active("tcp: true, timeout: 3s"),
        at("WR0509", "health.active.timeout")
    );
    assert_eq!(active("tcp: true, timeout: 2s"), []);

    let passive = |settings: &str| said(&format!("health: {{passive: {settings}}}"));
    assert_eq!(passive("[]"), at("WR0101", "health.passive"));
    assert_eq!(
        passive("{statuses: [200]}"),
        at("WR0107", "health.passive.statuses[0]")
    );
    assert_eq!(
        passive("{failure_rate: 0%}"),
        at("WR0108", "health.passive.failure_rate")
    );
    assert_eq!(
        passive("{min_requests: 5}"),
        at("WR0510", "health.passive.min_requests")
    );
    let nothing = at("WR0510", "health.passive.consecutive_failures");
    assert_eq!(passive("{consecutive_failures: 0}"), nothing);
}

#[test]
fn resilience_means_what_it_says() {
    let upstream = upstream(
        "retry: {when: [timeout, 503], backoff: 0s}, hedge: {after: 50ms, attempts: 3}, timeouts: \
         {first_byte: 5s, total: 20s}, breaker: {error_rate: 20%, slow_call: 1s, slow_rate: 90%, \
         window: 30s, min_requests: 7, open_for: 2s, probes: 1}, concurrency: {limit: 10, queue: 0, \
         wait: 2s}",
    );
    assert_eq!(upstream.retry.when[0], RetryCondition::Timeout);
    assert_eq!(upstream.retry.backoff, Duration::ZERO);
    let hedge = Hedge {
        after: Duration::from_millis(50),
        attempts: 3,
    };
    assert_eq!(upstream.hedge, Some(hedge));
    assert_eq!(upstream.timeouts.total, Some(seconds(20)));
    let breaker = Breaker {
        error_rate_percent: 20,
        slow_call: Some(seconds(1)),
        slow_rate_percent: 90,
        window: seconds(30),
        minimum_requests: 7,
        open_for: seconds(2),
        probes: 1,
    };
    assert_eq!(upstream.breaker, Some(breaker));
    let concurrency = Concurrency {
        limit: 10,
        queue: 0,
        wait: seconds(2),
    };
    assert_eq!(upstream.concurrency, Some(concurrency));
}

#[test]
fn what_is_switched_on_has_its_defaults() {
    let breaker = Breaker {
        error_rate_percent: 50,
        slow_call: None,
        slow_rate_percent: 80,
        window: seconds(10),
        minimum_requests: 20,
        open_for: seconds(5),
        probes: 3,
    };
    assert_eq!(upstream("breaker: true").breaker, Some(breaker));
    assert_eq!(upstream("breaker: {}").breaker, Some(breaker));
    assert_eq!(upstream("breaker: false").breaker, None);
    let concurrency = Concurrency {
        limit: 64,
        queue: 64,
        wait: seconds(1),
    };
    let settings = "concurrency: {limit: 64}, hedge: {after: 1s}";
    assert_eq!(upstream(settings).concurrency, Some(concurrency));
    assert_eq!(upstream(settings).hedge.unwrap().attempts, 1);
}

#[test]
fn mistakes_in_resilience_are_reported_at_their_place() {
    let at = |code, path: &str| vec![(code, path.to_owned())];
    assert_eq!(
        said("retry: {when: [timeuot]}"),
        at("WR0114", "retry.when[0]")
    );
    assert_eq!(said("hedge: {attempts: 1}"), at("WR0102", "hedge"));
    assert_eq!(
        said("hedge: {after: 1s, attempts: 4}"),
        at("WR0107", "hedge.attempts")
    );
    assert_eq!(said("hedge: {after: 15s}"), at("WR0509", "hedge.after"));
    assert_eq!(
        said("hedge: {after: 1s}, retry: {budget: 0%}"),
        at("WR0510", "hedge")
    );
    // The mistake of one is not blamed on the other.
    let unreadable = said("hedge: {after: 1s}, timeouts: {first_byte: 5}");
    assert_eq!(unreadable, at("WR0105", "timeouts.first_byte"));
    assert_eq!(
        said("timeouts: {first_byte: 9s, total: 8s}"),
        at("WR0509", "timeouts.first_byte")
    );
    assert_eq!(said("timeouts: {first_byte: 8s, total: 8s}"), []);
    assert_eq!(said("timeouts: {total: 8s}"), []);
    assert_eq!(
        said("timeouts: {total: 0s}"),
        at("WR0105", "timeouts.total")
    );
    assert_eq!(
        said("breaker: {error_rate: 0%}"),
        at("WR0108", "breaker.error_rate")
    );
    assert_eq!(
        said("breaker: {slow_rate: 50%}"),
        at("WR0510", "breaker.slow_rate")
    );
    assert_eq!(
        said("breaker: {slow_call: 1m}"),
        at("WR0509", "breaker.slow_call")
    );
    assert_eq!(said("breaker: 'true'"), at("WR0101", "breaker"));
    assert_eq!(said("concurrency: {}"), at("WR0102", "concurrency"));
    assert_eq!(
        said("concurrency: {limit: 0}"),
        at("WR0107", "concurrency.limit")
    );
    let waits = "concurrency: {limit: 1, wait: 5s}, timeouts: {total: 5s}";
    assert_eq!(said(waits), at("WR0509", "concurrency.wait"));
    assert_eq!(said("concurrency: {limit: 1}, timeouts: {total: 1s}"), []);
}

#[test]
fn an_upstream_says_where_its_servers_are() {
    let with =
        |upstream: &str| codes_of(&refused(&format!("{BASE}upstreams: {{a: {upstream}}}\n")));
    let reported = |upstream: &str, code: &str| with(upstream).contains(&code);
    assert!(reported("{}", "WR0206") && reported("{balance: round_robin}", "WR0206"));
    assert!(
        !reported("{target: ['a:1']}", "WR0206"),
        "a slip of the key"
    );
    assert!(reported(
        "{targets: ['a:1'], discovery: {file: a}}",
        "WR0205"
    ));
}
