//! `weir login`, `weir logout`, `weir whoami`, and whose credential counts.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json as value;
use totp_rs::{Builder, Secret as TotpSecret};
use weir_identity::{Caller, Proof};
use weir_testkit::on_both_engines;

use super::{PASSWORD, World, done, fails, json, run, run_with, sign_in, sign_in_as};
use crate::api::Client;
use crate::api::world::setup_token;
use crate::harness::Weir;

on_both_engines! {
    a_session_is_kept_until_it_is_ended,
    a_session_goes_on_under_the_next_token,
}

const OWNER: &str = "owner@weir.example";

async fn a_session_is_kept_until_it_is_ended(engine: &str) {
    let world = World::begin(engine).await;
    assert!(done(&world, "whoami").starts_with("the operator of this node"));
    sign_in_as(&world, OWNER);

    let kept = world.weir.setup().path("config/weir/credentials.json");
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let me = json(&world, "whoami");
    assert_eq!(me["email"], OWNER);
    let text = done(&world, "whoami");
    assert!(text.contains("by the session of `weir login`"), "{text}");
    assert!(text.contains("platform      owner  active"), "{text}");

    // What is done is done by the person, not by the operator.
    done(&world, "org create acme --name Acme");
    let entries = json(&world, "audit list --org acme");
    assert_eq!(entries[0]["actor_name"], OWNER);
    // Commands that were there before ask with the same credential.
    assert_eq!(run(&world, "reload").code, Some(0));

    let token = std::fs::read_to_string(&kept).unwrap();
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let address = world.weir.setup().admin.to_string();
    let token = token["sessions"][&address]["token"].as_str().unwrap();
    let client = world.anybody().with(token);
    assert_eq!(client.get("/v1/me").status(), 200);
    assert!(done(&world, "logout").contains(OWNER));
    client.get("/v1/me").assert_problem(401, "unauthenticated");
    assert!(done(&world, "whoami").starts_with("the operator of this node"));
    assert!(done(&world, "logout").starts_with("nobody is signed in"));
}

/// The token that is kept, in a file that nobody else can read.
fn kept_token(world: &World) -> String {
    let kept = world.weir.setup().path("config/weir/credentials.json");
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&kept).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    let address = world.weir.setup().admin.to_string();
    let token = &kept["sessions"][&address]["token"];
    token.as_str().unwrap().to_owned()
}

async fn a_session_goes_on_under_the_next_token(engine: &str) {
    let world = World::begin(engine).await;
    sign_in_as(&world, OWNER);
    let first = kept_token(&world);
    done(&world, "whoami");
    assert_eq!(kept_token(&world), first);
    // Of several commands at once each is told the same one, and none undoes what another wrote.
    world.make_due().await;
    let commands: Vec<_> = (0..4)
        .map(|_| {
            let mut command = world.weir.command("whoami", &["--json"]);
            command
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for command in commands {
        let output = command.wait_with_output().unwrap();
        let me: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(me["email"], OWNER);
    }
    let second = kept_token(&world);
    assert_ne!(second, first);
    world.end_overlap().await;
    assert_eq!(json(&world, "whoami")["email"], OWNER);
    let former = world.anybody().with(&first);
    former.get("/v1/me").assert_problem(401, "unauthenticated");
    assert_eq!(world.anybody().with(&second).get("/v1/me").status(), 200);
    // An answer that got lost is asked for again with the former token.
    world.make_due().await;
    let client = world.anybody().with(&second);
    let took = |client: &Client| client.post("/v1/me/session/token", &value!({})).json();
    let lost = took(&client);
    assert_eq!(took(&client), lost);
    done(&world, "whoami");
    assert_eq!(lost["token"], kept_token(&world));
    // Of a token that was replaced for another reason, whoever has the former one is told nothing.
    let third = world.anybody().with(&kept_token(&world));
    assert_eq!(
        third.post("/v1/me/session/token", &value!({})).status(),
        200
    );
    let told = third.post("/v1/me/session/token", &value!({}));
    told.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_shows_a_token_is_told_when_it_is_due() {
    let world = World::begin("sqlite").await;
    let due = |path: &str| {
        let answer = world.owner.get(path);
        assert_eq!(answer.status(), 200);
        answer.get("weir-session-token").map(str::to_owned)
    };
    assert_eq!(due("/v1/me"), None);
    world.make_due().await;
    // By endpoints over records, and by those of the process.
    assert_eq!(due("/v1/me").as_deref(), Some("due"));
    assert_eq!(due("/v1/status").as_deref(), Some("due"));
    assert_eq!(
        world.operator().get("/v1/status").get("weir-session-token"),
        None
    );
}

#[tokio::test]
async fn a_session_that_has_ended_is_said_so_and_nobody_else_asks() {
    let world = World::begin("sqlite").await;
    sign_in_as(&world, OWNER);
    assert_eq!(world.owner.delete("/v1/me/sessions").status(), 200);
    for command in ["whoami", "org list", "reload", "bans"] {
        let said = fails(&world, command, 1);
        let expected = format!("the session of {OWNER} has ended: `weir login` begins another");
        assert!(said.contains(&expected), "{command}: {said}");
    }
    // It cannot be ended again, and is forgotten.
    done(&world, "logout");
    assert_eq!(run(&world, "org list").code, Some(0));
}

#[tokio::test]
async fn the_variable_wins_over_the_session_and_the_session_over_the_operator() {
    let world = World::begin("sqlite").await;
    let acme = world.organization("acme");
    world.member(&acme, "viewer").await;
    sign_in_as(&world, &format!("viewer@{acme}.example").replace('_', "-"));
    assert_eq!(
        fails(&world, "org suspend acme --reason x --yes", 1),
        "error: This needs the permission organization:suspend, which the caller's roles do not give.\n"
    );
    let token = std::fs::read_to_string(world.weir.setup().path("data/operator.token")).unwrap();
    let operator = [("WEIR_TOKEN", token.trim())];
    let ran = run_with(&world, "org suspend acme --reason x --yes", &operator);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run_with(&world, "whoami", &[("WEIR_TOKEN", "weir_session_x")]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("the token in WEIR_TOKEN"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_wrong_password_keeps_nothing() {
    let world = World::begin("sqlite").await;
    let ran = sign_in(&world, &["--email", OWNER, "--password-stdin"], "wrong\n");
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "error: E-mail address or password is wrong.\n");
    assert!(!world.weir.setup().path("config").exists());
    let ran = sign_in(&world, &["--email", OWNER, "--password-stdin"], "");
    assert!(
        ran.stderr.contains("standard input has no password"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn without_a_terminal_everything_must_be_stated() {
    let world = World::begin("sqlite").await;
    let said = fails(&world, "login", 2);
    assert!(
        said.contains("no terminal to ask at: state --email"),
        "{said}"
    );
    let said = fails(&world, &format!("login --email {OWNER}"), 2);
    assert!(said.contains("state --password-stdin"), "{said}");
    // Text, also for programs: the command line was not understood.
    let said = fails(&world, &format!("login --email {OWNER} --json"), 2);
    assert!(said.starts_with("error: "), "{said}");
}

#[tokio::test]
async fn a_second_factor_is_stated_or_asked_for() {
    let world = World::begin("sqlite").await;
    let codes = enrol(&world).await;
    let email = ["--email", OWNER, "--password-stdin"];
    let ran = sign_in(&world, &email, PASSWORD);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("state --code"), "{}", ran.stderr);
    let ran = sign_in(
        &world,
        &[&email[..], &["--code", "000000"]].concat(),
        PASSWORD,
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let ran = sign_in(
        &world,
        &[&email[..], &["--code", &codes[0]]].concat(),
        PASSWORD,
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(json(&world, "whoami")["session"]["is_two_factor"], true);
}

/// Gives the owner an authenticator; the recovery codes.
pub(super) async fn enrol(world: &World) -> Vec<String> {
    let me = world.owner.get("/v1/me").json();
    let user = me["id"].as_str().unwrap().parse().unwrap();
    let (identity, system) = (&world.identity, Caller::system());
    let proof = Proof {
        password: PASSWORD.into(),
        code: None,
    };
    let enrolment = identity.enrol_totp(&system, &user, &proof).await.unwrap();
    let secret = TotpSecret::try_from_base32(enrolment.secret.expose()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let now = jiff::Timestamp::now().as_second().try_into().unwrap();
    let shown = totp.generate(now).to_string();
    let codes = identity.confirm_totp(&system, &user, &shown).await.unwrap();
    codes.expose().clone()
}

#[test]
fn a_set_up_link_is_made_until_there_is_an_owner() {
    let weir = Weir::start("routes: []\n");
    let first = setup_token(&weir);
    let link = weir.run("setup-link", &[]);
    assert_eq!(link.code, Some(0), "{}", link.stderr);
    let (_, token) = link.stdout.trim().split_once("/setup?token=").unwrap();
    assert_ne!(token, first);
    let client = Client::of(&weir);
    let mut owner = serde_json::json!({
        "token": first, "email": OWNER, "name": "Olivia", "password": PASSWORD,
    });
    assert_eq!(client.post("/v1/setup", &owner).status(), 403);
    owner["token"] = token.into();
    assert_eq!(client.post("/v1/setup", &owner).status(), 201);
    let link = weir.run("setup-link", &[]);
    assert_eq!((link.code, link.stdout.as_str()), (Some(1), ""));
    assert_eq!(link.stderr, "error: The platform has an owner.\n");
}
