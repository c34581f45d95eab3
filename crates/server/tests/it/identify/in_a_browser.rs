//! Signing in with a browser, and what it comes to at the gateway.

use std::time::{Duration, Instant};

use weir_identity::Caller;

use super::sessions::routes;
use crate::api::{Browser, PASSWORD, World, one_time_code};
use crate::harness::{Upstream, wait_within};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_comes_to_the_page_that_it_asked_for_by_signing_in_with_a_second_factor() {
    const BODY: &str = "document.body.innerText";
    const PLACE: &str = "location.pathname + location.search";
    let upstream = Upstream::echo();
    let world = World::begin_with(&routes("sqlite", &upstream)).await;
    let email = "zoe@a.example";
    let user = world.person(email).await;
    let weir = &world.weir;
    let page = |path: &str| format!("http://{}{path}", weir.http());
    let sign_in = |browser: &mut Browser| {
        browser.fill("#sign-in-email", email);
        browser.fill("#sign-in-password", PASSWORD);
        browser.press("button");
    };
    // The pages are at the gateway's own address.
    let mut first = Browser::without_scripts();
    first.open(&page("/account"));
    sign_in(&mut first);
    first.fill("#set-up-password", PASSWORD);
    first.press("form[action^='/account/authenticator'] button");
    let key = first.say("document.querySelector('.key').textContent");
    let key = key.as_str().unwrap().to_owned();
    first.fill("#confirm-code", &one_time_code(&key, 0));
    first.press("button");
    first.say("document.querySelectorAll('.codes code').length || null");

    let mut browser = Browser::without_scripts();
    browser.open(&page("/strong?x=1&y=%2F"));
    assert_eq!(browser.say("location.pathname"), "/sign-in");
    sign_in(&mut browser);
    browser.fill("#second-code", &one_time_code(&key, 1));
    browser.press("button");
    assert_eq!(browser.say(PLACE), "/strong?x=1&y=%2F");
    let seen = browser.say(BODY);
    let seen = seen.as_str().unwrap();
    assert!(
        seen.contains("GET /strong?x=1") && !seen.contains("weir_session"),
        "{seen}"
    );
    browser.open(&page("/app"));
    let seen = browser.say(BODY);
    assert!(
        seen.as_str().unwrap().contains("x-weir-method: two_factor"),
        "{seen}"
    );

    let system = Caller::system();
    let ended = world.identity.revoke_sessions(&system, &user, None);
    ended.await.unwrap();
    let since = Instant::now();
    wait_within(Duration::from_secs(10), "it is sent to sign in", || {
        browser.open(&page("/app"));
        browser.say("location.pathname") == "/sign-in"
    });
    // Opening a page takes a browser some time of its own.
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
}
