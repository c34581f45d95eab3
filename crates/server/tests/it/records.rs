//! Records of the running process, and the commands that go to them directly.

mod broken;

use serde_json::Value;
use weir_testkit::Postgres;

use crate::harness::{Load, Setup, Upstream, Weir, answer, forward, wait_until};

fn server() -> Upstream {
    Upstream::answering(|_| answer(200, &[], "fine"))
}

fn config(upstream: &Upstream, records: &str) -> String {
    format!("{records}{}", forward(upstream.address))
}

/// The line for a server's database; the address has no password, so it may stand in the file.
fn on(server: &Postgres) -> String {
    format!(
        "records: {{ url: \"{}\", acquire_timeout: 2s }}\n",
        server.database()
    )
}

fn condition(weir: &Weir) -> Value {
    let status: Value = serde_json::from_str(&weir.ask("GET", "/v1/status").text()).unwrap();
    status["records"].clone()
}

fn wait_until_available(weir: &Weir) {
    wait_until("records are available", || {
        condition(weir)["condition"] == "available"
    });
}

#[test]
fn a_start_brings_a_file_up_to_date() {
    let upstream = server();
    let weir = Weir::to(upstream.address);
    wait_until_available(&weir);
    assert_eq!(condition(&weir)["engine"], "SQLite");
    assert_eq!(weir.metric("weir_records_available", &[]), 1.0);
    let checked = weir.run("migrate", &["--check"]);
    assert_eq!(
        checked.code,
        Some(0),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    // A running Weir is not in the way of whoever looks.
    // The platform was made, and its set-up begun.
    wait_until("both are told", || {
        weir.verify_audit().starts_with("ok: platform: 2 entries")
    });
}

#[test]
fn a_database_is_migrated_before_a_start() {
    let upstream = server();
    let database = Postgres::shared();
    let setup = Setup::new();
    let text = setup.complete(&config(&upstream, &on(database)));
    setup.write("weir.yaml", text);
    let check = setup.run("migrate", &["--check"]);
    assert_eq!(check.code, Some(1));
    assert!(check.stdout.contains("0001_audit"), "{}", check.stdout);
    let audit = setup.run("audit", &["verify"]);
    assert_eq!(audit.code, Some(1));
    assert!(
        audit.stderr.contains("run `weir migrate`"),
        "{}",
        audit.stderr
    );
    let migrated = setup.run("migrate", &["--json"]);
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    let migrated: Value = serde_json::from_str(&migrated.stdout).unwrap();
    assert_eq!(migrated["engine"], "PostgreSQL");
    assert_eq!(migrated["applied"][0], "0001_audit");
    assert_eq!(setup.run("migrate", &["--check"]).code, Some(0));
    assert!(setup.run("migrate", &[]).stdout.contains("was up to date"));
}

#[test]
fn traffic_does_not_notice_that_the_database_is_gone() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let weir = Weir::start(&config(&upstream, &on(&database)));
    wait_until_available(&weir);
    let load = Load::keep_alive(weir.http(), 4, "fine");
    database.stop();
    wait_until("it is noticed", || {
        condition(&weir)["condition"] == "unavailable"
    });
    assert!(condition(&weir)["error"].is_string());
    assert_eq!(weir.metric("weir_records_available", &[]), 0.0);
    assert_eq!(weir.ask("GET", "/readyz").status(), 200);
    // A change of the configuration takes effect without it.
    load.wait_for_more(100);
    database.resume();
    wait_until_available(&weir);
    load.wait_for_more(100);
    load.finish();
}

#[test]
fn a_start_does_not_wait_for_the_database() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let line = on(&database);
    database.stop();
    let mut weir = Weir::start(&config(&upstream, &line));
    assert_eq!(weir.get("/").text(), "fine");
    wait_until("it is noticed", || {
        condition(&weir)["condition"] == "unavailable"
    });
    database.resume();
    wait_until_available(&weir);
    weir.signal(rustix::process::Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));
}

#[test]
fn a_backup_goes_through_a_pipe() {
    let setup = Setup::new();
    let upstream = server();
    setup.write("weir.yaml", setup.complete(&config(&upstream, "")));
    assert_eq!(setup.run("migrate", &[]).code, Some(0));
    let written = setup.command("backup", &["-"]).output().unwrap();
    let said = String::from_utf8(written.stderr).unwrap();
    assert!(written.status.success(), "{said}");
    assert!(
        said.starts_with("backed up: standard output has "),
        "{said}"
    );
    setup.write("whole", &written.stdout);
    setup.write("cut", &written.stdout[..written.stdout.len() - 1]);
    for (name, code) in [("whole", 0), ("cut", 1)] {
        let file = setup.path(name);
        let checked = setup.run("restore", &["--check", file.to_str().unwrap()]);
        assert_eq!(checked.code, Some(code), "{}", checked.stderr);
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let upstream = server();
    let database = Postgres::shared();
    let url = database.database();
    let line = format!("records: {{ url: \"{url}\" }}\n");
    let setup = Setup::new();
    setup.write("weir.yaml", setup.complete(&config(&upstream, &line)));
    assert_eq!(setup.run("migrate", &[]).code, Some(0));
    database.psql(
        &url,
        "INSERT INTO weir_migrations VALUES (9999, '9999_future', '', 0)",
    );
    let refused = setup.run("migrate", &[]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("made by a newer one"),
        "{}",
        refused.stderr
    );
    let running = setup.launch_and_wait();
    wait_until("it is said", || {
        condition(&running)["condition"] == "unusable"
    });
    assert_eq!(running.get("/").text(), "fine");
}

#[test]
fn a_password_must_not_stand_in_the_file_and_is_never_shown() {
    let upstream = server();
    let setup = Setup::new();
    let line = "records: { url: \"postgres://weir:canary-9b1d@127.0.0.1:1/weir\" }\n";
    setup.write("weir.yaml", setup.complete(&config(&upstream, line)));
    let refused = setup.run("check", &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("WR0301"), "{}", refused.stderr);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("canary"));

    let line = "records: { url: env:CANARY_DATABASE, acquire_timeout: 200ms }\n";
    let weir = Setup::new()
        .environment(
            "CANARY_DATABASE",
            "postgres://weir:canary-9b1d@127.0.0.1:1/weir",
        )
        .start(&config(&upstream, line));
    wait_until("it is noticed", || {
        condition(&weir)["condition"] == "unavailable"
    });
    let kept = std::fs::read_to_string(weir.setup().path("data/last-good.json")).unwrap();
    for text in [
        weir.log(),
        weir.stderr(),
        kept,
        condition(&weir).to_string(),
    ] {
        assert!(!text.contains("canary-9b1d"), "{text}");
    }
}
