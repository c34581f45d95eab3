//! What is no certificate, or none that can be used.

use rcgen::date_time_ymd;
use serde_json::json;

use super::{
    LISTENERS, SHOP, change, config, document, made, openssl, s_client, self_signed, served,
};
use crate::api::World;
use crate::harness::Authority;
use crate::revisions::server;

#[tokio::test(flavor = "multi_thread")]
async fn hostile_certificates_are_refused_and_nothing_is_changed() {
    let upstream = server();
    let world = World::begin_with(&config(&upstream, LISTENERS)).await;
    let (owner, authority) = (&world.owner, Authority::new("test"));
    let leaf = authority.issue("shop", &["shop.test"]);
    let other = authority.issue("other", &["other.test"]);
    made(&change(owner, SHOP, &document(&other)));
    let (expired, expired_key) = self_signed(|params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let (many, many_key) = self_signed(|params| {
        let names = (0..10_000).map(|index| format!("h{index}.shop.test").try_into().unwrap());
        params.subject_alt_names = names.map(rcgen::SanType::DnsName).collect();
    });
    let encrypted = openssl(&["pkey", "-aes256", "-passout", "pass:x"], &leaf.key);
    let large = leaf
        .certificate
        .repeat((900 << 10) / leaf.certificate.len());
    let with = |certificate: &str, key: &str| json!({"certificate": certificate, "key": key});
    let nul = leaf.certificate.replacen('\n', "\n\0", 1);
    let cases = [
        (
            "another's key",
            with(&leaf.certificate, &other.key),
            "WR0601",
        ),
        (
            "expired",
            with(&expired, &expired_key.serialize_pem()),
            "WR0306",
        ),
        (
            "ten thousand names",
            with(&many, &many_key.serialize_pem()),
            "WR0305",
        ),
        ("nearly a megabyte", with(&large, &leaf.key), "WR0305"),
        (
            "an encrypted key",
            with(&leaf.certificate, &encrypted),
            "WR0308",
        ),
        (
            "a certificate as key",
            with(&leaf.certificate, &leaf.certificate),
            "WR0308",
        ),
        ("a key as certificate", with(&leaf.key, &leaf.key), "WR0305"),
        (
            "both in one",
            with(&format!("{}{}", leaf.certificate, leaf.key), &leaf.key),
            "WR0305",
        ),
        (
            "the authority first",
            with(
                &format!("{}{}", authority.pem(), leaf.certificate),
                &leaf.key,
            ),
            "WR0602",
        ),
        (
            "a reference",
            with("file:installation.key", "env:HOME"),
            "WR0312",
        ),
        (
            "no such listener",
            json!({"certificate": leaf.certificate, "key": leaf.key, "listeners": ["127.0.0.1:1"]}),
            "WR0214",
        ),
        (
            "a listener without TLS",
            json!({"certificate": leaf.certificate, "key": leaf.key, "listeners": [world.weir.http().to_string()]}),
            "WR0214",
        ),
        (
            "a number",
            json!({"certificate": 7, "key": [leaf.key]}),
            "WR0305",
        ),
        ("nothing", json!({}), "WR0102"),
    ];
    for (what, document, code) in cases {
        let refused = change(owner, SHOP, &document);
        assert_eq!(refused.status(), 422, "{what}: {}", refused.text());
        let text = refused.text();
        assert!(text.contains(code), "{what}: {text}");
        for secret in [&leaf.key, &other.key, &encrypted] {
            let line = secret.lines().nth(1).unwrap();
            assert!(!text.contains(line), "{what}: {text}");
        }
    }
    for (what, document) in [
        ("a NUL", with(&nul, &leaf.key)),
        ("dots for a chain", with("•••", "•••")),
        (
            "what is Weir's",
            json!({"certificate": leaf.certificate, "$sealed": {"/key": "AA"}}),
        ),
        ("no mapping", json!([leaf.certificate])),
    ] {
        let refused = change(owner, SHOP, &document);
        refused.assert_problem(422, "invalid");
        assert!(!refused.text().contains("PRIVATE"), "{what}");
    }
    let more = change(owner, SHOP, &with(&large.repeat(2), &leaf.key));
    more.assert_problem(413, "body_too_large");
    assert_eq!(world.weir.revision()["resources"], 1);
    assert_eq!(
        served(&authority, world.weir.https(), "other.test"),
        other.der
    );
    // As large as clients take.
    let (fits, fits_key) = self_signed(|params| {
        let names = (0..1_500).map(|index| format!("h{index}.shop.test").try_into().unwrap());
        params.subject_alt_names = names.map(rcgen::SanType::DnsName).collect();
    });
    made(&change(
        owner,
        SHOP,
        &with(&fits, &fits_key.serialize_pem()),
    ));
    let said = s_client(world.weir.https(), Some("h1499.shop.test"));
    assert!(said.contains("subject=CN = shop"), "{said}");
}
