//! `weir check`

use std::io::Write;
use std::process::Stdio;

use super::{GOOD, Ran, Workspace};

const MISTAKES: &str = "\
listeners:
  - address: 127.0.0.1:99999
workers: many
upstreams:
  catalog:
    targets: [127.0.0.1:9001]
    blance: least_request
    timeouts: { connect: 2 parsecs }
routes:
  - name: items
    match: { path: items, methods: [GET] }
    upstream: catalgo
  - name: items
    policies: [customers]
    redirect: { to: '/{path.id}', status: 200 }
";

#[test]
fn every_mistake_is_shown_at_once() {
    let workspace = Workspace::new();
    workspace.write("weir.yaml", MISTAKES);
    insta::assert_snapshot!("check-mistakes", workspace.run(&["check"]).transcript());
}

#[test]
fn programs_get_an_array() {
    let workspace = Workspace::new();
    workspace.write("weir.yaml", MISTAKES);
    let ran = workspace.run(&["check", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let diagnostics = ran.json();
    let first = &diagnostics[0];
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    let expected = [
        "code", "severity", "message", "file", "line", "column", "length", "excerpt", "help",
        "path",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (&first["file"], &first["line"]),
        (&"weir.yaml".into(), &2.into())
    );

    workspace.write("weir.yaml", GOOD);
    assert_eq!(workspace.run(&["check", "--json"]).stdout, "[]\n");
}

#[test]
fn a_good_one_is_counted() {
    let ran = Workspace::good().run(&["check"]);
    let expected = "weir.yaml is valid: 3 routes, 2 upstreams, 1 listener\n";
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(0), expected, "")
    );
}

#[test]
fn warnings_refuse_only_when_strict() {
    let workspace = Workspace::new();
    workspace.write("weir.yaml", &format!("{GOOD}log: {{ format: text }}\n"));
    let ran = workspace.run(&["check"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stdout.ends_with("1 listener; 1 warning\n"),
        "{}",
        ran.transcript()
    );
    assert!(
        ran.stderr.contains("warning[WR0507]"),
        "{}",
        ran.transcript()
    );
    assert_eq!(workspace.run(&["check", "--strict"]).code, Some(1));
}

#[test]
fn one_bad_file_among_several_fails() {
    let workspace = Workspace::good();
    workspace.write("bad.yaml", MISTAKES);
    let ran = workspace.run(&["check", "weir.yaml", "bad.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("weir.yaml is valid"),
        "{}",
        ran.transcript()
    );
    assert!(ran.stderr.contains("bad.yaml:2:"), "{}", ran.transcript());
}

#[test]
fn a_missing_file_and_an_unknown_environment_are_reported() {
    let workspace = Workspace::good();
    let ran = workspace.run(&["check", "nowhere.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("WR0001"), "{}", ran.transcript());
    let ran = workspace.run(&["check", "--environment", "prodcution"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("did you mean `production`?"),
        "{}",
        ran.transcript()
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let workspace = Workspace::new();
    let mut child = workspace
        .command(&["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(GOOD.as_bytes())
        .unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    assert!(
        ran.stdout.starts_with("<stdin> is valid"),
        "{}",
        ran.transcript()
    );
}

#[test]
fn a_key_of_another_certificate_is_found() {
    let workspace = Workspace::new();
    let one = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    workspace.write("tls.crt", &one.cert.pem());
    workspace.write("tls.key", &other.signing_key.serialize_pem());
    let listener = "127.0.0.1:0\n    tls: { certificate: file:tls.crt, key: file:tls.key }";
    workspace.write("weir.yaml", &GOOD.replacen("127.0.0.1:0", listener, 1));
    // How the key file is protected is another matter.
    let ran = workspace.run(&["check", "--json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    let diagnostics = ran.json();
    let mismatch = diagnostics
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["code"] == "WR0601");
    let mismatch = mismatch.unwrap_or_else(|| panic!("{}", ran.transcript()));
    assert_eq!(mismatch["path"], "listeners[0].tls.key");
    let place = (&mismatch["line"], &mismatch["column"]);
    assert_eq!(place, (&3.into(), &44.into()));

    let ran = workspace.run(&["check"]);
    assert!(
        ran.stderr
            .contains("error[WR0601]: the private key in file:tls.key does not belong")
    );
    assert!(!ran.stdout.contains("is valid"), "{}", ran.transcript());

    workspace.write("tls.key", &one.signing_key.serialize_pem());
    assert_eq!(workspace.run(&["check"]).code, Some(0));
}

#[test]
fn the_configuration_of_the_first_steps_is_valid() {
    let guide = include_str!("../../../../../docs/getting-started.md");
    let blocks: Vec<&str> = guide
        .split("```yaml weir.yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 1);
    let workspace = Workspace::new();
    workspace.write("weir.yaml", blocks[0]);
    let ran = workspace.run(&["check", "--strict", "--data-dir", "/var/lib/weir"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    let expected = "weir.yaml is valid: 1 route, 1 upstream, 1 listener\n";
    assert!(
        guide.contains(expected) && ran.stdout == expected,
        "{}",
        ran.transcript()
    );
}
