//! The page that a link opens, in a real browser.

use std::process::Command;

use serde_json::{Value, json};

use super::world::{config, operator, setup_token};
use super::{Client, PASSWORD};
use crate::harness::{Weir, installed, tool};

/// Fills in the form and sends it.
const SEND: &str = "(() => {
  for (const [id, value] of Object.entries(VALUES)) document.getElementById(id).value = value;
  document.getElementById('form').requestSubmit();
  return 'sent';
})()";
const SAID: &str = "document.getElementById('status').textContent || null";

/// What steps on a page give.
fn steps(url: &str, steps: &[String]) -> Vec<Value> {
    let output = Command::new(installed("venv/bin/python3"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/peers/browser.py"
        ))
        .arg(tool("chromium"))
        .arg(url)
        .args(steps)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn send(values: &Value) -> String {
    SEND.replace("VALUES", &values.to_string())
}

#[test]
fn the_owner_and_somebody_invited_come_by_their_links() {
    let weir = Weir::start(&config("sqlite"));
    let url = |page: &str| format!("http://{}{page}", weir.setup().admin);
    let link = url(&format!("/setup#{}", setup_token(&weir)));
    let mut owner = json!({ "email": "ada@acme.example", "name": "Ada", "password": "short" });
    let weak = send(&owner);
    owner["password"] = PASSWORD.into();
    let seen = steps(
        &link,
        &[
            weak,
            "document.getElementById('password').getAttribute('aria-invalid')".to_owned(),
            "document.getElementById('password-note').textContent".to_owned(),
            // The token is not left in the address.
            "location.href".to_owned(),
            send(&owner),
            SAID.to_owned(),
        ],
    );
    assert_eq!(seen[1], "true");
    let note = seen[2].as_str().unwrap();
    assert!(note.contains("fewer than 12"), "{note}");
    assert_eq!(seen[3], url("/setup"));
    assert!(seen[5].as_str().unwrap().starts_with("The account is made"));
    let ada = Client::of(&weir).sign_in("ada@acme.example");
    assert_eq!(ada.get("/v1/me").json()["name"], "Ada");

    ada.post(
        "/v1/organizations",
        &json!({ "slug": "acme", "name": "Acme" }),
    );
    let invited = ada.post(
        "/v1/organizations/acme/invitations",
        &json!({ "email": "grace@acme.example", "role": "viewer" }),
    );
    assert_eq!(invited.status(), 201, "{}", invited.text());
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let values = json!({ "name": "<b>Grace</b>", "password": PASSWORD });
    let seen = steps(
        &link,
        &[
            "document.getElementById('name') && document.getElementById('about').textContent"
                .to_owned(),
            send(&values),
            SAID.to_owned(),
        ],
    );
    assert_eq!(seen[0], "grace@acme.example is invited to Acme.");
    assert!(seen[2].as_str().unwrap().starts_with("You are a member"));
    let grace = Client::of(&weir).sign_in("grace@acme.example");
    assert_eq!(grace.get("/v1/me").json()["name"], "<b>Grace</b>");
    // It worked once.
    let seen = steps(&link, &[SAID.to_owned()]);
    assert!(seen[0].as_str().unwrap().contains("opens nothing any more"));
    operator(&weir)
        .post("/v1/setup/link", &json!({}))
        .assert_problem(409, "conflict");
}

#[test]
fn the_page_runs_nothing_that_is_not_ours_and_is_framed_by_nobody() {
    let weir = Weir::start(&config("sqlite"));
    let client = Client::of(&weir);
    for path in ["/setup", "/accept", "/reset", "/verify", "/pages/link.js"] {
        let page = client.get(path);
        assert_eq!(page.status(), 200, "{path}");
        let policy = page.get("content-security-policy").unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.get("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.get("x-content-type-options"), Some("nosniff"));
    }
    client.get("/pages/other").assert_problem(404, "not_found");
}
