use weir_core::Secret;

use super::{Folder, options, refused, variables};
use crate::model::PolicyKind;
use crate::model::Source;
use crate::template::Part;
use crate::{LoadOptions, load, load_text};

const CANARY: &str = "canary-7f3a";

#[test]
fn referenced_values_are_nowhere_to_be_seen() {
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("token"),
        format!("Bearer {CANARY}{{x}}\n"),
    )
    .unwrap();
    let text = "\
listeners: [{address: 127.0.0.1:8443, tls: {certificate: file:tls.crt, key: env:KEY}}]
upstreams: {a: {targets: [a:1]}}
policies: {auth: {headers: {request: {set: {authorization: file:token}, add: {x-b: [env:B]}}}}}
routes: [{name: all, upstream: a, policies: [auth]}]
";
    let key = std::fs::read_to_string(folder.path().join("tls.key")).unwrap();
    let options = LoadOptions {
        variables: variables(&[("B", CANARY), ("KEY", &key)]),
        ..options()
    };
    let loaded = load_text(text, "weir.yaml", folder.path(), &options).unwrap();
    assert_eq!(loaded.warnings, []);

    let PolicyKind::Headers(headers) = &loaded.config.policies[0].kind else {
        panic!();
    };
    let template = &headers.request.set[0].1;
    assert_eq!(template.to_string(), "[redacted]");
    let shown = format!("{loaded:?} {loaded:#?} {template}");
    assert!(!shown.contains(CANARY));
    assert!(!shown.contains("PRIVATE KEY"));
    assert!(!shown.contains(key.lines().nth(1).unwrap()));

    // The value itself is whole, with its braces and without the newline at the end.
    let expected = Part::Secret(Secret::new(format!("Bearer {CANARY}{{x}}")));
    assert_eq!(template.parts, [expected]);
    let tls = loaded.config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(
        tls.certificates[0].key.source,
        Source::Environment("KEY".into())
    );
    assert_eq!(
        tls.certificates[0].key.bytes.expose().as_ref(),
        key.as_bytes()
    );
}

#[test]
fn diagnostics_about_referenced_values_do_not_repeat_them() {
    let text = "\
listeners: [{address: 127.0.0.1:8443, tls: {certificate: env:A, key: env:A}}]
upstreams: {a: {targets: [env:A]}}
routes: [{name: all, upstream: a, headers: {request: {set: {x-a: env:B}}}}]
";
    let broken = format!("{CANARY}\n{CANARY}");
    let options = LoadOptions {
        variables: variables(&[("A", CANARY), ("B", &broken)]),
        ..options()
    };
    let report = load_text(text, "weir.yaml", "".as_ref(), &options).unwrap_err();
    assert_eq!(
        super::codes_of(&report),
        ["WR0305", "WR0308", "WR0304", "WR0304"]
    );
    let shown = format!("{report} {report:?} {}", report.to_json());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn literal_secrets_are_hidden_in_excerpts_even_of_other_mistakes() {
    let text = format!(
        "listeners: [{{address: 127.0.0.1:1}}]\nroutes: [{{name: 'a b', match: {{headers: \
         {{x-api-key: {CANARY}}}}}, redirect: {{to: /}}, headers: {{request: {{set: \
         {{authorization: {CANARY}, x-secret: \"{{{CANARY}}}\"}}, add: {{cookie: [\"{CANARY}\\n\"]}}}}}}}}]\n"
    );
    let report = refused(&text);
    let shown = format!("{report} {}", report.to_json());
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(shown.contains("••••"));
    assert!(super::codes_of(&report).contains(&"WR0502"));
}

#[test]
fn a_pasted_key_is_not_shown() {
    let text = format!(
        "listeners:\n- address: 127.0.0.1:1\n  tls:\n    certificate: file:x\n    key: \"-----BEGIN \
         PRIVATE KEY----- {CANARY}\"\n"
    );
    let report = refused(&text);
    assert_eq!(super::codes_of(&report), ["WR0303", "WR0301"]);
    assert!(!format!("{report} {}", report.to_json()).contains(CANARY));
}

#[test]
fn the_digest_changes_with_text_environment_and_material() {
    let folder = Folder::new();
    let path = folder.path().join("weir.yaml");
    let text = "\
listeners: [{address: 127.0.0.1:8443, tls: {certificate: file:tls.crt, key: file:tls.key}}]
environments: {a: {}}
";
    std::fs::write(&path, text).unwrap();
    let first = load(&path, &options()).unwrap();
    assert_eq!(first.digest.len(), 64);
    assert_eq!(first.digest, load(&path, &options()).unwrap().digest);
    let in_folder = |name: &str| folder.path().join(name);
    assert_eq!(
        first.files,
        [path.clone(), in_folder("tls.crt"), in_folder("tls.key")]
    );

    let in_environment = LoadOptions {
        environment: Some("a".into()),
        ..options()
    };
    assert_ne!(first.digest, load(&path, &in_environment).unwrap().digest);

    let key = std::fs::read_to_string(in_folder("tls.key")).unwrap();
    std::fs::write(in_folder("tls.key"), format!("{key}\n")).unwrap();
    assert_ne!(first.digest, load(&path, &options()).unwrap().digest);

    std::fs::remove_file(in_folder("tls.key")).unwrap();
    let report = load(&path, &options()).unwrap_err();
    assert_eq!(
        report.files, first.files,
        "the missing file is worth watching"
    );
}
