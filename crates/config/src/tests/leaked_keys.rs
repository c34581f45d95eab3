//! Who may report keys that were found.

use std::time::Duration;

use super::{BASE, codes_of, options, refused, variables};
use crate::load_text;
use crate::model::{Keys, LeakedKeys, PublishedAt};

/// A key of GitHub, as it is published.
const KEYS: &str = r#"{"public_keys":[{"key_identifier":"a1","key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n","is_current":true}]}"#;

fn text(written: &str) -> String {
    format!("{BASE}identity: {{ leaked_keys: {written} }}\n")
}

fn leaked_keys(written: &str) -> (LeakedKeys, Vec<&'static str>) {
    let options = crate::LoadOptions {
        variables: variables(&[("KEYS", KEYS)]),
        ..options()
    };
    let loaded = load_text(&text(written), "weir.yaml", "".as_ref(), &options).unwrap();
    let warnings = loaded.warnings.iter().map(|warning| warning.code);
    (loaded.config.leaked_keys, warnings.collect())
}

#[test]
fn anybody_may_report_and_github_if_it_is_named() {
    let (usual, _) = leaked_keys("{}");
    assert_eq!(usual, LeakedKeys::default());
    assert!(usual.unsigned && usual.github.is_none());

    let (named, warnings) = leaked_keys("{ unsigned: false, github: {} }");
    let github = named.github.unwrap();
    assert!(!named.unsigned && warnings.is_empty());
    assert_eq!(github.types, ["weir_api_key"]);
    let Keys::Published(keys) = &github.keys else {
        panic!("the keys of GitHub are followed");
    };
    let place = "https://api.github.com/meta/public_keys/secret_scanning";
    assert_eq!(keys.source, PublishedAt::Url(place.to_owned()));
    assert_eq!(keys.refresh, Duration::from_secs(3_600));

    let (copied, _) = leaked_keys("{ github: { keys: 'env:KEYS', types: [a, b] } }");
    let github = copied.github.unwrap();
    let Keys::Set(set) = &github.keys else {
        panic!("a copy is read once");
    };
    assert_eq!(set.keys()[0].kid().unwrap().as_ref(), "a1");
    assert_eq!(github.types, ["a", "b"]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (written, code) in [
        ("{ unsigned: false }", "WR0206"),
        ("{ github: { types: [] } }", "WR0119"),
        ("{ github: { keys: 'file:no-such.json' } }", "WR0303"),
        ("{ github: { keys: github.com } }", "WR0301"),
        ("{ github: { refresh: 0s } }", "WR0105"),
        ("{ github: { allow: [everything] } }", "WR0110"),
        ("{ gitlab: {} }", "WR0103"),
    ] {
        assert_eq!(codes_of(&refused(&text(written))), [code], "{written}");
    }
}

#[test]
fn what_is_no_set_of_keys_is_refused_and_an_open_net_warned_of() {
    for content in ["", "{}", r#"{"keys":[]}"#, r#"{"public_keys":[]}"#] {
        let options = crate::LoadOptions {
            variables: variables(&[("KEYS", content)]),
            ..options()
        };
        let text = text("{ github: { keys: 'env:KEYS' } }");
        let Err(report) = load_text(&text, "weir.yaml", "".as_ref(), &options) else {
            panic!("loaded: {content}");
        };
        assert_eq!(codes_of(&report), ["WR0321"], "{content}");
    }
    let (_, warnings) = leaked_keys("{ github: { keys: 'http://keys.example/x' } }");
    assert_eq!(warnings, ["WR0512"]);
}
