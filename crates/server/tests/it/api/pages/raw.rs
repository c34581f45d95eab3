//! What browsers are told, and what is refused of them, byte by byte.

use jiff::Timestamp;
use serde_json::json;
use weir_testkit::on_both_engines;

use super::super::world::config;
use super::super::{PASSWORD, World};
use super::POINT;
use crate::harness::{Message, Wire};

on_both_engines! {
    a_form_of_another_site_is_refused,
    cookies_are_for_this_host_and_no_script,
    a_token_in_a_cookie_is_replaced_after_an_hour,
    sessions_and_ways_back_are_as_the_file_has_them,
    an_organization_has_pages_under_its_own_name,
    what_no_page_could_show_safely_is_refused,
}

const PUBLIC: &str = "weir.example";
const OWN: &str = "Origin: https://weir.example\r\nSec-Fetch-Site: same-origin\r\n";

fn public(engine: &str) -> String {
    format!(
        "{}admin: {{ address: $ADMIN, public_url: https://{PUBLIC} }}\n",
        config(engine)
    )
}

fn get(world: &World, host: &str, path: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(world.weir.setup().admin);
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"
    ));
    wire.response("GET")
}

fn post(world: &World, path: &str, body: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(world.weir.setup().admin);
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nHost: {PUBLIC}\r\n{fields}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    ));
    wire.response("POST")
}

/// The value of a cookie that an answer sets.
fn set(message: &Message, name: &str) -> Option<String> {
    let fields = message.all("set-cookie");
    let mut values = fields.iter().filter_map(|field| {
        let (found, rest) = field.split_once('=')?;
        let (value, _) = rest.split_once(';')?;
        (found == name && !value.is_empty()).then(|| value.to_owned())
    });
    values.next()
}

/// What the first form of a page has, so that we know it again.
fn form_token(page: &Message) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// A browser that has looked at the page: its cookie, and the token of the form.
fn visit(world: &World) -> (String, String) {
    let page = get(world, PUBLIC, "/sign-in", "");
    assert_eq!(page.status(), 200, "{}", page.text());
    let visit = set(&page, "__Host-weir_visit").unwrap();
    (
        format!("Cookie: __Host-weir_visit={visit}\r\n"),
        form_token(&page),
    )
}

fn credentials(form: &str, password: &str) -> String {
    let password = password.replace(' ', "+");
    format!("form={form}&email=owner%40weir.example&password={password}")
}

/// Somebody who has signed in: the field of their cookie.
fn signed_in(world: &World) -> String {
    let (cookie, form) = visit(world);
    let fields = format!("{cookie}{OWN}");
    let answer = post(world, "/sign-in", &credentials(&form, PASSWORD), &fields);
    assert_eq!(answer.status(), 303, "{}", answer.text());
    let token = set(&answer, "__Host-weir_session").unwrap();
    format!("Cookie: __Host-weir_session={token}\r\n")
}

async fn a_form_of_another_site_is_refused(engine: &str) {
    let world = World::begin_with(&public(engine)).await;
    let (cookie, form) = visit(&world);
    let body = credentials(&form, PASSWORD);
    let refused = |fields: &str, body: &str| {
        let answer = post(&world, "/sign-in", body, fields);
        assert_eq!(answer.status(), 403, "{fields}{body}: {}", answer.text());
        assert_eq!(set(&answer, "__Host-weir_session"), None);
    };
    for origin in [
        "",
        "Origin: null\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: http://weir.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://weir.example\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        refused(&format!("{cookie}{origin}"), &body);
    }
    // Signing somebody in as somebody else (login CSRF): the form is of another browser, or of none.
    let (other, other_form) = visit(&world);
    refused(&format!("{other}{OWN}"), &body);
    refused(OWN, &body);
    refused(
        &format!("{cookie}{OWN}"),
        &credentials(&other_form, PASSWORD),
    );
    // Whoever says nothing is not told that another site asks.
    let silent = post(&world, "/sign-in", &body, &cookie).text();
    let said = "The request does not say that it comes from a page of this host.";
    assert!(silent.contains(said), "{silent}");
    refused(&format!("{cookie}{OWN}"), &credentials("", PASSWORD));
    let answer = post(&world, "/sign-in", &body, &format!("{cookie}{OWN}"));
    assert_eq!(answer.status(), 303);

    // And with a session: neither pages nor the API take what another site sends.
    let session = signed_in(&world);
    let page = get(&world, PUBLIC, "/account", &session);
    let form = form_token(&page);
    let body = format!("form={form}");
    let ended = post(&world, "/account/sessions/end-others", &body, &session);
    assert_eq!(ended.status(), 403);
    let me = |fields: &str| {
        let mut wire = Wire::connect(world.weir.setup().admin);
        wire.send(format!(
            "POST /v1/sign-out HTTP/1.1\r\nHost: {PUBLIC}\r\n{session}{fields}Content-Length: 0\r\n\
             Connection: close\r\n\r\n"
        ));
        wire.response("POST").status()
    };
    assert_eq!(me(""), 403);
    assert_eq!(me("Origin: https://evil.example\r\n"), 403);
    assert_eq!(get(&world, PUBLIC, "/v1/me", &session).status(), 200);
    // A name that suddenly leads here has no say, whatever cookie it brings.
    assert_eq!(
        get(&world, "evil.example", "/account", &session).status(),
        403
    );
    assert_eq!(me(OWN), 204);
    assert_eq!(get(&world, PUBLIC, "/v1/me", &session).status(), 401);
}

async fn cookies_are_for_this_host_and_no_script(engine: &str) {
    let world = World::begin_with(&public(engine)).await;
    let (cookie, form) = visit(&world);
    let answer = post(
        &world,
        "/sign-in?return_to=//evil.example",
        &credentials(&form, PASSWORD),
        &format!("{cookie}{OWN}"),
    );
    assert_eq!(answer.get("location"), Some("/account"));
    let fields = answer.all("set-cookie");
    let session = fields
        .iter()
        .find(|field| field.starts_with("__Host-weir_session="));
    let (_, attributes) = session.unwrap().split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax; Secure");
    // Where nothing hides what is sent, nothing is kept, and the page says what to do.
    let admin = world.weir.setup().admin;
    let elsewhere = get(&world, "10.1.2.3:9900", "/sign-in", "");
    assert_eq!(elsewhere.status(), 403);
    assert!(
        elsewhere.text().contains("weir.example instead"),
        "{}",
        elsewhere.text()
    );
    assert!(elsewhere.all("set-cookie").is_empty());
    // On this machine, for development, they are by another name, and not taken for the others.
    let here = get(&world, &admin.to_string(), "/sign-in", "");
    assert!(set(&here, "weir_visit").is_some());
    let value = session.unwrap().split(['=', ';']).nth(1).unwrap();
    for (host, field) in [
        (PUBLIC, format!("Cookie: weir_session={value}\r\n")),
        (
            &*admin.to_string(),
            format!("Cookie: __Host-weir_session={value}\r\n"),
        ),
    ] {
        assert_eq!(get(&world, host, "/v1/me", &field).status(), 401);
    }
}

async fn a_token_in_a_cookie_is_replaced_after_an_hour(engine: &str) {
    let world = World::begin_with(&public(engine)).await;
    let first = signed_in(&world);
    let me = |cookie: &str| get(&world, PUBLIC, "/v1/me", cookie);
    let calm = me(&first);
    assert_eq!((calm.status(), calm.all("set-cookie").len()), (200, 0));
    world.make_due().await;
    // Each of many answers brings the same one, so that it does not matter which arrives.
    let renewed: Vec<_> = (0..3)
        .map(|_| set(&me(&first), "__Host-weir_session"))
        .collect();
    let token = renewed[0].clone().unwrap();
    assert!(
        renewed.iter().all(|one| one.as_ref() == Some(&token)),
        "{renewed:?}"
    );
    let second = format!("Cookie: __Host-weir_session={token}\r\n");
    assert_ne!(first, second);
    let calm = me(&second);
    assert_eq!((calm.status(), calm.all("set-cookie").len()), (200, 0));
    world.end_overlap().await;
    assert_eq!(me(&first).status(), 401);
    assert_eq!(me(&second).status(), 200);
    let audit = world.owner.get("/v1/audit?action=session.reuse").json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
}

async fn sessions_and_ways_back_are_as_the_file_has_them(engine: &str) {
    let identity = "identity: { sessions: { absolute: 2h, idle: 10m, rotate_every: 30m, overlap: 5s }, \
                    return_origins: ['https://app.example:443'] }\n";
    let world = World::begin_with(&format!("{}{identity}", public(engine))).await;
    let session = world.owner.get("/v1/me").json()["session"].clone();
    let time = |member: &str| session[member].as_str().unwrap().parse::<Timestamp>();
    let lasts = time("expires_at")
        .unwrap()
        .duration_since(time("created_at").unwrap());
    assert_eq!(lasts.as_secs(), 2 * 3_600);
    let (cookie, form) = visit(&world);
    let go = |place: &str| {
        let path = format!("/sign-in?return_to={place}");
        let answer = post(
            &world,
            &path,
            &credentials(&form, PASSWORD),
            &format!("{cookie}{OWN}"),
        );
        assert_eq!(answer.status(), 303, "{}", answer.text());
        answer.get("location").map(str::to_owned)
    };
    assert_eq!(
        go("https%3A%2F%2Fapp.example%2Forders%3Fpage%3D2").as_deref(),
        Some("https://app.example/orders?page=2")
    );
    for elsewhere in [
        "https%3A%2F%2Fapp.example.evil.example%2F",
        "https%3A%2F%2Fapp.example%40evil.example%2F",
        "https%3A%2F%2Fapp.example%3A8443%2F",
        "http%3A%2F%2Fapp.example%2F",
    ] {
        assert_eq!(go(elsewhere).as_deref(), Some("/account"), "{elsewhere}");
    }
    // Browsers hold the form to the policy of its page, wherever it is sent on to.
    let page = get(&world, PUBLIC, "/sign-in", "");
    let policy = page.get("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' https://app.example;"),
        "{policy}"
    );
}

const ACME: &str = "login.acme.example";

/// Brands two organizations, one of which has a name of its own.
async fn branded(engine: &str) -> World {
    let hosts = format!("identity: {{ sign_in_hosts: {{ {ACME}: acme }} }}\n");
    let world = World::begin_with(&format!("{}{hosts}", public(engine))).await;
    for slug in ["acme", "globex"] {
        world.organization(slug);
        let branding = json!({
            "display_name": format!("<script>alert('{slug}')</script>"), "logo": POINT,
            "primary_color": "#ffcc00", "support_url": "mailto:help@acme.example",
        });
        let changed = world.owner.patch(
            &format!("/v1/organizations/{slug}"),
            &json!({ "settings": { "branding": branding } }),
        );
        assert_eq!(changed.status(), 200, "{}", changed.text());
    }
    world
}

async fn an_organization_has_pages_under_its_own_name(engine: &str) {
    let world = branded(engine).await;
    for page in ["/sign-in", "/sign-in?organization=globex", "/forgot"] {
        let page = get(&world, ACME, page, "").text();
        assert!(page.contains("alert(&#x27;acme&#x27;)"), "{page}");
        assert!(
            !page.contains("<script") && !page.contains("globex&#x27;"),
            "{page}"
        );
        let escaped = POINT.replace('/', "&#x2f;");
        assert!(page.contains(&format!("<img src=\"{escaped}\"")), "{page}");
        assert!(page.contains("href=\"mailto:help@acme.example\""), "{page}");
        assert!(
            page.contains("/pages/brand/acme\"")
                || page.contains("&#x2f;pages&#x2f;brand&#x2f;acme\""),
            "{page}"
        );
    }
    let plain = get(&world, PUBLIC, "/sign-in", "").text();
    assert!(!plain.contains("acme"), "{plain}");
    // Names that are nearly it, and what a client says of who it asked, make no pages of it.
    for host in [
        "login.acme.example.",
        "login.acme.example:9900",
        "x.login.acme.example",
        "login.acme.example.evil.example",
    ] {
        assert_eq!(get(&world, host, "/sign-in", "").status(), 403, "{host}");
    }
    let forwarded = format!("X-Forwarded-Host: {ACME}\r\nForwarded: host={ACME}\r\n");
    let page = get(&world, PUBLIC, "/sign-in", &forwarded).text();
    assert!(!page.contains("acme"), "{page}");

    // People sign in there, with cookies of that name, and forms of other names are those of strangers.
    let page = get(&world, ACME, "/sign-in", "");
    let visit = set(&page, "__Host-weir_visit").unwrap();
    let body = credentials(&form_token(&page), PASSWORD);
    let send = |origin: &str| {
        let mut wire = Wire::connect(world.weir.setup().admin);
        wire.send(format!(
            "POST /sign-in HTTP/1.1\r\nHost: {ACME}\r\nCookie: __Host-weir_visit={visit}\r\nOrigin: {origin}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        ));
        wire.response("POST")
    };
    for origin in ["https://weir.example", "http://login.acme.example", "null"] {
        assert_eq!(send(origin).status(), 403, "{origin}");
    }
    let answer = send("https://login.acme.example");
    assert_eq!(answer.status(), 303, "{}", answer.text());
    let session = set(&answer, "__Host-weir_session").unwrap();
    let cookie = format!("Cookie: __Host-weir_session={session}\r\n");
    assert_eq!(get(&world, ACME, "/account", &cookie).status(), 200);
}

async fn what_no_page_could_show_safely_is_refused(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let path = "/v1/organizations/acme";
    let svg = "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+";
    let large = format!("{POINT}{}", "A".repeat(30_000));
    for (member, value) in [
        ("logo", svg),
        ("logo", "data:text/html;base64,PHNjcmlwdD4="),
        ("logo", "https://evil.example/logo.png"),
        ("logo", "javascript:alert(1)"),
        ("logo", &large),
        ("support_url", "javascript:alert(1)"),
        ("support_url", "data:text/html,x"),
        ("support_url", "mailto:a@b.example?bcc=c@d.example"),
        ("primary_color", "red;}*{display:none"),
    ] {
        let patch = json!({ "settings": { "branding": { member: value } } });
        let refused = world.owner.patch(path, &patch);
        refused.assert_problem(422, "invalid");
        assert!(
            refused
                .text()
                .contains(&format!("/settings/branding/{member}")),
            "{}",
            refused.text()
        );
    }
    let patch = json!({ "settings": { "branding": { "logo": POINT } } });
    assert_eq!(world.owner.patch(path, &patch).status(), 200);
    // The audit has the image's digest.
    let audit = world.owner.get("/v1/organizations/acme/audit").text();
    let everywhere = world.owner.get("/v1/audit").text();
    assert!(!audit.contains("iVBORw0") && !everywhere.contains("iVBORw0"));
    assert!(
        audit.contains("sha256:") || everywhere.contains("sha256:"),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_run_nothing_and_are_framed_by_nobody() {
    let world = World::begin_with(&public("sqlite")).await;
    for path in [
        "/sign-in", "/forgot", "/reset", "/accept", "/verify", "/setup",
    ] {
        let page = get(&world, PUBLIC, path, "");
        let policy = page.get("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(!page.text().contains("<script"), "{path}");
        assert_eq!(page.get("cache-control"), Some("no-store"));
        assert_eq!(page.get("x-content-type-options"), Some("nosniff"));
    }
    // A link's token goes into a cookie, and from no address into another's log.
    let opened = get(&world, PUBLIC, "/reset?token=weir_once_x", "");
    assert_eq!(
        (opened.status(), opened.get("location")),
        (303, Some("/reset"))
    );
    assert_eq!(opened.get("referrer-policy"), Some("no-referrer"));
    assert_eq!(
        set(&opened, "__Host-weir_link").as_deref(),
        Some("reset.weir_once_x")
    );
    let hostile = get(
        &world,
        PUBLIC,
        "/reset?token=x%3B%20Domain=evil%0d%0aSet-Cookie:%20a=b",
        "",
    );
    assert_eq!(
        hostile.all("set-cookie").len(),
        1,
        "{:?}",
        hostile.all("set-cookie")
    );
    let hostile = get(
        &world,
        PUBLIC,
        "/sign-in?organization=%22%3E%3Cscript%3E&said=%3Cb%3E",
        "",
    );
    assert_eq!(hostile.status(), 200);
    assert!(!hostile.text().contains("<script>"), "{}", hostile.text());
}
