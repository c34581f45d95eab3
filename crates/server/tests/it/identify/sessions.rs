//! People's sessions at the gateway: the cookie of the sign-in pages, whoever shows it, and until when.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_identity::Caller;
use weir_testkit::{Postgres, on_both_engines};

use crate::api::{World, config};
use crate::harness::{Message, Setup, Upstream, Weir, Wire, wait_within};

on_both_engines! {
    a_session_says_who_calls_until_it_is_ended,
    only_whoever_opens_a_page_is_sent_to_sign_in,
    what_another_site_sends_is_nobodys_word,
    members_are_let_in_with_their_role,
    a_token_whose_time_has_come_is_replaced_by_whatever_shows_it,
    a_token_is_replaced_whatever_else_the_request_needs_and_comes_to,
}

const PUBLIC: &str = "weir.example";
const OWN: &str = "Origin: https://weir.example\r\nSec-Fetch-Site: same-origin\r\n";
const OPENS: &str =
    "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

/// Routes behind sessions in front of a server that tells what it got, and the pages.
pub(super) fn routes(engine: &str, upstream: &Upstream) -> String {
    let records = config(engine).replace("routes: []\n", "");
    format!(
        "{records}{}",
        r"upstreams: { up: { targets: ['$UP'] }, weir: { targets: ['$ADMIN'] } }
policies:
  people: { session: {} }
  quiet: { session: { redirect: never } }
  strong: { session: { strength: second_factor } }
  members: { session: { organization: acme } }
  services: { api_key: {} }
  others: { api_key: { header: x-other-key } }
  either: { any_of: { policies: [people, services] } }
  lends: { session: { required: false, forward: true } }
  maybe: { session: { required: false } }
  who: { identity: { claims: { x-email: email } } }
routes:
  - { name: app, match: { path: /app }, policies: [people, who], upstream: up }
  - { name: quiet, match: { path: /quiet }, policies: [quiet], upstream: up }
  - { name: strong, match: { path: /strong }, policies: [strong], upstream: up }
  - { name: members, match: { path: /members }, policies: [members, who], upstream: up }
  - { name: either, match: { path: /either }, policies: [either, who], upstream: up }
  - { name: beside, match: { path: /beside }, policies: [services, people], upstream: up }
  - { name: refused, match: { path: /refused }, policies: [people, others], upstream: up }
  - { name: maybe, match: { path: /maybe }, policies: [maybe, who], upstream: up }
  - { name: of-acme, match: { host: acme.test, path: /app }, organization: acme, policies: [people, who], upstream: up }
  - { name: open, match: { path: /open }, upstream: up }
  - { name: pages, match: { path: [/sign-in, /sign-in/*, /sign-out, /account, /account/*, /pages/*] }, policies: [lends], upstream: weir }
log: { format: json }
"
        .replace("$UP", &upstream.address.to_string())
    )
}

fn public(engine: &str, upstream: &Upstream) -> String {
    let admin = format!("admin: {{ address: $ADMIN, public_url: https://{PUBLIC} }}\n");
    format!("{admin}{}", routes(engine, upstream))
}

fn send(weir: &Weir, method: &str, host: &str, target: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"
    ));
    wire.response(method)
}

fn get(weir: &Weir, target: &str, fields: &str) -> Message {
    send(weir, "GET", PUBLIC, target, fields)
}

fn cookie(token: &str) -> String {
    format!("Cookie: a=b; __Host-weir_session={token}; c=d\r\n")
}

/// The token that an answer has the browser keep.
fn kept(answer: &Message) -> Option<String> {
    let fields = answer.all("set-cookie");
    let mut tokens = fields.iter().filter_map(|field| {
        let rest = field.strip_prefix("__Host-weir_session=")?;
        let (token, attributes) = rest.split_once(';')?;
        assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Secure");
        Some(token.to_owned())
    });
    tokens.next()
}

/// Waits until the session is refused; fails if that takes longer than a second.
fn refused_in_time(weir: &Weir, token: &str, since: Instant) {
    wait_within(Duration::from_secs(5), "the session is refused", || {
        get(weir, "/quiet", &cookie(token)).status() == 401
    });
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

async fn a_session_says_who_calls_until_it_is_ended(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    let user = world.person("zoe@a.example").await;
    let zoe = world.signed_in(&user).await;
    let weir = &world.weir;
    for _ in 0..3 {
        let answer = get(weir, "/app", &cookie(zoe.token()));
        let seen = answer.text();
        assert_eq!(answer.status(), 200, "{seen}");
        assert!(
            seen.contains(&format!("x-weir-subject: {user}\n")),
            "{seen}"
        );
        assert!(seen.contains("x-weir-method: password\n"), "{seen}");
        assert!(seen.contains("x-email: zoe@a.example\n"), "{seen}");
        assert!(
            seen.contains("cookie: a=b; c=d\n"),
            "the others stay: {seen}"
        );
        assert!(
            !seen.contains("weir_session"),
            "it is for Weir alone: {seen}"
        );
        assert_eq!(kept(&answer), None);
    }
    // Nor does it go where nobody is asked who they are.
    let seen = get(weir, "/open", &cookie(zoe.token())).text();
    assert!(
        seen.contains("cookie: a=b; c=d\n") && !seen.contains("weir_session"),
        "{seen}"
    );
    let weak = get(weir, "/strong", &cookie(zoe.token()));
    weak.assert_problem(403, "forbidden");
    let detail = weak.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("second factor"), "{detail}");
    // A plain cookie is nobody's where it could have been put there by a neighbour.
    let plain = format!("Cookie: weir_session={}\r\n", zoe.token());
    get(weir, "/quiet", &plain).assert_problem(401, "credential_missing");

    let other = world.signed_in(&user).await;
    assert_eq!(get(weir, "/quiet", &cookie(other.token())).status(), 200);
    let sessions = world.identity.sessions(&user).await.unwrap();
    // The oldest of them, beside the node that answers.
    let first = &sessions.last().unwrap().id;
    let system = Caller::system();
    let ended = world.identity.revoke_session(&system, &user, first);
    ended.await.unwrap();
    refused_in_time(weir, zoe.token(), Instant::now());
    assert_eq!(get(weir, "/quiet", &cookie(other.token())).status(), 200);
    let ended = world.identity.suspend_user(&system, &user, None, "gone");
    ended.await.unwrap();
    refused_in_time(weir, other.token(), Instant::now());
    // Whoever has a cookie that is over is nobody, and not somebody with a bad credential.
    let anonymous = get(weir, "/maybe", &cookie(other.token()));
    assert_eq!(anonymous.status(), 200);
    assert!(!anonymous.text().contains("x-weir-subject"));
    assert!(!weir.log().contains(zoe.token()) && !weir.log().contains(other.token()));
}

async fn only_whoever_opens_a_page_is_sent_to_sign_in(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    let weir = &world.weir;
    let made_up = format!("weir_session_{}", "A".repeat(43));
    for fields in [OPENS.to_owned(), format!("{OPENS}{}", cookie(&made_up))] {
        let answer = get(weir, "/app?x=1&y=%2F", &fields);
        assert_eq!(answer.status(), 303, "{}", answer.text());
        assert_eq!(
            answer.get("location"),
            Some("/sign-in?return_to=/app%3Fx%3D1%26y%3D%252F")
        );
        assert_eq!(answer.get("cache-control"), Some("no-store"));
        assert_eq!(
            (answer.get("www-authenticate"), answer.text().as_str()),
            (None, "")
        );
    }
    // Where to is decided here, whatever a request says.
    for (host, target) in [
        ("evil.example", "/app"),
        (PUBLIC, "http://evil.example/app"),
        (PUBLIC, "//app"),
        (PUBLIC, "/x/..//app"),
        (PUBLIC, "/app?return_to=https://evil.example"),
    ] {
        let answer = send(weir, "GET", host, target, OPENS);
        assert_eq!(answer.status(), 303, "{target}: {}", answer.text());
        let location = answer.get("location").unwrap();
        assert!(
            location.starts_with("/sign-in?return_to=/app"),
            "{location}"
        );
    }
    for fields in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
    ] {
        let answer = get(weir, "/app", fields);
        answer.assert_problem(401, "credential_missing");
        assert_eq!(
            answer.get("www-authenticate"),
            Some("Cookie realm=\"weir\"")
        );
    }
    let posted = send(
        weir,
        "POST",
        PUBLIC,
        "/app",
        &format!("{OPENS}{OWN}Content-Length: 0\r\n"),
    );
    posted.assert_problem(401, "credential_missing");
    get(weir, "/quiet", OPENS).assert_problem(401, "credential_missing");
    assert_eq!(upstream.accepted(), 0);
    // The page is there, and takes nothing for a place to come back to that leads elsewhere.
    let page = get(weir, "/sign-in?return_to=//evil.example", OPENS);
    assert_eq!(page.status(), 200, "{}", page.text());
    assert!(!page.text().contains("evil.example"));
    let page = get(
        weir,
        "/sign-in?return_to=/app",
        &format!("{OPENS}{}", cookie(&made_up)),
    );
    assert!(page.text().contains("return_to=%2Fapp"), "{}", page.text());
}

async fn what_another_site_sends_is_nobodys_word(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    world.organization("acme");
    let new = json!({ "name": "import", "scopes": [] });
    let made = world.owner.post("/v1/organizations/acme/api-keys", &new);
    let key = made.json()["secret"].as_str().unwrap().to_owned();
    let post = |target: &str, fields: &str| {
        let cookie = cookie(world.owner.token());
        let fields = format!("{cookie}{fields}Content-Length: 0\r\n");
        send(&world.weir, "POST", PUBLIC, target, &fields)
    };
    for fields in [
        "",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://weir.example\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        for target in ["/app", "/maybe", "/sign-out"] {
            let answer = post(target, fields);
            answer.assert_problem(403, "forbidden");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("a page of this very host"), "{detail}");
        }
        // A key is sent on purpose.
        let with_key = post("/either", &format!("{fields}X-Api-Key: {key}\r\n"));
        assert_eq!(with_key.status(), 200, "{}", with_key.text());
        assert!(with_key.text().contains("x-weir-method: key"));
    }
    assert_eq!(post("/app", OWN).status(), 200);
    let foreign = format!(
        "{}Origin: https://evil.example\r\n",
        cookie(world.owner.token())
    );
    assert_eq!(get(&world.weir, "/app", &foreign).status(), 200);
}

async fn members_are_let_in_with_their_role(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    let acme = world.organization("acme");
    let viewer = world.member(&acme, "viewer").await;
    let stranger = world.person("zoe@a.example").await;
    let stranger = world.signed_in(&stranger).await;
    let weir = &world.weir;
    let seen = get(weir, "/members", &cookie(viewer.token()));
    assert_eq!(seen.status(), 200, "{}", seen.text());
    let seen = seen.text();
    for line in [
        "x-weir-organization: acme\n",
        "x-weir-roles: viewer\n",
        "x-weir-scopes: ",
    ] {
        assert!(seen.contains(line), "{seen}");
    }
    assert!(
        seen.contains("route:read") && !seen.contains("route:write"),
        "{seen}"
    );
    let app = |token: &str| send(weir, "GET", "acme.test", "/app", &cookie(token));
    wait_within(Duration::from_secs(20), "the organization is known", || {
        app(viewer.token()).status() == 200
    });
    for answer in [
        get(weir, "/members", &cookie(stranger.token())),
        app(stranger.token()),
    ] {
        answer.assert_problem(403, "forbidden");
    }
    let me = viewer.get("/v1/me").json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let member = world
        .identity
        .member_of(&acme, &me.parse().unwrap())
        .await
        .unwrap();
    let system = Caller::system();
    let removed = world
        .identity
        .remove_member(&system, &acme, &member.id, None);
    removed.await.unwrap();
    let since = Instant::now();
    wait_within(
        Duration::from_secs(5),
        "they are no member any more",
        || {
            app(viewer.token()).status() == 403
                && get(weir, "/members", &cookie(viewer.token())).status() == 403
        },
    );
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
}

async fn a_token_whose_time_has_come_is_replaced_by_whatever_shows_it(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    let weir = &world.weir;
    let former = world.owner.token().to_owned();
    world.make_due().await;
    let successors: Vec<Option<String>> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| get(weir, "/app", &cookie(&former))))
            .collect();
        let answers = asks.into_iter().map(|ask| ask.join().unwrap());
        answers
            .map(|answer| {
                assert_eq!(answer.status(), 200, "{}", answer.text());
                assert_eq!(answer.get("cache-control"), Some("no-store"));
                kept(&answer)
            })
            .collect()
    });
    let successor = successors[0].clone().unwrap();
    assert_ne!(successor, former);
    assert!(
        successors
            .iter()
            .all(|one| one.as_ref() == Some(&successor))
    );
    let next = get(weir, "/app", &cookie(&successor));
    assert_eq!((next.status(), kept(&next)), (200, None));
    // The pages say the same, and their word stands.
    let page = get(weir, "/account", &format!("{OPENS}{}", cookie(&former)));
    assert_eq!((page.status(), kept(&page)), (200, Some(successor.clone())));
    assert_eq!(page.all("set-cookie").len(), 1);
    world.end_overlap().await;
    get(weir, "/quiet", &cookie(&former)).assert_problem(401, "credential_missing");
    assert_eq!(get(weir, "/quiet", &cookie(&successor)).status(), 200);
    let told = world
        .owner
        .with(&successor)
        .get("/v1/audit?action=session.reuse");
    assert_eq!(
        told.json()["items"].as_array().map(Vec::len),
        Some(1),
        "{}",
        told.text()
    );
}

async fn a_token_is_replaced_whatever_else_the_request_needs_and_comes_to(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&public(engine, &upstream)).await;
    world.organization("acme");
    let new = json!({ "name": "import", "scopes": [] });
    let made = world.owner.post("/v1/organizations/acme/api-keys", &new);
    let key = made.json()["secret"].as_str().unwrap().to_owned();
    let former = cookie(world.owner.token());
    world.make_due().await;
    let weir = &world.weir;
    let beside = get(weir, "/beside", &format!("{former}X-Api-Key: {key}\r\n"));
    assert_eq!(beside.status(), 200, "{}", beside.text());
    let successor = kept(&beside).expect("the token that is the session's");
    // It is the session's, whatever that is worth here, and whoever else is missing.
    for (target, status) in [("/strong", 403), ("/refused", 401), ("/members", 403)] {
        let refused = get(weir, target, &former);
        assert_eq!(refused.status(), status, "{target}");
        assert_eq!(kept(&refused).as_ref(), Some(&successor), "{target}");
        assert_eq!(refused.get("cache-control"), Some("no-store"));
    }
    // Of what another site sends nobody was asked.
    let foreign = format!("{former}Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n");
    let foreign = send(weir, "POST", PUBLIC, "/app", &foreign);
    assert_eq!((foreign.status(), kept(&foreign)), (403, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_at_one_node_is_refused_at_the_other_and_known_ones_outlive_records()
 {
    let postgres = Postgres::start(&[]);
    let upstream = Upstream::echo();
    let text = format!(
        "records: {{ url: \"{}\" }}\n{}",
        postgres.database(),
        public("sqlite", &upstream)
    );
    let world = World::begin_with(&text).await;
    let sealed = std::fs::read(world.weir.setup().data().join("installation.key")).unwrap();
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data()).unwrap();
    setup.write("data/installation.key", sealed);
    let other = setup.start(&text);
    let user = world.person("zoe@a.example").await;
    let ended = world.signed_in(&user).await;
    let is_in = |weir: &Weir, token: &str| get(weir, "/quiet", &cookie(token)).status() == 200;
    let lasting = world.owner.token();
    wait_within(
        Duration::from_secs(20),
        "the other node has records",
        || is_in(&other, ended.token()),
    );
    assert!(
        is_in(&world.weir, ended.token()) && is_in(&other, lasting) && is_in(&world.weir, lasting)
    );
    let gone = ended.delete("/v1/me/sessions");
    assert!(gone.status() < 300, "{}", gone.text());
    let system = Caller::system();
    let all = world.identity.revoke_sessions(&system, &user, None);
    all.await.unwrap();
    let since = Instant::now();
    refused_in_time(&other, ended.token(), since);
    refused_in_time(&world.weir, ended.token(), since);
    let unknown = world.signed_in(&user).await;
    postgres.stop();
    for _ in 0..20 {
        for weir in [&other, &world.weir] {
            let answer = get(weir, "/quiet", &cookie(lasting));
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }
    // They may be good: nobody is sent to sign in anew.
    let fields = format!("{OPENS}{}", cookie(unknown.token()));
    get(&other, "/app", &fields).assert_problem(503, "identity_unavailable");
}
