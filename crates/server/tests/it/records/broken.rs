//! Files of SQLite that are none, or cannot be used: what is wrong, with which file and what to do, wherever somebody
//! looks. Traffic goes on.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use serde_json::Value;

use super::{condition, config, server};
use crate::harness::{Message, Setup, Weir, Wire, wait_until};

/// A user who may not do what root may.
const NOBODY: u32 = 65_534;

/// Starts with this made of the database, and looks what is said.
fn told(prepare: impl Fn(&Setup, &Path), name: &str, what: &str) -> Weir {
    told_to(Setup::new(), prepare, name, what)
}

fn told_to(setup: Setup, prepare: impl Fn(&Setup, &Path), name: &str, what: &str) -> Weir {
    let upstream = server();
    let text = setup.complete(&config(&upstream, "records: { acquire_timeout: 2s }\n"));
    setup.write("weir.yaml", text);
    let file = setup.data().join("weir.db");
    fs::create_dir(setup.data()).unwrap();
    prepare(&setup, &file);
    let weir = setup.launch_and_wait();
    wait_until("it is said", || condition(&weir)["condition"] == name);
    let shown = file.display().to_string();
    let is_told = |text: &str| {
        assert!(text.contains(what) && text.contains(&shown), "{text}");
    };
    is_told(condition(&weir)["error"].as_str().unwrap());
    wait_until("the log says so", || weir.log().contains(what));
    is_told(&weir.log());
    is_told(&weir.run("doctor", &[]).stdout);
    assert_eq!(weir.metric("weir_records_available", &[]), 0.0);
    assert_eq!(weir.get("/").text(), "fine");

    let organizations = || weir.ask("GET", "/v1/organizations");
    wait_until("the admin API says so", || {
        organizations().text().contains(what)
    });
    let refused = organizations();
    refused.assert_problem(503, "records_unavailable");
    assert!(refused.get("retry-after").is_some());
    is_told(refused.json()["detail"].as_str().unwrap());
    // Where the files of this machine are is nobody's business who has not shown who they are.
    let refused = sign_in(&weir);
    refused.assert_problem(503, "records_unavailable");
    let text = refused.text();
    assert!(
        text.contains("weir doctor") && !text.contains(&shown),
        "{text}"
    );
    weir
}

fn sign_in(weir: &Weir) -> Message {
    let body = r#"{"email": "ada@acme.example", "password": "correct horse battery staple"}"#;
    let admin = weir.setup().admin;
    let mut wire = Wire::connect(admin);
    wire.send(format!(
        "POST /v1/sign-in HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    wire.response("POST")
}

/// Commands that go to the database say the same.
fn is_told_by_commands(weir: &Weir, what: &str) {
    let shown = weir.setup().data().join("weir.db").display().to_string();
    let file = weir.setup().path("weir.backup").display().to_string();
    for (command, arguments) in [
        ("migrate", &[][..]),
        ("migrate", &["--check"]),
        ("audit", &["verify"]),
        ("backup", &[&file]),
    ] {
        let ran = weir.run(command, arguments);
        assert_eq!(ran.code, Some(1), "{command}");
        let said = &ran.stderr;
        assert!(
            said.contains(what) && said.contains(&shown),
            "{command}: {said}"
        );
    }
}

fn is_back(weir: &Weir) {
    wait_until("records are back", || {
        condition(weir)["condition"] == "available"
    });
    wait_until("so is the admin API", || {
        weir.ask("GET", "/v1/organizations").status() == 200
    });
}

#[test]
fn what_is_no_database() {
    let garbage = "no database ".repeat(1_000);
    let weir = told(
        |_, file| fs::write(file, &garbage).unwrap(),
        "unusable",
        "is no database of SQLite",
    );
    is_told_by_commands(&weir, "is no database of SQLite");
    let file = weir.setup().data().join("weir.db");
    // Nothing was done to it.
    assert_eq!(fs::read_to_string(&file).unwrap(), garbage);
    fs::remove_file(file).unwrap();
    is_back(&weir);
}

#[test]
fn a_database_that_was_cut() {
    let weir = told(
        |setup, file| {
            assert_eq!(setup.run("migrate", &[]).code, Some(0));
            let length = fs::metadata(file).unwrap().len();
            let opened = fs::OpenOptions::new().write(true).open(file).unwrap();
            opened.set_len(length / 2).unwrap();
        },
        "unusable",
        "is damaged",
    );
    is_told_by_commands(&weir, "weir restore");
}

#[test]
fn a_directory_in_its_place() {
    let weir = told(
        |_, file| fs::create_dir(file).unwrap(),
        "unavailable",
        "is a directory",
    );
    let error = weir.run("migrate", &["--json"]);
    let problem: Value = serde_json::from_str(&error.stdout).unwrap();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("is a directory")
    );
    fs::remove_dir(weir.setup().data().join("weir.db")).unwrap();
    is_back(&weir);
    let mode = fs::metadata(weir.setup().data().join("weir.db"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

/// Root may write everything: there, somebody else runs it.
#[test]
fn a_database_that_this_user_may_not_write() {
    let is_root = rustix::process::geteuid().is_root();
    let setup = match is_root {
        true => {
            let id = NOBODY.to_string();
            let user = [format!("--reuid={id}"), format!("--regid={id}")];
            Setup::new().launcher(&["setpriv", &user[0], &user[1], "--clear-groups"])
        }
        false => Setup::new(),
    };
    let weir = told_to(
        setup,
        |setup, file| {
            assert_eq!(setup.run("migrate", &[]).code, Some(0));
            let mode = |path: &Path, mode| {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            };
            mode(file, 0o444);
            if is_root {
                mode(setup.directory.path(), 0o755);
                chown(setup.data(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        },
        "unavailable",
        "may not read and write",
    );
    // What SQLite made beside it has the same mode.
    for entry in fs::read_dir(weir.setup().data()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("weir.db")
        {
            if is_root {
                chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    is_back(&weir);
}
