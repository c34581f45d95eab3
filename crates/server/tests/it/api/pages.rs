//! The pages on which people sign in, in a real browser that runs no script.

mod browser;
mod raw;

use serde_json::{Value, json};
use totp_rs::{Builder, Secret as TotpSecret};

pub use self::browser::Browser;
use super::mail::MailServer;
use super::world::{config, operator, setup_token};
use super::{Client, PASSWORD, World};
use crate::harness::Weir;

const TITLE: &str = "document.querySelector('h1').textContent";
const ALERT: &str = "document.querySelector('[role=alert]').textContent";
const NOTICE: &str = "document.querySelector('[role=status]').textContent";
/// A PNG of one point.
pub const POINT: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const ANOTHER: &str = "velvet harbor quartz 14";

fn url(weir: &Weir, page: &str) -> String {
    format!("http://{}{page}", weir.setup().admin)
}

/// Fills in the first form for sign-in and sends it.
fn sign_in(browser: &mut Browser, weir: &Weir, email: &str, password: &str) {
    browser.open(&url(weir, "/sign-in"));
    browser.fill("#sign-in-email", email);
    browser.fill("#sign-in-password", password);
    browser.press("button");
}

/// What an authenticator shows, so many steps from now. The present one and the next are still good when the clock's step ends
/// before they are sent.
pub fn one_time_code(key: &str, steps_from_now: i64) -> String {
    let secret = TotpSecret::try_from_base32(key.replace(' ', "")).unwrap();
    let now = jiff::Timestamp::now().as_second() + 30 * steps_from_now;
    let totp = Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(now).unwrap()).to_string()
}

#[test]
fn the_owner_and_somebody_invited_come_by_their_links() {
    let weir = Weir::start(&config("sqlite"));
    let mut browser = Browser::without_scripts();
    let token = setup_token(&weir);
    browser.open(&url(&weir, &format!("/setup?token={token}")));
    // The token is not left in the address, and no script could read where it is.
    assert_eq!(browser.say("location.href"), url(&weir, "/setup"));
    assert_eq!(browser.say("document.cookie"), "");
    browser.fill("#setup-email", "ada@acme.example");
    browser.fill("#setup-name", "Ada");
    browser.fill("#setup-password", "short");
    browser.press("button");
    assert_eq!(
        browser.say("document.querySelector('#setup-password').ariaInvalid"),
        "true"
    );
    let fault = browser.say("document.querySelector('#setup-password-fault').textContent");
    assert!(fault.as_str().unwrap().contains("fewer than 12"), "{fault}");
    // What was typed is there still, but for the password.
    assert_eq!(
        browser.say("document.querySelector('#setup-name').value"),
        "Ada"
    );
    assert_eq!(
        browser.say("document.querySelector('#setup-password').value"),
        ""
    );
    browser.fill("#setup-password", PASSWORD);
    browser.press("button");
    assert_eq!(browser.say(NOTICE), "The account is made. Sign in with it.");
    sign_in(&mut browser, &weir, "ada@acme.example", PASSWORD);
    assert_eq!(browser.say(TITLE), "Your account");

    let ada = Client::of(&weir).sign_in("ada@acme.example");
    ada.post(
        "/v1/organizations",
        &json!({ "slug": "acme", "name": "Acme" }),
    );
    let invited = ada.post(
        "/v1/organizations/acme/invitations",
        &json!({ "email": "grace@acme.example", "role": "viewer" }),
    );
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let mut browser = Browser::without_scripts();
    browser.open(&link);
    let about = browser.say("document.querySelector('main p').textContent");
    assert_eq!(about, "grace@acme.example is invited to Acme.");
    browser.fill("#accept-name", "<b>Grace</b>");
    browser.fill("#accept-password", PASSWORD);
    browser.press("button");
    assert_eq!(browser.say(NOTICE), "You are a member now.");
    let grace = Client::of(&weir).sign_in("grace@acme.example");
    assert_eq!(grace.get("/v1/me").json()["name"], "<b>Grace</b>");
    // It worked once.
    browser.open(&link);
    assert!(browser.say(ALERT).as_str().unwrap().contains("was used"));
    operator(&weir)
        .post("/v1/setup/link", &json!({}))
        .assert_problem(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_an_account_joins_by_signing_in_first() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    world.person("zoe@a.example").await;
    let invited = world.owner.post(
        "/v1/organizations/acme/invitations",
        &json!({ "email": "zoe@a.example", "role": "viewer" }),
    );
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let mut browser = Browser::without_scripts();
    browser.open(&link);
    browser.press("main a");
    browser.fill("#sign-in-email", "zoe@a.example");
    browser.fill("#sign-in-password", PASSWORD);
    browser.press("button");
    assert_eq!(browser.say("location.pathname"), "/accept");
    browser.press("button");
    assert_eq!(browser.say(NOTICE), "You are a member now.");
    let zoe = world.anybody().sign_in("zoe@a.example");
    assert_eq!(zoe.get("/v1/me").json()["organizations"][0]["slug"], "acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_says_nothing_of_who_there_is_and_many_say_when() {
    let world = World::begin("sqlite").await;
    let mut browser = Browser::without_scripts();
    let mut said = Vec::new();
    for email in ["owner@weir.example", "nobody@weir.example"] {
        sign_in(&mut browser, &world.weir, email, "not the password");
        said.push(browser.say(ALERT));
        assert_eq!(
            browser.say("document.querySelector('#sign-in-email').value"),
            email
        );
    }
    assert_eq!(said[0], said[1]);
    world.tire_out("127.0.0.1").await;
    sign_in(&mut browser, &world.weir, "owner@weir.example", PASSWORD);
    let said = browser.say(ALERT);
    assert!(
        said.as_str()
            .unwrap()
            .starts_with("Too many attempts. Try again in "),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_asked_for_and_replaced_by_a_recovery_code() {
    let world = World::begin("sqlite").await;
    let weir = &world.weir;
    let mut browser = Browser::without_scripts();
    sign_in(&mut browser, weir, "owner@weir.example", PASSWORD);
    let before = browser.cookie("weir_session");
    browser.fill("#set-up-password", PASSWORD);
    browser.press("form[action^='/account/authenticator'] button");
    assert_eq!(
        browser.say("document.querySelector('svg[role=img]') && true"),
        true
    );
    let key = browser.say("document.querySelector('.key').textContent");
    let key = key.as_str().unwrap().to_owned();
    browser.fill("#confirm-code", "000000");
    browser.press("button");
    let fault = browser.say("document.querySelector('#confirm-code-fault').textContent");
    assert_eq!(fault, "It is not the one that is shown now.");
    browser.fill("#confirm-code", &one_time_code(&key, 0));
    browser.press("button");
    assert_eq!(browser.say(TITLE), "Recovery codes");
    let codes =
        browser.say("[...document.querySelectorAll('.codes code')].map((one) => one.textContent)");
    assert_eq!(codes.as_array().unwrap().len(), 10);
    // A privilege change is a new token.
    assert_ne!(browser.cookie("weir_session"), before);
    browser.press("main .links a");
    assert_eq!(browser.say(TITLE), "Your account");

    for (answer, is_right) in [("111111", false), (&*one_time_code(&key, 1), true)] {
        let mut browser = Browser::without_scripts();
        sign_in(&mut browser, weir, "owner@weir.example", PASSWORD);
        assert_eq!(browser.say(TITLE), "Second step");
        browser.fill("#second-code", answer);
        browser.press("button");
        match is_right {
            true => assert_eq!(browser.say(TITLE), "Your account"),
            false => assert!(browser.say(ALERT).as_str().unwrap().contains("wrong")),
        }
    }
    sign_in_again(&mut browser, weir);
    browser.fill("#second-code", codes[3].as_str().unwrap());
    browser.press("button");
    assert_eq!(browser.say(TITLE), "Your account");
    browser.fill("#remove-password", PASSWORD);
    browser.fill("#remove-code", codes[4].as_str().unwrap());
    browser.press("form[action='/account/authenticator/remove'] button");
    assert_eq!(
        browser.say(NOTICE),
        "The authenticator and its recovery codes are removed."
    );
}

fn sign_in_again(browser: &mut Browser, weir: &Weir) {
    browser.open(&url(weir, "/sign-out"));
    browser.press("button");
    assert_eq!(browser.say(NOTICE), "You are signed out.");
    sign_in(browser, weir, "owner@weir.example", PASSWORD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_anew_by_the_link_of_a_letter() {
    let server = MailServer::start();
    let config = server
        .config("sqlite")
        .replace(", public_url: https://weir.example", "");
    let world = World::begin_with(&config).await;
    let mut browser = Browser::without_scripts();
    browser.open(&url(&world.weir, "/sign-in"));
    browser.press("main a");
    browser.fill("#forgot-email", "owner@weir.example");
    browser.press("button");
    let said = browser.say(NOTICE);
    assert!(
        said.as_str().unwrap().contains("a letter is on its way"),
        "{said}"
    );
    let link = link_of(&server.letter(0));
    let mut browser = Browser::without_scripts();
    browser.open(&link);
    assert_eq!(browser.say("location.search + location.hash"), "");
    browser.fill("#reset-password", ANOTHER);
    browser.press("button");
    assert_eq!(browser.say(NOTICE), "The password is set. Sign in with it.");
    sign_in(&mut browser, &world.weir, "owner@weir.example", ANOTHER);
    assert_eq!(browser.say(TITLE), "Your account");
    // All other sessions ended, and the link is used up.
    world
        .owner
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    browser.open(&link);
    browser.fill("#reset-password", PASSWORD);
    browser.press("button");
    assert!(browser.say(ALERT).as_str().unwrap().contains("was used"));
}

/// The only link of a letter.
fn link_of(letter: &Value) -> String {
    let text = letter["content"].as_str().unwrap();
    let text = text
        .replace("=\r\n", "")
        .replace("=\n", "")
        .replace("=3D", "=");
    let mut words = text.split_whitespace();
    words
        .find(|word| word.starts_with("http://"))
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_with_their_devices_and_ended() {
    let world = World::begin("sqlite").await;
    let weir = &world.weir;
    let mut browser = Browser::without_scripts();
    sign_in(&mut browser, weir, "owner@weir.example", PASSWORD);
    let mut other = Browser::without_scripts();
    sign_in(&mut other, weir, "owner@weir.example", PASSWORD);
    browser.open(&url(weir, "/account"));
    let listed =
        browser.say("[...document.querySelectorAll('.items li')].map((one) => one.innerText)");
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(
        listed[0].contains("Chrome on Linux") && listed[0].contains("From 127.0.0.1"),
        "{listed:?}"
    );
    assert!(
        listed[1].contains("this one") && !listed[1].contains("End it"),
        "{listed:?}"
    );
    // The other browser's, which began last.
    browser.press(".items li button");
    assert_eq!(browser.say(NOTICE), "The session has ended.");
    other.open(&url(weir, "/account"));
    assert_eq!(other.say(TITLE), "Sign in");
    assert_eq!(world.owner.get("/v1/me").status(), 200);
    browser.press("form[action='/account/sessions/end-others'] button");
    assert_eq!(browser.say(NOTICE), "All other sessions have ended.");
    world
        .owner
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    browser.fill("#password-present", PASSWORD);
    browser.fill("#password-password", ANOTHER);
    browser.press("form[action='/account/password'] button");
    let said = browser.say(NOTICE);
    assert_eq!(
        said,
        "The password is changed, and all other sessions have ended."
    );
    // An old sign-in decides on no sessions.
    sign_in(&mut other, weir, "owner@weir.example", ANOTHER);
    world.age_sessions(20).await;
    browser.open(&url(weir, "/account"));
    browser.press(".items li button");
    assert_eq!(browser.say(TITLE), "Sign in");
    assert!(
        browser
            .say(NOTICE)
            .as_str()
            .unwrap()
            .contains("older than 15 minutes")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_ends_no_session() {
    let world = World::begin("sqlite").await;
    let weir = &world.weir;
    let mut browser = Browser::without_scripts();
    sign_in(&mut browser, weir, "owner@weir.example", PASSWORD);
    let action = url(weir, "/sign-out");
    browser.open(&format!(
        "data:text/html,<form method=post action={action}><button>A prize</button></form>"
    ));
    browser.press("button");
    let said = browser.say("document.body.innerText");
    assert!(said.as_str().unwrap().contains("cross_site"), "{said}");
    browser.open(&url(weir, "/account"));
    assert_eq!(browser.say(TITLE), "Your account");
}

/// Every page, as axe-core looks at it, in both colour schemes and with an organization's colours.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_and_used_by_everybody() {
    let world = World::begin("sqlite").await;
    let weir = &world.weir;
    world.organization("acme");
    let branded = world.owner.patch(
        "/v1/organizations/acme",
        &json!({ "settings": { "branding": {
            "display_name": "Acme <b>Ltd</b>", "primary_color": "#ffcc00", "logo": POINT,
            "support_url": "https://acme.example/help?a=1&b=2",
        } } }),
    );
    assert_eq!(branded.status(), 200, "{}", branded.text());
    let mut browser = Browser::with_scripts();
    let check = |browser: &mut Browser, name: &str| {
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            assert_eq!(
                browser.violations(),
                Vec::<String>::new(),
                "{name}, {scheme}"
            );
            browser.shoot(&format!("{name}-{scheme}"), 480);
        }
    };
    browser.open(&url(weir, "/sign-in?organization=acme"));
    assert_eq!(
        browser.say("document.querySelector('.brand').textContent"),
        "Acme <b>Ltd</b>"
    );
    // The image is drawn, and the link is what was stated.
    assert_eq!(
        browser.say("document.querySelector('.logo').naturalWidth"),
        1
    );
    assert_eq!(
        browser.say("document.querySelector('footer a').href"),
        "https://acme.example/help?a=1&b=2"
    );
    check(&mut browser, "branded");
    sign_in(&mut browser, weir, "owner@weir.example", "not the password");
    check(&mut browser, "wrong-password");
    for page in [
        "/forgot",
        "/reset",
        "/reset?token=x",
        "/verify?token=x",
        "/setup?token=x",
    ] {
        browser.open(&url(weir, page));
        check(&mut browser, &page.replace(['/', '?', '='], "-"));
    }
    let invited = world.owner.post(
        "/v1/organizations/acme/invitations",
        &json!({ "email": "grace@acme.example", "role": "viewer" }),
    );
    browser.open(invited.json()["link"].as_str().unwrap());
    browser.press("button");
    check(&mut browser, "invitation");
    sign_in(&mut browser, weir, "owner@weir.example", PASSWORD);
    check(&mut browser, "account");
    browser.open(&url(weir, "/sign-out"));
    check(&mut browser, "sign-out");
    browser.open(&url(weir, "/account"));
    browser.fill("#set-up-password", PASSWORD);
    browser.press("form[action^='/account/authenticator'] button");
    check(&mut browser, "authenticator");
    let key = browser.say("document.querySelector('.key').textContent");
    browser.fill("#confirm-code", &one_time_code(key.as_str().unwrap(), 0));
    browser.press("button");
    check(&mut browser, "recovery-codes");
    browser.open(&url(weir, "/account"));
    check(&mut browser, "account-with-authenticator");
    sign_in_again(&mut browser, weir);
    check(&mut browser, "second-step");
}
