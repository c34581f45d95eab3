//! `weir account`, and `weir user` for who lost a way in.

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::sign_in::enrol;
use super::{PASSWORD, World, done, fails, json, run_with_input, sign_in, sign_in_as};

on_both_engines! {
    all_of_ones_own_account_is_changed,
}

const OWNER: &str = "owner@weir.example";
const ANOTHER: &str = "purple giraffe on stilts";

/// What a command prints that is told this on standard input, as JSON.
fn told(world: &World, line: &str, input: &str) -> Value {
    let mut words: Vec<&str> = line.split(' ').collect();
    words.push("--json");
    let ran = run_with_input(world, words[0], &words[1..], input);
    assert_eq!(ran.code, Some(0), "{line}\n{}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn refused(world: &World, line: &str, input: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let ran = run_with_input(world, words[0], &words[1..], input);
    assert_eq!(ran.code, Some(1), "{line}\n{}{}", ran.stdout, ran.stderr);
    ran.stderr
}

async fn all_of_ones_own_account_is_changed(engine: &str) {
    let world = World::begin(engine).await;
    assert!(fails(&world, "account show", 1).contains("The operator has no account"));
    sign_in_as(&world, OWNER);
    assert_eq!(json(&world, "account show")["email"], OWNER);
    assert!(done(&world, "account show").contains(OWNER));
    let renamed = done(&world, "account update --name Olivia");
    assert_eq!(renamed, "the name is Olivia\n");

    let ran = run_with_input(&world, "account", &["password"], "");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let two = format!("{PASSWORD}\n{ANOTHER}\n");
    let one = refused(&world, "account password --password-stdin", PASSWORD);
    assert!(one.contains("standard input has no new password"), "{one}");
    told(&world, "account password --password-stdin", &two);
    let wrong = refused(&world, "account password --password-stdin", &two);
    assert_eq!(wrong, "error: The password is wrong.\n");

    let other = "account email olivia@weir.example --password-stdin";
    assert_eq!(
        refused(&world, other, PASSWORD),
        "error: The password is wrong.\n"
    );
    let moved = told(&world, other, ANOTHER);
    assert_eq!(moved["email"], "olivia@weir.example");
    fails(&world, "account email --withdraw", 1);
    let letter = fails(&world, "account email --verify", 1);
    assert!(
        letter.starts_with("error: No mail leaves this installation."),
        "{letter}"
    );

    let enrolled = told(
        &world,
        "account second-factor enrol --password-stdin",
        ANOTHER,
    );
    let secret = enrolled["secret"].as_str().unwrap();
    let code = crate::api::account::code(secret, 0);
    let confirmed = json(&world, &format!("account second-factor confirm {code}"));
    let spare = |at: usize| confirmed["recovery_codes"][at].as_str().unwrap().to_owned();
    let needed = run_with_input(
        &world,
        "account",
        &["second-factor", "recovery-codes", "--password-stdin"],
        ANOTHER,
    );
    assert_eq!(needed.code, Some(2), "{}", needed.stderr);
    let renew = format!(
        "account second-factor recovery-codes --password-stdin --code {}",
        spare(0)
    );
    let renewed = told(&world, &renew, ANOTHER);
    let spare = renewed["recovery_codes"][0].as_str().unwrap();
    let remove = format!("account second-factor remove --password-stdin --code {spare}");
    told(&world, &remove, ANOTHER);
    assert_eq!(json(&world, "account show")["has_second_factor"], false);

    let sessions = json(&world, "account sessions");
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    let body = json!({ "email": "olivia@weir.example", "password": ANOTHER });
    let elsewhere = world.anybody().post("/v1/sign-in", &body).json();
    let id = elsewhere["session"]["id"].as_str().unwrap();
    done(&world, &format!("account sessions --end {id} --yes"));
    world.anybody().post("/v1/sign-in", &body);
    let ended = done(&world, "account sessions --end-others --yes");
    assert_eq!(ended, "ended 1 session\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_password_and_second_factor_is_helped() {
    let world = World::begin("sqlite").await;
    enrol(&world).await;
    let link = done(&world, &format!("user reset-link {OWNER}"));
    let (_, token) = link.trim().split_once("/reset?token=").unwrap();
    let ran = run_with_input(
        &world,
        "accept",
        &[link.trim(), "--password-stdin"],
        ANOTHER,
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(token.starts_with("weir_once_"));
    let removed = done(&world, &format!("user remove-second-factor {OWNER} --yes"));
    assert_eq!(removed, format!("removed the second factor of {OWNER}\n"));
    let ran = sign_in(&world, &["--email", OWNER, "--password-stdin"], ANOTHER);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
