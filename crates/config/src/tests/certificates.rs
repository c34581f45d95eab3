//! Certificates by name, in the file and beside it.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::{Folder, options, resource};
use crate::model::Source;
use crate::{
    CertificateFacts, Document, LoadOptions, Loaded, Report, ResourceKind, ResourceName, Resources,
    Severity, load_text,
};

const TLS: &str = "listeners: [{address: 127.0.0.1:8443, tls: {}}]\n";
const CHAIN: &str = include_str!("../../testdata/tls.crt");
const KEY: &str = include_str!("../../testdata/tls.key");
const EXPIRED: &str = include_str!("../../testdata/expired.crt");

fn load(text: &str, documents: Vec<Document>) -> Result<Loaded, Report> {
    let options = LoadOptions {
        resources: Some(Arc::new(Resources::new(7, documents))),
        ..options()
    };
    load_text(text, "weir.yaml", Folder::new().path(), &options)
}

fn certificate(name: &str, chain: &str, key: &str) -> Document {
    let text = json!({"certificate": chain, "key": key}).to_string();
    resource("certificate", name, &text)
}

fn found(result: Result<Loaded, Report>) -> Vec<(&'static str, Severity, String, String)> {
    let diagnostics = match result {
        Ok(loaded) => loaded.warnings,
        Err(report) => {
            assert!(!report.render(false).contains("MIGH"), "{report}");
            report.diagnostics
        }
    };
    let of = |one: crate::Diagnostic| (one.code, one.severity, one.file, one.path);
    diagnostics.into_iter().map(of).collect()
}

#[test]
fn listeners_have_those_that_are_for_them() {
    let text = "listeners:
- {address: 127.0.0.1:8443, tls: {}}
- {address: 127.0.0.1:9443, tls: {certificate: file:tls.crt, key: file:tls.key}}
- {address: 127.0.0.1:8080}
certificates:
  b: {certificate: file:tls.crt, key: file:tls.key, listeners: ['127.0.0.1:8443']}
  c: {certificate: file:nameless.crt, key: file:tls.key}
";
    let loaded = load(text, vec![certificate("a", CHAIN, KEY)]).unwrap();
    let names = |index: usize| {
        let tls = loaded.config.listeners[index].tls.as_ref().unwrap();
        let names = tls.named.iter().map(|one| one.name.as_str());
        names.collect::<Vec<_>>()
    };
    // The file's first.
    assert_eq!(names(0), ["b", "c", "a"]);
    assert_eq!(names(1), ["c", "a"]);
    let all = &loaded.config.certificates;
    assert!(all[2].is_beside && !all[0].is_beside);
    let key = &all[2].certificate.key;
    assert_eq!(key.source, Source::Resource("key".into()));
    assert_eq!(key.bytes.expose().as_ref(), KEY.as_bytes());
    assert!(!format!("{:?}", loaded.config).contains("PRIVATE KEY"));
    let shown: Vec<_> = loaded.config.certificates_by_name().collect();
    let shown: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, ["b", "c", "a", "127.0.0.1:9443"]);
    // `a` has the name of `b`, and of the second listener's own.
    let a = || "certificate `a`".to_owned();
    let taken = ("WR0215", Severity::Warning, a(), String::new());
    let found = found(Ok(loaded));
    assert_eq!(
        found.iter().filter(|one| **one == taken).count(),
        2,
        "{found:?}"
    );
}

#[test]
fn a_listener_without_any_certificate_waits_for_one() {
    let warning = (
        "WR0316",
        Severity::Warning,
        "weir.yaml".to_owned(),
        "listeners[0].tls".to_owned(),
    );
    assert_eq!(found(load(TLS, vec![])), [warning]);
    assert_eq!(found(load(TLS, vec![certificate("a", CHAIN, KEY)])), []);
    // The half of one is a mistake.
    let half = "listeners: [{address: 127.0.0.1:8443, tls: {certificate: file:tls.crt}}]\n";
    assert_eq!(found(load(half, vec![]))[0].0, "WR0102");
}

#[test]
fn resources_have_pem_and_the_file_has_references() {
    let text = format!(
        "{TLS}certificates: {{a: {{certificate: {}, key: file:tls.key}}}}\n",
        json!(CHAIN)
    );
    assert_eq!(found(load(&text, vec![]))[0].0, "WR0301");
    let references = [
        ("file:tls.crt", KEY),
        (CHAIN, "env:KEY"),
        (CHAIN, "file:tls.key"),
    ];
    for (chain, key) in references {
        let found = found(load(TLS, vec![certificate("a", chain, key)]));
        let codes: Vec<_> = found.iter().map(|one| (one.0, one.2.as_str())).collect();
        assert!(codes.contains(&("WR0312", "certificate `a`")), "{codes:?}");
    }
}

#[test]
fn what_is_no_certificate_is_refused_in_words() {
    let encrypted = KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let garbage = include_str!("../../testdata/garbage.crt");
    let both = format!("{CHAIN}{KEY}");
    let large = CHAIN.repeat(400);
    for (chain, key, code, path) in [
        (CHAIN, CHAIN, "WR0308", "key"),
        (KEY, KEY, "WR0305", "certificate"),
        (CHAIN, encrypted.as_str(), "WR0308", "key"),
        (CHAIN, "", "WR0308", "key"),
        ("", KEY, "WR0305", "certificate"),
        (garbage, KEY, "WR0305", "certificate"),
        (both.as_str(), KEY, "WR0305", "certificate"),
        (large.as_str(), KEY, "WR0305", "certificate"),
    ] {
        let found = found(load(TLS, vec![certificate("a", chain, key)]));
        let errors = found.iter().filter(|one| one.1 == Severity::Error);
        let errors: Vec<_> = errors.map(|one| (one.0, one.3.as_str())).collect();
        assert_eq!(errors, [(code, path)], "{found:?}");
    }
    let more = r#"{"certificate": "x", "key": "y", "keys": [], "listeners": "127.0.0.1:8443"}"#;
    let found = found(load(TLS, vec![resource("certificate", "a", more)]));
    let codes: Vec<_> = found.iter().map(|one| one.0).collect();
    for code in ["WR0101", "WR0103", "WR0305", "WR0308"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
}

#[test]
fn one_that_ran_out_hinders_nobody_but_who_puts_it() {
    let documents = || vec![certificate("a", EXPIRED, KEY)];
    let loaded = load(TLS, documents()).unwrap();
    let [warning] = &loaded.warnings[..] else {
        panic!("{:?}", loaded.warnings);
    };
    assert_eq!(
        (warning.code, warning.severity),
        ("WR0306", Severity::Warning)
    );
    assert!(warning.refuses_its_resource());
    let strict = LoadOptions {
        resources: Some(Arc::new(Resources::new(7, documents()))),
        strict: true,
        now: Some(UNIX_EPOCH + Duration::from_secs(1_900_000_000)),
        ..options()
    };
    let data = format!("{TLS}data: /var/lib/weir\n");
    let loaded = load_text(&data, "weir.yaml", Folder::new().path(), &strict);
    assert!(loaded.is_ok(), "{loaded:?}");
    // Whoever has the file can put it right there.
    let text =
        format!("{TLS}certificates: {{a: {{certificate: file:expired.crt, key: file:tls.key}}}}\n");
    let found = found(load(&text, vec![]));
    assert_eq!((found[0].0, found[0].1), ("WR0306", Severity::Error));
}

#[test]
fn certificates_of_the_file_are_shown_with_what_they_say() {
    let text = "listeners:
- address: 127.0.0.1:8443
  tls: {certificates: [{certificate: file:tls.crt, key: file:tls.key}, {certificate: file:tls.crt, key: env:KEY}]}
- {address: 127.0.0.1:9443, tls: {certificate: file:tls.crt, key: file:tls.key}}
certificates: {shop: {certificate: file:tls.crt, key: file:tls.key}}
";
    let options = LoadOptions {
        variables: super::variables(&[("KEY", KEY)]),
        ..options()
    };
    let loaded = load_text(text, "weir.yaml", Folder::new().path(), &options).unwrap();
    let file = loaded.file_resources();
    let shown = file.documents().iter();
    let shown = shown.map(|(name, document)| format!("{} {document}", name.name));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            r#"127.0.0.1:8443 {"certificate":"file:tls.crt","key":"file:tls.key","listeners":["127.0.0.1:8443"]}"#,
            r#"127.0.0.1:8443-2 {"certificate":"file:tls.crt","key":"env:KEY","listeners":["127.0.0.1:8443"]}"#,
            r#"127.0.0.1:9443 {"certificate":"file:tls.crt","key":"file:tls.key","listeners":["127.0.0.1:9443"]}"#,
            r#"shop {"certificate":"file:tls.crt","key":"file:tls.key"}"#,
        ]
    );
    let facts = CertificateFacts::of_pem(CHAIN.as_bytes());
    for name in [
        "shop",
        "127.0.0.1:8443",
        "127.0.0.1:8443-2",
        "127.0.0.1:9443",
    ] {
        assert_eq!(file.certificate(name), facts.as_ref(), "{name}");
        let of_resource = ResourceName::new(ResourceKind::Certificate, name);
        assert_eq!(of_resource.is_err(), name.contains(':'));
    }
}
