//! Splits and mirrors: what they mean, and their mistakes.

use std::time::Duration;

use super::{BASE, codes_of, loaded, refused};
use crate::model::{
    Action, Destination, Guard, GuardAction, HashKey, Mirror, Pin, PinBy, Priority, Share, Split,
    Stickiness, StickyCookie,
};

fn text(route: &str) -> String {
    format!(
        "{BASE}upstreams: {{a: {{targets: ['a:1']}}, b: {{targets: ['b:1']}}, c: {{targets: ['c:1']}}}}\n\
         routes:\n- {{name: r, {route}}}\n- {{name: all, match: {{path: /all/*}}, split: {{upstreams: \
         {{a: 1, b: 1, c: 1}}}}}}\n"
    )
}

#[track_caller]
fn split(settings: &str) -> Split {
    let loaded = loaded(&text(&format!("split: {settings}")));
    assert_eq!(loaded.warnings, []);
    match &loaded.config.routes[0].action {
        Action::Forward {
            to: Destination::Split(split),
            ..
        } => (**split).clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn codes(route: &str) -> Vec<&'static str> {
    match super::try_load(&text(route)) {
        Ok(loaded) => loaded.warnings.iter().map(|one| one.code).collect(),
        Err(report) => codes_of(&report),
    }
}

#[test]
fn upstreams_of_a_split_keep_their_written_order() {
    let shares = |split: &Split| -> Vec<(usize, u32)> {
        let backends = split.backends.iter();
        backends.map(|one| (one.upstream, one.weight)).collect()
    };
    let plain = split("{upstreams: {c: 0, a: 95, b: 1000000}}");
    assert_eq!(shares(&plain), [(2, 0), (0, 95), (1, 1_000_000)]);
    assert!(plain.pins.is_empty() && plain.sticky.is_none() && plain.guard.is_none());
}

#[test]
fn shares_can_be_percentages_with_fractions() {
    let weights = |settings: &str| -> Vec<u32> {
        let split = split(settings);
        split
            .backends
            .iter()
            .map(|backend| backend.weight)
            .collect()
    };
    assert_eq!(weights("{upstreams: {a: 95%, b: 5%}}"), [95, 5]);
    assert_eq!(weights("{upstreams: {a: 99.5%, b: 0.5%}}"), [995, 5]);
    assert_eq!(
        weights("{upstreams: {a: 99.9999%, b: 0.0001%, c: 0%}}"),
        [999_999, 1, 0]
    );
    let said = |settings: &str| codes(&format!("split: {settings}"));
    assert_eq!(said("{upstreams: {a: 99%, b: 0.5%}}"), ["WR0108"]);
    assert_eq!(said("{upstreams: {a: 99%, b: 1}}"), ["WR0205"]);
    assert_eq!(said("{upstreams: {a: 101%, b: 0%}}"), ["WR0108"]);
    assert_eq!(said("{upstreams: {a: 0.00001%}}"), ["WR0108"]);
    assert_eq!(said("{upstreams: {a: 99.5, b: 0.5}}"), ["WR0107", "WR0107"]);
    let guard = split("{upstreams: {a: 1, b: 1}, guard: {error_rate: 0.5%, latency: 1h}}").guard;
    let guard = guard.unwrap();
    assert_eq!(guard.error_rate.map(Share::percent), Some(0.5));
    assert_eq!(
        said("{upstreams: {a: 1, b: 1}, guard: {latency: 61m}}"),
        ["WR0105"]
    );
}

#[test]
fn splits_mean_what_they_say() {
    let split = split(
        "{upstreams: {b: 95, a: 5}, pin: [{header: X-Canary, value: always, upstream: a}, {cookie: \
         canary, upstream: b}], sticky: {cookie: side, max_age: 1h}, guard: {error_rate: 0%, \
         latency: 500ms, window: 1m, min_requests: 9, then: halt}}",
    );
    let pins = [
        Pin {
            by: PinBy::Header("x-canary".parse().unwrap()),
            value: Some("always".into()),
            backend: 1,
        },
        Pin {
            by: PinBy::Cookie("canary".into()),
            value: None,
            backend: 0,
        },
    ];
    assert_eq!(split.pins, pins);
    let cookie = StickyCookie {
        name: "side".into(),
        max_age: Some(Duration::from_secs(3600)),
    };
    assert_eq!(split.sticky, Some(Stickiness::Cookie(cookie)));
    let guard = Guard {
        error_rate: Share::of_millionths(0),
        latency: Some(Duration::from_millis(500)),
        window: Duration::from_secs(60),
        minimum_requests: 9,
        then: GuardAction::Halt,
    };
    assert_eq!(split.guard, Some(guard));
}

#[test]
fn sides_are_kept_by_what_is_chosen_and_guards_have_defaults() {
    let sticky =
        |sticky: &str| split(&format!("{{upstreams: {{a: 1, b: 1}}, sticky: {sticky}}}")).sticky;
    let key = |key| Some(Stickiness::Key(key));
    assert_eq!(sticky("address"), key(HashKey::Address));
    assert_eq!(sticky("path"), key(HashKey::Path));
    let header = HashKey::Header("x-tenant".parse().unwrap());
    assert_eq!(sticky("{header: x-tenant}"), key(header));
    let guard = split("{upstreams: {a: 1, b: 1}, guard: {error_rate: 5%}}").guard;
    let expected = Guard {
        error_rate: Share::of_millionths(50_000),
        latency: None,
        window: Duration::from_secs(30),
        minimum_requests: 50,
        then: GuardAction::Rollback,
    };
    assert_eq!(guard, Some(expected));
}

#[test]
fn mistakes_in_splits_are_reported() {
    let said = |settings: &str| codes(&format!("split: {settings}"));
    assert_eq!(said("{}"), ["WR0102"]);
    assert_eq!(said("{upstreams: {}}"), ["WR0119"]);
    assert_eq!(said("{upstreams: {a: 0, b: 0}}"), ["WR0119"]);
    assert_eq!(said("{upstreams: {a: -1}}"), ["WR0107"]);
    assert_eq!(said("{upstreams: {a: 1000001}}"), ["WR0107"]);
    assert_eq!(said("{upstreams: {a: 1, d: 0}}"), ["WR0201"]);
    assert_eq!(said("{upstreams: [a, b]}"), ["WR0101"]);
    let pin = |pin: &str| said(&format!("{{upstreams: {{a: 1, b: 1}}, pin: [{pin}]}}"));
    assert_eq!(pin("{upstream: a}"), ["WR0206"]);
    assert_eq!(pin("{header: x, cookie: y, upstream: a}"), ["WR0205"]);
    assert_eq!(pin("{header: x}"), ["WR0102"]);
    assert_eq!(pin("{header: x, upstream: c}"), ["WR0212"]);
    assert_eq!(pin("{header: 'x:', upstream: a}"), ["WR0112"]);
    assert_eq!(pin("{cookie: 'x y', upstream: a}"), ["WR0122"]);
    assert_eq!(pin("{cookie: x, value: '', upstream: a}"), ["WR0121"]);
    let twice = "{header: X, value: y, upstream: a}, {header: x, value: y, upstream: b}";
    assert_eq!(pin(twice), ["WR0211"]);
    let other = "{header: x, value: y, upstream: a}, {header: x, upstream: b}";
    assert_eq!(pin(other), [""; 0]);
    let sticky = |sticky: &str| said(&format!("{{upstreams: {{a: 1, b: 1}}, sticky: {sticky}}}"));
    assert_eq!(sticky("cookie"), ["WR0114"]);
    assert_eq!(sticky("{}"), ["WR0206"]);
    assert_eq!(sticky("{max_age: 1h}"), ["WR0206"]);
    assert_eq!(sticky("{header: x, max_age: 1h}"), ["WR0205"]);
    assert_eq!(sticky("{header: x, cookie: y}"), ["WR0205"]);
    assert_eq!(sticky("{cookie: 'a b'}"), ["WR0122"]);
    assert_eq!(
        said("{upstreams: {a: 1, b: 1}, guard: {window: 5s}}"),
        ["WR0206"]
    );
    assert_eq!(
        said("{upstreams: {a: 1}, guard: {latency: 5s}}"),
        ["WR0510"]
    );
}

#[test]
fn a_pin_to_an_upstream_that_is_not_there_is_reported_once() {
    let said = codes("split: {upstreams: {a: 1, d: 1}, pin: [{header: x, upstream: d}]}");
    assert_eq!(said, ["WR0201"]);
}

#[test]
fn a_route_does_one_thing() {
    assert_eq!(codes("upstream: a, split: {upstreams: {a: 1}}"), ["WR0205"]);
    let both = "split: {upstreams: {a: 1}}, redirect: {to: /b}";
    assert_eq!(codes(both), ["WR0205"]);
    assert_eq!(
        codes("redirect: {to: /b}, mirror: {upstream: a}"),
        ["WR0205"]
    );
    assert_eq!(codes("upstream: a, mirror: {upstream: d}"), ["WR0201"]);
    assert_eq!(codes("upstream: a, mirror: {}"), ["WR0102"]);
    assert_eq!(
        codes("upstream: a, mirror: {upstream: b, share: 5}"),
        ["WR0108"]
    );
    assert_eq!(codes("upstream: a, priority: urgent"), ["WR0114"]);
}

#[test]
fn mirrors_and_priorities_mean_what_they_say() {
    let config = loaded(&text(
        "upstream: a, priority: critical, mirror: {upstream: c, share: 10%, body_bytes: 1KiB, limit: 2}",
    ))
    .config;
    let mirror = |route: usize| match &config.routes[route].action {
        Action::Forward { mirror, .. } => *mirror,
        _ => None,
    };
    let expected = Mirror {
        upstream: 2,
        share: Share::of_millionths(100000).unwrap(),
        body_bytes: 1024,
        limit: 2,
    };
    assert_eq!(mirror(0), Some(expected));
    assert_eq!(config.routes[0].priority, Priority::Critical);
    assert_eq!(
        (mirror(1), config.routes[1].priority),
        (None, Priority::Normal)
    );
    let config = loaded(&text("upstream: a, mirror: {upstream: b}")).config;
    let Action::Forward { mirror, .. } = &config.routes[0].action else {
        panic!()
    };
    let expected = Mirror {
        upstream: 1,
        share: Share::of_millionths(1000000).unwrap(),
        body_bytes: 65_536,
        limit: 64,
    };
    assert_eq!(*mirror, Some(expected));
}

#[test]
fn upstreams_of_splits_and_mirrors_are_used() {
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: ['a:1']}}, b: {{targets: ['b:1']}}, c: {{targets: ['c:1']}}, \
         d: {{targets: ['d:1']}}}}\nroutes: [{{name: r, split: {{upstreams: {{a: 1, b: 0}}}}, mirror: \
         {{upstream: c}}}}]\n"
    );
    let warnings = loaded(&text).warnings;
    let said: Vec<_> = warnings
        .iter()
        .map(|one| (one.code, one.path.as_str()))
        .collect();
    assert_eq!(said, [("WR0504", "upstreams.d")]);
}

#[test]
fn values_of_pins_are_hidden_where_the_header_carries_secrets() {
    let report = refused(&text(
        "split: {upstreams: {a: 1}, pin: [{header: x-api-key, value: canary-7f3a, upstream: z}]}",
    ));
    assert!(!format!("{report} {}", report.to_json()).contains("canary-7f3a"));
}

#[test]
fn one_cookie_for_a_split_and_its_upstream_is_refused() {
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: ['a:1']}}, b: {{targets: ['b:1'], sticky: {{cookie: side}}}}}}\n\
         routes:\n- name: r\n  split: {{upstreams: {{a: 1, b: 1}}, sticky: {{cookie: side}}}}\n"
    );
    let report = refused(&text);
    assert_eq!(codes_of(&report), ["WR0205"]);
    let found = &report.diagnostics[0];
    assert_eq!(
        (found.line, found.path.as_str()),
        (5, "routes[0].split.sticky.cookie")
    );
    assert_eq!(found.message, "the upstream `b` has the cookie `side`, too");
    loaded(&text.replacen("cookie: side", "cookie: server", 1));
}

#[test]
fn what_does_nothing_in_a_split_is_said() {
    for route in [
        "split: {upstreams: {a: 1}, sticky: {cookie: side}}",
        "split: {upstreams: {a: 1, b: 1}, guard: {error_rate: 100%}}",
        "upstream: a, mirror: {upstream: b, share: 0%}",
    ] {
        assert_eq!(codes(route), ["WR0510"], "{route}");
    }
}
