//! `weir doctor`

use std::collections::BTreeSet;
use std::net::TcpListener;

use serde_json::Value;

use super::{GOOD, Workspace};

fn check<'a>(report: &'a Value, name: &str, subject: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| {
        check["name"] == name
            && check["subject"]
                .as_str()
                .is_none_or(|has| has.contains(subject))
    });
    found.unwrap_or_else(|| panic!("no check {name} {subject} in {report:#}"))
}

#[test]
fn what_is_checked_and_how_it_is_reported() {
    let workspace = Workspace::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = GOOD
        .replace("127.0.0.1:9001", &target.local_addr().unwrap().to_string())
        .replace("127.0.0.1:9}", "127.0.0.1:0}")
        .replacen("127.0.0.1:0", &taken.local_addr().unwrap().to_string(), 1);
    workspace.write("weir.yaml", &config);
    let ran = workspace.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    let report = ran.json();

    let names: BTreeSet<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|check| check["name"].as_str())
        .collect();
    insta::assert_snapshot!(
        "doctor-names",
        names.into_iter().collect::<Vec<_>>().join("\n")
    );
    let keys: Vec<&String> = report["checks"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "subject", "status", "message", "fix"]);

    assert_eq!(check(&report, "configuration", "weir.yaml")["status"], "ok");
    let listener = check(&report, "listener", "127.0.0.1");
    assert_eq!(listener["status"], "fail");
    // This test holds the port, and is not called weir.
    assert!(
        listener["message"]
            .as_str()
            .unwrap()
            .starts_with("held by "),
        "{listener}"
    );
    let reached = check(&report, "target", &target.local_addr().unwrap().to_string());
    assert_eq!(reached["status"], "ok");
    let closed = check(&report, "target", "127.0.0.1:9003 of orders");
    assert_eq!(closed["status"], "fail");
    assert!(closed["fix"].is_string());

    let total = ["ok", "warn", "fail"]
        .iter()
        .filter_map(|status| report[status].as_u64())
        .sum::<u64>();
    assert_eq!(total as usize, report["checks"].as_array().unwrap().len());
    assert!(
        !workspace.directory.join("weir-data").exists(),
        "doctor changes nothing"
    );
}

#[test]
fn sources_of_targets_are_asked_and_what_they_find_is_tried() {
    let workspace = Workspace::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = target.local_addr().unwrap().to_string();
    workspace.write("found.yaml", &format!("[\"{address}\"]"));
    workspace.write("outside.yaml", "['10.0.0.1:80']");
    let config = "\
listeners: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
upstreams:
  found: { discovery: { file: found.yaml } }
  gone: { discovery: { consul: { address: 'http://127.0.0.1:1', service: a } } }
  none: { discovery: { file: outside.yaml, networks: [127.0.0.0/8] } }
  self: { discovery: { registration: {} } }
routes:
  - { name: a, match: { path: /a }, split: { upstreams: { found: 1, gone: 1, none: 1, self: 1 } } }
";
    workspace.write("weir.yaml", config);
    let ran = workspace.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    let report = ran.json();
    let found = check(&report, "discovery", "found");
    assert_eq!(found["status"], "ok");
    assert_eq!(found["message"], "the source `file` has 1 target");
    let gone = check(&report, "discovery", "gone");
    assert_eq!(gone["status"], "fail", "{gone}");
    assert!(gone["message"].as_str().unwrap().contains("is lost: "));
    let none = check(&report, "discovery", "none");
    assert_eq!(
        (&none["status"], &none["message"]),
        (
            &"warn".into(),
            &"the source `file` has 0 targets, left out: 1 outside_networks".into()
        )
    );
    assert_eq!(check(&report, "target", &address)["status"], "ok");
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["subject"] != "self"));
}

#[test]
fn without_a_configuration_the_machine_is_still_looked_at() {
    let ran = Workspace::new().run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(1));
    let report = ran.json();
    assert_eq!(
        check(&report, "configuration", "weir.yaml")["status"],
        "fail"
    );
    check(&report, "clock", "");
}

#[test]
fn certificates_are_listed_with_their_end() {
    let workspace = Workspace::new();
    let mut parameters = rcgen::CertificateParams::new(["api.example.com".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2099, 12, 31);
    let key = rcgen::KeyPair::generate().unwrap();
    workspace.write("tls.crt", &parameters.self_signed(&key).unwrap().pem());
    workspace.write("tls.key", &key.serialize_pem());
    let listener = "127.0.0.1:0\n    tls: { certificate: file:tls.crt, key: file:tls.key }";
    workspace.write("weir.yaml", &GOOD.replacen("127.0.0.1:0", listener, 1));
    let report = workspace.run(&["doctor", "--json"]).json();
    let certificate = check(&report, "certificate", "tls.crt");
    assert_eq!(certificate["status"], "ok", "{certificate}");
    let message = certificate["message"].as_str().unwrap();
    assert!(message.starts_with("valid until 2099-12-31"), "{message}");
}
