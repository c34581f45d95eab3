use std::net::Ipv4Addr;
use std::time::Duration;

use http::HeaderName;
use http::header::COOKIE;
use weir_config::model::{Backend, Pin, StickyCookie};

use super::*;
use crate::traffic::shares::{Shares, side};

const CANARY: HeaderName = HeaderName::from_static("x-canary");

fn split(pins: Vec<Pin>, sticky: Option<Stickiness>) -> Split {
    let backend = |upstream| Backend {
        upstream,
        weight: 1,
    };
    Split {
        backends: (0..3).map(backend).collect(),
        pins,
        sticky,
        guard: None,
    }
}

fn sticky_cookie() -> Option<Stickiness> {
    Some(Stickiness::Cookie(StickyCookie {
        name: "side".into(),
        max_age: Some(Duration::from_secs(60)),
    }))
}

fn fields(pairs: &[(&HeaderName, &'static str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in pairs {
        fields.append((*name).clone(), HeaderValue::from_static(value));
    }
    fields
}

fn facts(fields: &Fields) -> Facts<'_> {
    Facts {
        fields,
        address: Ipv4Addr::new(192, 0, 2, 1).into(),
        path: "/items",
        is_secure: false,
    }
}

/// Places with a chance that always falls on this place of a line in three equal parts.
fn placed(split: &Split, fields: &Fields, chance: u32) -> Placed {
    let bounds = Shares::of(&[1.0, 1.0, 1.0]).bounds();
    let side = |place| side(bounds.iter().copied(), place);
    place(split, &facts(fields), side, || chance)
}

fn pin(by: PinBy, value: Option<&str>, backend: usize) -> Pin {
    Pin {
        by,
        value: value.map(str::to_owned),
        backend,
    }
}

#[test]
fn the_first_pin_that_holds_decides_before_anything_else() {
    let pins = vec![
        pin(PinBy::Header(CANARY), Some("always"), 2),
        pin(PinBy::Cookie("beta".into()), None, 1),
    ];
    let split = split(pins, sticky_cookie());
    let both = fields(&[(&CANARY, "always"), (&COOKIE, "beta=x; side=0")]);
    assert_eq!(placed(&split, &both, 0).backend, 2);
    let other = fields(&[(&CANARY, "Always"), (&COOKIE, "side=0; beta=")]);
    let one = placed(&split, &other, 0);
    assert_eq!(
        (one.backend, one.cookie),
        (1, None),
        "a pinned client gets no cookie"
    );
    assert_eq!(
        placed(&split, &fields(&[(&COOKIE, "betas=1")]), 0).backend,
        0
    );
}

#[test]
fn chance_decides_without_anything_to_stick_to() {
    let split = split(Vec::new(), None);
    for (chance, backend) in [(0, 0), (1 << 31, 1), (u32::MAX, 2)] {
        let placed = placed(&split, &Fields::new(), chance);
        assert_eq!((placed.backend, placed.cookie), (backend, None));
    }
}

#[test]
fn a_new_client_gets_the_cookie_that_brings_it_back() {
    let split = split(Vec::new(), sticky_cookie());
    let first = placed(&split, &Fields::new(), u32::MAX);
    assert_eq!(first.backend, 2);
    let cookie = first.cookie.unwrap();
    assert_eq!(
        cookie,
        "side=9999; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
    );
    let back = placed(&split, &fields(&[(&COOKIE, "side=9999")]), 0);
    assert_eq!((back.backend, back.cookie), (2, None));
}

#[test]
fn what_weir_did_not_write_counts_as_no_cookie() {
    let split = split(Vec::new(), sticky_cookie());
    for value in [
        "side=",
        "side=10000",
        "side=-1",
        "side=+1",
        "side= 9x",
        "side=99999",
    ] {
        let placed = placed(&split, &fields(&[(&COOKIE, value)]), 0);
        assert_eq!(placed.backend, 0, "{value}");
        assert!(placed.cookie.is_some(), "{value}");
    }
}

#[test]
fn a_key_stays_on_its_side_and_one_that_is_missing_leaves_it_to_chance() {
    let by = |key| split(Vec::new(), Some(Stickiness::Key(key)));
    let user = HeaderName::from_static("x-user");
    let split = by(HashKey::Header(user.clone()));
    let known = fields(&[(&user, "alice")]);
    let side = placed(&split, &known, 0).backend;
    for chance in [1 << 30, 1 << 31, u32::MAX] {
        assert_eq!(placed(&split, &known, chance).backend, side);
    }
    assert_eq!(placed(&split, &Fields::new(), u32::MAX).backend, 2);
    // An address has one place whether or not it is written as IPv6.
    let split = by(HashKey::Address);
    let mapped = Facts {
        address: "::ffff:192.0.2.1".parse().unwrap(),
        ..facts(&known)
    };
    let bounds = Shares::of(&[1.0, 1.0, 1.0]).bounds();
    let by_line = |place| super::super::shares::side(bounds.iter().copied(), place);
    let one = place(&split, &mapped, by_line, || 0);
    assert_eq!(one, placed(&split, &known, 0));
}

#[test]
fn keys_spread_as_the_shares_say() {
    let bounds = Shares::of(&[90.0, 10.0]).bounds();
    let split = split(Vec::new(), Some(Stickiness::Key(HashKey::Path)));
    let none = Fields::new();
    let canaries = (0..20_000).filter(|number| {
        let path = format!("/items/{number}");
        let facts = Facts {
            path: &path,
            ..facts(&none)
        };
        let by_line = |place| side(bounds.iter().copied(), place);
        place(&split, &facts, by_line, || 0).backend == 1
    });
    // Binomial: 2,000 expected, standard deviation 42.
    let canaries = canaries.count();
    assert!((1_790..2_210).contains(&canaries), "{canaries}");
}
