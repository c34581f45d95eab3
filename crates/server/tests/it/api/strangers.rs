//! Programs that others wrote try to find what is wrong with the admin API.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use weir_testkit::{free_port, installed, on_both_engines};

use super::World;
use crate::harness::{Process, tool, wait_until};

on_both_engines! {
    what_the_document_says_is_so,
    no_list_lets_sql_in,
}

/// What schemathesis does not know of this API.
const SCHEMATHESIS: &str = "\
[checks.negative_data_rejection]
# 412: a request can be wrong in what it says of the version. 431: what is wrong can be too long.
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, 431]

[[operations]]
# An account that was just made has no second factor to remove.
include-name = \"DELETE /v1/users/{user}/totp\"
checks.ensure_resource_availability.enabled = false
";

/// Goes through the document and sends what it allows, and what it does not: no answer may be a failure
/// of ours, of a status or a form that is not written down, or go without a credential.
async fn what_the_document_says_is_so(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let new = json!({ "name": "releaser", "permissions": ["route:read"] });
    assert_eq!(
        owner.post("/v1/organizations/acme/roles", &new).status(),
        201
    );
    let operator = world.operator();
    for (client, tags) in [
        // Somebody's own account: what ends the session comes last.
        (&owner, ["--include-tag", "me"].as_slice()),
        (&operator, &[]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("schemathesis.toml"), SCHEMATHESIS).unwrap();
        let output = Command::new(installed("venv/bin/schemathesis"))
            .arg("run")
            .arg(format!(
                "http://{}/v1/openapi.json",
                world.weir.setup().admin
            ))
            .args([
                "--header",
                &format!("Authorization: Bearer {}", client.token()),
            ])
            // Without it a change is refused before it is looked at.
            .args(["--header", "Content-Type: application/json"])
            // That a document allows more than an endpoint takes is no mistake: of names and addresses
            // it cannot say it all.
            .args([
                "--checks",
                "all",
                "--exclude-checks",
                "positive_data_acceptance",
            ])
            .args([
                "--max-examples",
                "20",
                "--seed",
                "1",
                "--request-timeout",
                "20",
            ])
            .args([
                "--continue-on-failure",
                "--suppress-health-check",
                "all",
                "--warnings",
                "off",
            ])
            .args(tags)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        let count = said
            .lines()
            .find(|line| line.contains("generated"))
            .unwrap_or_default();
        println!("{engine}: {}", count.trim());
    }
    assert_eq!(world.weir.ask("GET", "/readyz").status(), 200);
}

/// A server that writes what it is asked into its SQL, to see that the tool sees it.
const INJECTABLE: &str = "
import http.server, sqlite3, sys, urllib.parse
db = sqlite3.connect(':memory:')
db.execute('CREATE TABLE users (email TEXT)')
db.execute(\"INSERT INTO users VALUES ('a')\")
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        try:
            rows = db.execute(\"SELECT email FROM users WHERE email = '%s'\" % query['email'][0]).fetchall()
        except sqlite3.Error as error:
            rows = str(error)
        body = ('<p>%s</p>' % rows).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";

const NOTHING: &str = "all tested parameters do not appear to be injectable";

async fn no_list_lets_sql_in(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let id = "usr_01kc2q8r5nf0hb6x2v9w4t7zde";
    let owner = world.member(&acme, "owner").await;
    let lists = [
        (
            &world.owner,
            "users?email=o&suspended=false&sort=email&limit=5".to_owned(),
        ),
        (
            &world.owner,
            "organizations?slug=a&name=T&suspended=false&sort=name&limit=5".to_owned(),
        ),
        (
            &owner,
            format!(
                "organizations/acme/audit?actor={id}&subject={id}&action=role.create\
                 &since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z&sort=at&limit=5"
            ),
        ),
        (
            &owner,
            "organizations/acme/members?sort=created_at&limit=5".to_owned(),
        ),
        (
            &owner,
            "organizations/acme/trash?sort=deleted_at&limit=5".to_owned(),
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (client, list) in lists {
        let path = format!("/v1/{list}");
        assert_eq!(client.get(&path).status(), 200, "{path}");
        let url = format!("http://{}{path}", world.weir.setup().admin);
        let said = said(&sqlmap(directory.path(), &url, client.token()));
        assert!(said.contains(NOTHING), "{path}: {said}");
        assert!(!said.contains("injection point"), "{path}: {said}");
    }
    if engine == "sqlite" {
        finds_what_is_injectable(directory.path());
    }
}

/// The test would fail if there were something to find.
fn finds_what_is_injectable(directory: &Path) {
    let port = free_port();
    let mut command = Command::new("python3");
    command.args(["-c", INJECTABLE, &port.to_string()]);
    let _server = Process::start(&mut command, directory, "injectable");
    wait_until("the server listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let url = format!("http://127.0.0.1:{port}/users?email=a");
    let said = said(&sqlmap(directory, &url, "none"));
    assert!(said.contains("injection point"), "{said}");
}

fn sqlmap(directory: &Path, url: &str, token: &str) -> Output {
    Command::new(tool("sqlmap"))
        .args(["-u", url, "-H", &format!("Authorization: Bearer {token}")])
        .args([
            "--batch",
            "--level",
            "1",
            "--risk",
            "1",
            "--threads",
            "1",
            "--timeout",
            "10",
        ])
        // What is no value of a parameter is refused: that is an answer too.
        .args([
            "--ignore-code",
            "422",
            "--flush-session",
            "--disable-coloring",
            "--output-dir",
        ])
        .arg(directory)
        // It keeps a history there.
        .env("HOME", directory)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}
