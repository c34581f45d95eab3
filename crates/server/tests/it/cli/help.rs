//! Help texts, and that every example in them works.

use std::process::Command;

use super::{Ran, Workspace};

const COMMANDS: [&str; 42] = [
    "run",
    "demo",
    "check",
    "match",
    "explain",
    "schema",
    "import",
    "doctor",
    "upstreams",
    "requests",
    "top",
    "reload",
    "traffic",
    "bans",
    "upgrade",
    "accept",
    "account",
    "login",
    "logout",
    "whoami",
    "password-hash",
    "setup-link",
    "org",
    "member",
    "role",
    "invitation",
    "api-key",
    "access-policy",
    "user",
    "route",
    "upstream",
    "policy",
    "certificate",
    "revision",
    "trash",
    "keys",
    "migrate",
    "audit",
    "backup",
    "restore",
    "completions",
    "version",
];

#[test]
fn help_is_as_it_was_reviewed() {
    let workspace = Workspace::new();
    insta::assert_snapshot!("help", workspace.run(&["--help"]).transcript());
    for command in COMMANDS {
        let ran = workspace.run(&["help", command]);
        insta::assert_snapshot!(format!("help-{command}"), ran.transcript());
    }
}

/// Examples are lines that are indented by four and begin with `weir`.
fn examples(help: &str) -> Vec<String> {
    help.lines()
        .filter_map(|line| line.strip_prefix("    weir "))
        // Of the overview, the words in the second column are no arguments.
        .map(|line| {
            format!(
                "weir {}",
                line.split("   ").next().unwrap_or_default().trim_end()
            )
        })
        .collect()
}

fn shell(workspace: &Workspace, line: &str) -> Ran {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_weir"));
    let path = std::env::join_paths([binary.parent().unwrap().to_owned()].into_iter().chain(
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()),
    ));
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PATH", path.unwrap());
    workspace.isolate(&mut command);
    Ran::from(command.output().unwrap())
}

#[test]
fn every_example_works() {
    let workspace = Workspace::good();
    workspace.write("staging.yaml", super::GOOD);
    workspace.write(
        "api.yaml",
        "openapi: 3.1.0\nservers: [{ url: 'http://127.0.0.1' }]\npaths: { /a: { get: {} } }\n",
    );
    let (link, password) = (
        "http://127.0.0.1:9900/setup?token=weir_once_x",
        "correct horse battery",
    );
    workspace.write("password", &format!("{password}\n"));
    workspace.write("link-and-password", &format!("{link}\n{password}\n"));
    workspace.write("password-and-code", &format!("{password}\n123456\n"));
    // Commands that serve or talk to what serves must at least be understood, and then fail here.
    let fails = [
        "weir accept",
        "weir access-policy",
        "weir account",
        "weir api-key",
        "weir audit export",
        "weir audit list",
        "weir certificate",
        "weir invitation",
        "weir keys",
        "weir login",
        "weir match --running",
        "weir member",
        "weir org",
        "weir password-hash",
        "weir policy",
        "weir revision",
        "weir role",
        "weir route",
        "weir setup-link",
        "weir trash",
        "weir upstream",
        "weir user",
        "weir whoami",
        "weir run",
        "weir demo",
        "weir bans",
        "weir reload",
        "weir requests",
        // The database is not empty any more.
        "weir restore weir.backup",
        "weir top",
        "weir traffic",
        "weir upgrade",
        "weir upstreams",
        "weir doctor",
    ];
    let mut seen = 0;
    for command in COMMANDS {
        let help = workspace.run(&["help", command]).stdout;
        for example in examples(&help) {
            seen += 1;
            let needs_more = fails.iter().any(|start| example.starts_with(start));
            let line = match example.as_str() {
                // Would start to serve: it is understood if only the configuration is missing.
                run if run.starts_with("weir run") => format!("cd / && {run}"),
                // Has its own test.
                demo if demo.starts_with("weir demo") => format!("{demo} --help"),
                line => line.to_owned(),
            };
            let ran = shell(&workspace, &line);
            match needs_more {
                true => assert!(
                    // Some would ask first, and there is no terminal.
                    matches!(ran.code, Some(0 | 1)) || ran.stderr.contains("no terminal to ask at"),
                    "{line}\n{}",
                    ran.transcript()
                ),
                false => assert_eq!(ran.code, Some(0), "{line}\n{}", ran.transcript()),
            }
        }
    }
    assert!(seen > COMMANDS.len(), "examples were not recognised");
}

#[test]
fn without_a_command_the_help_is_shown() {
    let ran = Workspace::new().run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Usage: weir"), "{}", ran.transcript());
}

#[test]
fn a_misspelled_command_has_a_suggestion() {
    let ran = Workspace::new().run(&["chekc"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("'check'"), "{}", ran.transcript());
}

#[test]
fn both_ways_to_the_version_agree() {
    let workspace = Workspace::new();
    let version = env!("CARGO_PKG_VERSION");
    let long = workspace.run(&["version"]).stdout;
    assert!(long.starts_with(&format!("weir {version}")), "{long}");
    let short = workspace.run(&["--version"]).stdout;
    assert!(long.starts_with(short.trim_end()), "{long} and {short}");
    assert_eq!(
        workspace.run(&["version", "--json"]).json()["version"],
        version
    );
}
