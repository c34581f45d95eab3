//! Colours, pipes and streams.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::Workspace;

#[test]
fn a_closed_pipe_is_no_failure() {
    let workspace = Workspace::new();
    for arguments in [
        ["schema"].as_slice(),
        &["completions", "bash"],
        &["explain"],
    ] {
        let mut child = workspace
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_until(b'\n', &mut Vec::new()).unwrap();
        drop(stdout);
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let workspace = Workspace::good();
    assert!(!workspace.run(&["check"]).stdout.contains('\x1b'));
    assert!(
        workspace
            .run(&["check", "--color", "always"])
            .stdout
            .contains('\x1b')
    );
    assert!(
        !workspace
            .run(&["check", "--color", "never"])
            .stdout
            .contains('\x1b')
    );
    let mut command = workspace.command(&["check", "--color", "always"]);
    // Who asks on the command line means it more than who set a variable.
    let output = command.env("NO_COLOR", "1").output().unwrap();
    assert!(output.stdout.contains(&0x1b));
}

#[test]
fn the_configuration_may_come_from_the_environment() {
    let workspace = Workspace::new();
    workspace.write("other.yaml", super::GOOD);
    let ran = workspace
        .command(&["check"])
        .env("WEIR_CONFIG", "other.yaml")
        .output()
        .unwrap();
    assert!(ran.status.success());
    assert!(ran.stdout.starts_with(b"other.yaml is valid"));
}

/// Each kind of failure is one object on standard output, with the members of RFC 9457.
#[test]
fn failures_are_problems_for_programs() {
    let workspace = Workspace::good();
    workspace.write("broken.yaml", "nothing: useful\n");
    let nobody = ["--admin", "127.0.0.1:1"];
    let cases: [(&[&str], &str); 8] = [
        (&["reload", nobody[0], nobody[1]], "no_answer"),
        (
            &["traffic", "halt", "items", nobody[0], nobody[1]],
            "no_answer",
        ),
        (&["upstreams", nobody[0], nobody[1]], "no_answer"),
        (&["upgrade"], "failed"),
        (&["upgrade", "-c", "broken.yaml"], "configuration_rejected"),
        (&["explain", "WR9999"], "failed"),
        (&["run", "-c", "broken.yaml"], "configuration_rejected"),
        (
            &["match", "GET", "/", "-c", "broken.yaml"],
            "configuration_rejected",
        ),
    ];
    for (arguments, reason) in cases {
        let ran = workspace.run(&[arguments, &["--json"]].concat());
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(1), ""),
            "{arguments:?}"
        );
        let problem = ran.json();
        assert_eq!(problem["type"], format!("urn:weir:problem:{reason}"));
        assert_eq!(problem["reason"], reason, "{arguments:?}");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let is_of_file = reason == "configuration_rejected";
        assert_eq!(problem["diagnostics"].is_array(), is_of_file, "{problem}");
    }
    // Without it they are text for people.
    let ran = workspace.run(&["explain", "WR9999"]);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}
