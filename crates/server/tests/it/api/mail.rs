//! Letters, through a real mail server: aiosmtpd.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_testkit::{free_port, installed, on_both_engines};

use super::world::config;
use super::{Client, PASSWORD, World};
use crate::harness::{Process, wait_until};

on_both_engines! {
    an_address_is_verified_by_a_letter,
    a_forgotten_password_is_set_anew_by_a_letter,
    an_address_that_is_nobodys_gets_no_letter,
    another_address_is_asked_for_and_confirmed,
}

const PUBLIC: &str = "https://weir.example";
const ANOTHER: &str = "purple giraffe on stilts";

/// A server with an account, over STARTTLS.
pub struct MailServer {
    process: Process,
    directory: TempDir,
    port: u16,
}

impl MailServer {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("cert.pem", &certified.cert.pem());
        write("key.pem", &certified.signing_key.serialize_pem());
        write("password", "canary-smtp-4e1f\n");
        let port = free_port();
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new(installed("venv/bin/python"));
        command
            .arg(crates.join("identity/tests/it/mail_server.py"))
            .arg(port.to_string())
            .arg("starttls")
            .arg(directory.path().join("cert.pem"))
            .arg(directory.path().join("key.pem"))
            .args(["weir", "canary-smtp-4e1f"]);
        let process = Process::start(&mut command, directory.path(), "mail");
        wait_until("the mail server listens", || {
            process.stdout().starts_with("ready")
        });
        Self {
            process,
            directory,
            port,
        }
    }

    pub fn config(&self, engine: &str) -> String {
        let directory = self.directory.path().display();
        format!(
            "{}admin: {{ address: $ADMIN, public_url: {PUBLIC} }}\n\
             mail:\n  from: weir@weir.example\n  smtp:\n    address: localhost:{}\n    \
             authorities: file:{directory}/cert.pem\n    user: weir\n    \
             password: file:{directory}/password\n",
            config(engine),
            self.port,
        )
    }

    fn letters(&self) -> Vec<Value> {
        let printed = self.process.stdout();
        let lines = printed.lines().skip(1);
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The letter of this number, once it has arrived.
    pub fn letter(&self, number: usize) -> Value {
        wait_until("a letter arrives", || self.letters().len() > number);
        self.letters().remove(number)
    }
}

/// What stands behind `token=` in the link of a letter.
fn token(letter: &Value, page: &str) -> String {
    let content = letter["content"].as_str().unwrap();
    let text = content
        .replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=");
    let start = format!("{PUBLIC}/{page}?token=");
    let (_, rest) = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("no link: {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn an_address_is_verified_by_a_letter(engine: &str) {
    let server = MailServer::start();
    let world = World::begin_with(&server.config(engine)).await;
    assert!(world.owner.get("/v1/me").json()["email_verified_at"].is_null());
    let asked = world.owner.post("/v1/me/email/verify", &json!({}));
    assert_eq!((asked.status(), asked.text().as_str()), (202, ""));
    let letter = server.letter(0);
    assert_eq!(letter["to"], json!(["owner@weir.example"]));
    assert_eq!(
        (&letter["tls"], &letter["authenticated"]),
        (&json!(true), &json!(true))
    );
    let body = json!({ "token": token(&letter, "verify") });
    let nobody = world.anybody();
    assert_eq!(nobody.post("/v1/email/verify", &body).status(), 204);
    nobody
        .post("/v1/email/verify", &body)
        .assert_problem(403, "refused");
    assert!(world.owner.get("/v1/me").json()["email_verified_at"].is_string());
    world
        .owner
        .post("/v1/me/email/verify", &json!({}))
        .assert_problem(409, "conflict");
    // Neither the account there nor a link is told to anybody else.
    for text in [world.weir.log(), world.weir.stderr()] {
        assert!(!text.contains("canary-smtp-4e1f"));
        assert!(!text.contains(body["token"].as_str().unwrap()));
    }
}

async fn a_forgotten_password_is_set_anew_by_a_letter(engine: &str) {
    let server = MailServer::start();
    let world = World::begin_with(&server.config(engine)).await;
    let nobody = world.anybody();
    let asked = nobody.post(
        "/v1/password/forgotten",
        &json!({ "email": "Owner@weir.example" }),
    );
    assert_eq!(asked.status(), 202);
    let token = token(&server.letter(0), "reset");
    let reset = |password: &str| {
        nobody.post(
            "/v1/password/reset",
            &json!({ "token": token, "password": password }),
        )
    };
    assert_eq!(reset("short").json()["errors"][0]["pointer"], "/password");
    assert_eq!(reset(ANOTHER).status(), 204);
    reset(ANOTHER).assert_problem(403, "refused");
    // Whoever had the old one has nothing any more.
    world
        .owner
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    let sign_in = |password: &str| {
        let body = json!({ "email": "owner@weir.example", "password": password });
        nobody.post("/v1/sign-in", &body).status()
    };
    assert_eq!((sign_in(PASSWORD), sign_in(ANOTHER)), (403, 200));
    // Its owner is told.
    assert_eq!(server.letter(1)["to"], json!(["owner@weir.example"]));
}

async fn an_address_that_is_nobodys_gets_no_letter(engine: &str) {
    let server = MailServer::start();
    let world = World::begin_with(&server.config(engine)).await;
    let forgotten = |client: &Client, email: &str| {
        let answer = client.post("/v1/password/forgotten", &json!({ "email": email }));
        (answer.status(), answer.text())
    };
    let nobody = world.anybody();
    let somebodys = forgotten(&nobody, "owner@weir.example");
    assert_eq!(forgotten(&nobody, "nobody@weir.example"), somebodys);
    assert_eq!(somebodys, (202, String::new()));
    server.letter(0);
    // Were there another one, it would be before this.
    assert_eq!(
        world.owner.post("/v1/me/email/verify", &json!({})).status(),
        202
    );
    assert!(
        server.letter(1)["content"]
            .as_str()
            .unwrap()
            .contains("/verify?token=")
    );
}

async fn another_address_is_asked_for_and_confirmed(engine: &str) {
    let server = MailServer::start();
    let world = World::begin_with(&server.config(engine)).await;
    let new = json!({ "email": "other@weir.example", "name": "Other" });
    assert_eq!(world.owner.post("/v1/users", &new).status(), 201);
    let change = |email: &str| {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = world.owner.send("PUT", "/v1/me/email", Some(&body), "");
        let mut me = world.owner.get("/v1/me").json();
        let pending = me["pending_email"].take();
        (answer.status(), answer.text(), pending)
    };
    // Taken or not, it is answered alike.
    for email in ["other@weir.example", "olivia@weir.example"] {
        assert_eq!(change(email), (202, String::new(), json!(email)));
    }
    let elsewhere = world.anybody().sign_in("owner@weir.example");
    server.letter(3);
    let letters = server.letters();
    let to = |address: &str| {
        let found = letters.iter().find(|one| one["to"] == json!([address]));
        found.unwrap()
    };
    assert!(
        to("owner@weir.example")["content"]
            .as_str()
            .unwrap()
            .contains("set another password")
    );
    assert!(
        !to("other@weir.example")["content"]
            .as_str()
            .unwrap()
            .contains("weir_once_")
    );
    let body = json!({ "token": token(to("olivia@weir.example"), "verify") });
    assert_eq!(world.owner.post("/v1/email/verify", &body).status(), 204);
    let me = world.owner.get("/v1/me").json();
    assert_eq!(me["email"], "olivia@weir.example");
    assert_eq!(me["pending_email"], Value::Null);
    elsewhere
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    world.anybody().sign_in("olivia@weir.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_that_is_said_whoever_asks() {
    let world = World::begin("sqlite").await;
    for email in ["owner@weir.example", "nobody@weir.example"] {
        let answer = world
            .anybody()
            .post("/v1/password/forgotten", &json!({ "email": email }));
        answer.assert_problem(409, "no_mail");
    }
}
