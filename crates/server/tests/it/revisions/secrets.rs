//! Secrets of resources: open on the way to an upstream, sealed or hidden everywhere else.

use serde_json::{Value, json};
use weir_config::ResourceKind;
use weir_testkit::Postgres;

use super::following::{left_out, status, wait_until_kept};
use super::{Editor, config, put, wait_until_available, wait_until_in_effect};
use crate::api::World;
use crate::harness::{Setup, Upstream, Weir};

const SECRET: &str = "cnry-5Tq9bW2mXe";
const ROUTE: &str = "/v1/config/routes/secret";
const POLICY: &str = "/v1/config/policies/auth";

fn policy(secret: &str) -> Value {
    json!({"headers": {"request": {"set": {"authorization": secret, "x-plain": "one"}}}})
}

fn route() -> Value {
    json!({"match": {"path": "/secret"}, "upstream": "shop", "policies": ["auth"]})
}

fn kept(weir: &Weir) -> String {
    std::fs::read_to_string(weir.setup().data().join("resources.json")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_upstream_and_nobody_who_looks() {
    let upstream = Upstream::echo();
    let world = World::begin_with(&config(&upstream, "")).await;
    let (owner, weir) = (&world.owner, &world.weir);
    let change = |path: &str, document: &Value| owner.send("PUT", path, Some(document), "");
    let made = change(POLICY, &policy(SECRET));
    assert_eq!(made.status(), 201, "{}", made.text());
    assert_eq!(made.json()["changes"][0]["after"], policy("•••"));
    // A reference would not help here, and is not asked for.
    let warned = made.json()["warnings"].to_string();
    assert!(!warned.contains("WR0502"), "{warned}");
    assert_eq!(change(ROUTE, &route()).status(), 201);
    let sent = || weir.get("/secret").text().to_lowercase();
    let expected = format!("authorization: {SECRET}").to_lowercase();
    assert!(sent().contains(&expected), "{}", sent());

    // Read, change, write.
    let mut document = owner.get(POLICY).json()["document"].clone();
    assert_eq!(document, policy("•••"));
    document["headers"]["request"]["set"]["x-plain"] = json!("two");
    let tried = change(&format!("{POLICY}?dry_run=true"), &document);
    assert_eq!(tried.status(), 200, "{}", tried.text());
    let changed = change(POLICY, &document);
    assert_eq!(changed.status(), 200, "{}", changed.text());
    assert!(sent().contains(&expected) && sent().contains("x-plain: two"));
    let elsewhere = change("/v1/config/policies/other", &policy("•••"));
    elsewhere.assert_problem(422, "invalid");
    assert!(elsewhere.text().contains("no secret is kept"));

    let renewed = change(POLICY, &policy("another"));
    let place = "/headers/request/set/authorization";
    assert_eq!(renewed.json()["changes"][0]["secrets"], json!([place]));
    let diff = weir.run("revision", &["diff", "4"]);
    let line = format!("\\ A secret is different: {place}\n");
    assert!(diff.stdout.ends_with(&line), "{}", diff.stdout);
    let back = owner.post("/v1/revisions/3/rollback", &json!({}));
    assert_eq!(back.status(), 201, "{}", back.text());
    assert!(sent().contains(&expected));
    wait_until_kept(weir, 5);
    let shown = weir.run("policy", &["show", "auth"]);
    assert!(
        shown.stdout.contains("•••"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    for place in [
        kept(weir),
        shown.stdout,
        diff.stdout,
        made.text(),
        tried.text(),
        weir.log(),
        owner.get("/v1/revisions/5/diff?from=0").text(),
        owner.get("/v1/config/policies").text(),
        owner.get("/v1/audit?format=ndjson").text(),
        owner.get("/v1/status").text(),
    ] {
        assert!(!place.contains(SECRET), "{place}");
    }
}

#[test]
fn a_start_without_records_opens_secrets_with_the_installations_key() {
    let upstream = Upstream::echo();
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(
        &upstream,
        &format!("records: {{ url: \"{url}\", acquire_timeout: 1s }}\n"),
    );
    let data = tempfile::tempdir().unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    wait_until_available(&weir);
    let plain = json!({"match": {"path": "/plain"}, "upstream": "shop"});
    let one = Editor::on_server(&url, &weir).change(vec![
        put(ResourceKind::Policy, "auth", policy(SECRET)),
        put(ResourceKind::Route, "secret", route()),
        put(ResourceKind::Route, "plain", plain),
    ]);
    wait_until_in_effect(&weir, one);
    wait_until_kept(&weir, one);
    database.stop();
    drop(weir);

    let weir = start();
    assert!(weir.get("/secret").text().contains(SECRET));
    assert_eq!(status(&weir)["revision"], one);
    assert!(!kept(&weir).contains(SECRET));
    drop(weir);

    // Another key: what has secrets is left out, and what needs it; all else goes on.
    let key = data.path().join("installation.key");
    std::fs::write(key, "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n").unwrap();
    let weir = start();
    let told = weir.stderr();
    assert!(
        told.contains("WR0315") && told.contains("policy `auth`"),
        "{told}"
    );
    assert_eq!(weir.get("/plain").status(), 200);
    assert_eq!(weir.get("/of-file").status(), 200);
    weir.get("/secret").assert_problem(404, "no_route");
    let expected = [["route", "secret", "WR0202"], ["policy", "auth", "WR0315"]];
    assert_eq!(left_out(&weir), expected);
    database.resume();
    drop(weir);

    // So it is where nothing was kept.
    std::fs::remove_file(data.path().join("resources.json")).unwrap();
    let weir = start();
    wait_until_in_effect(&weir, one);
    assert_eq!(weir.get("/plain").status(), 200);
    weir.get("/secret").assert_problem(404, "no_route");
    assert_eq!(left_out(&weir), expected);
}
