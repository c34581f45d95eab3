//! Overload, limits of one address, and this node's zone.

use std::time::Duration;

use super::{BASE, codes_of, loaded, options, refused, variables};
use crate::model::{Bans, MinimumRate, Overload};
use crate::{LoadOptions, load_text};

fn overload(settings: &str) -> Overload {
    loaded(&format!("{BASE}overload: {{{settings}}}\n"))
        .config
        .overload
}

#[test]
fn overload_means_what_it_says() {
    let default = Overload {
        delay: Some(Duration::from_millis(250)),
        memory: None,
        bans: None,
    };
    assert_eq!(loaded(BASE).config.overload, default);
    assert_eq!(overload("delay: false").delay, None);
    assert_eq!(overload("delay: 1s").delay, Some(Duration::from_secs(1)));
    assert_eq!(overload("memory: 1GiB").memory, Some(1 << 30));
    let bans = Bans {
        errors: 100,
        within: Duration::from_secs(10),
        ban_for: Duration::from_secs(300),
        statuses: vec![401, 403, 404, 429],
    };
    assert_eq!(overload("bans: true").bans, Some(bans));
    assert_eq!(overload("bans: false").bans, None);
    let bans = Bans {
        errors: 1,
        within: Duration::from_secs(1),
        ban_for: Duration::from_secs(3600),
        statuses: vec![],
    };
    let settings = "bans: {errors: 1, within: 1s, ban_for: 1h, statuses: []}";
    assert_eq!(overload(settings).bans, Some(bans));
}

#[test]
fn limits_of_slow_and_many_clients_mean_what_they_say() {
    let limits = |settings: &str| {
        let text = format!("{BASE}limits: {{{settings}}}\n");
        loaded(&text).config.limits
    };
    let default = MinimumRate {
        bytes_per_second: 240,
        grace: Duration::from_secs(5),
    };
    assert_eq!(loaded(BASE).config.limits.minimum_rate, Some(default));
    assert_eq!(limits("minimum_rate: true").minimum_rate, Some(default));
    assert_eq!(limits("minimum_rate: false").minimum_rate, None);
    let rate = MinimumRate {
        bytes_per_second: 1024,
        grace: Duration::from_secs(9),
    };
    let settings = "minimum_rate: {bytes: 1KiB, grace: 9s}";
    assert_eq!(limits(settings).minimum_rate, Some(rate));
    assert_eq!(limits("").connections_per_address, None);
    let settings = "connections_per_address: 20";
    assert_eq!(limits(settings).connections_per_address, Some(20));
}

#[test]
fn mistakes_in_overload_and_limits_are_reported() {
    for (settings, code) in [
        ("overload: {delay: true}", "WR0105"),
        ("overload: {delay: 0s}", "WR0105"),
        ("overload: {delay: []}", "WR0101"),
        ("overload: {delay: }", "WR0104"),
        ("overload: {memory: 1KiB}", "WR0106"),
        ("overload: {bans: {statuses: [200]}}", "WR0107"),
        ("overload: {bans: {errors: 0}}", "WR0107"),
        ("limits: {minimum_rate: {bytes: 0}}", "WR0106"),
        ("limits: {minimum_rate: 240}", "WR0101"),
        ("limits: {connections_per_address: 0}", "WR0107"),
    ] {
        let report = refused(&format!("{BASE}{settings}\n"));
        assert_eq!(codes_of(&report), [code], "{settings}");
    }
}

#[test]
fn the_zone_may_be_a_reference() {
    let load = |zone: &str| {
        let options = LoadOptions {
            variables: variables(&[("ZONE", "eu-1\n"), ("EMPTY", "")]),
            ..options()
        };
        load_text(&format!("{BASE}zone: {zone}\n"), "f", "".as_ref(), &options)
    };
    let zone = |zone: &str| load(zone).unwrap().config.zone;
    assert_eq!(zone("eu-2").as_deref(), Some("eu-2"));
    assert_eq!(zone("env:ZONE").as_deref(), Some("eu-1"));
    assert_eq!(loaded(BASE).config.zone, None);
    for (wrong, code) in [
        ("env:NOWHERE", "WR0302"),
        ("env:EMPTY", "WR0304"),
        ("'env:'", "WR0301"),
        ("''", "WR0121"),
    ] {
        let report = load(wrong).map(|_| ()).unwrap_err();
        assert_eq!(codes_of(&report), [code], "{wrong}");
    }
}
