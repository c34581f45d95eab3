//! From the first handshake that is refused to the trash and back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_config::ResourceKind;
use weir_testkit::{Postgres, on_both_engines};

use super::{
    LISTENERS, SHOP, ask, assert_unrecognized, change, config, connect, document, made, openssl,
    records, s_client, served,
};
use crate::api::World;
use crate::harness::{Authority, Setup, Weir, curl, wait_until};
use crate::revisions::following::{status, wait_until_kept};
use crate::revisions::{Editor, put, server, wait_until_available, wait_until_in_effect};

on_both_engines! {
    a_certificate_by_api_is_served_renewed_and_taken_back,
}

async fn a_certificate_by_api_is_served_renewed_and_taken_back(engine: &str) {
    let upstream = server();
    let world = World::begin_with(&config(
        &upstream,
        &(LISTENERS.to_owned() + &records(engine)),
    ))
    .await;
    let (owner, weir, authority) = (&world.owner, &world.weir, Authority::new("test"));
    let https = weir.https();
    assert!(weir.stderr().contains("WR0316"), "{}", weir.stderr());
    assert_unrecognized(https, Some("shop.test"));
    assert_unrecognized(https, None);

    let first = authority.issue("shop", &["shop.test", "*.shop.test"]);
    let tried = change(owner, &format!("{SHOP}?dry_run=true"), &document(&first));
    assert_eq!(tried.status(), 200, "{}", tried.text());
    assert_unrecognized(https, Some("shop.test"));
    let since = Instant::now();
    let put = change(owner, SHOP, &document(&first));
    let answer = made(&put);
    assert_eq!(served(&authority, https, "shop.test"), first.der);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(answer["changes"][0]["after"]["key"], "•••");
    assert_eq!(served(&authority, https, "A.shop.test"), first.der);
    assert_unrecognized(https, Some("other.test"));
    assert_unrecognized(https, Some("a.b.shop.test"));
    assert_unrecognized(https, None);
    let said = s_client(https, Some("shop.test"));
    assert!(
        said.contains("TLSv1.3") && said.contains("CN = test"),
        "{said}"
    );
    weir.setup().write("ca.pem", authority.pem());
    let (port, ca) = (https.port(), weir.setup().path("ca.pem"));
    let resolve = format!("shop.test:{port}:127.0.0.1");
    let url = format!("https://shop.test:{port}/");
    let by_curl = curl(&[
        "--cacert",
        ca.to_str().unwrap(),
        "--resolve",
        &resolve,
        &url,
    ]);
    assert_eq!(by_curl.answer().status(), 200);

    // What is shown, and what others say of it.
    let shown = owner.get(SHOP);
    assert_eq!(shown.get("etag"), Some("\"1\""));
    let shown = shown.json();
    let facts = &shown["certificate"];
    assert_eq!(facts["names"], json!(["shop.test", "*.shop.test"]));
    assert_eq!(
        (&facts["issuer"], &facts["key_algorithm"]),
        (&json!("CN=test"), &json!("ECDSA P-256"))
    );
    let said = openssl(
        &["x509", "-noout", "-serial", "-fingerprint", "-sha256"],
        &first.certificate,
    );
    let said = said.replace(':', "").to_lowercase();
    for member in ["serial", "fingerprint"] {
        assert!(
            said.contains(facts[member].as_str().unwrap()),
            "{said} {facts}"
        );
    }
    assert_eq!(shown["document"]["key"], "•••");
    let end = weir.metric(
        "weir_certificate_expiry_timestamp_seconds",
        &["certificate=\"shop\""],
    );
    let not_after: jiff::Timestamp = facts["not_after"].as_str().unwrap().parse().unwrap();
    assert_eq!(end, not_after.as_second() as f64);

    // Renewed under a connection that stays.
    let mut kept = connect(&authority, https, "shop.test");
    ask(&mut kept);
    let second = authority.issue("shop", &["shop.test"]);
    let renewed = owner.send("PUT", SHOP, Some(&document(&second)), "If-Match: \"1\"\r\n");
    assert_eq!(made(&renewed)["changes"][0]["secrets"], json!(["/key"]));
    assert_eq!(served(&authority, https, "shop.test"), second.der);
    ask(&mut kept);
    // Its names without its key.
    let mut listeners = owner.get(SHOP).json()["document"].clone();
    listeners["listeners"] = json!([https.to_string()]);
    made(&change(owner, SHOP, &listeners));
    assert_eq!(served(&authority, https, "shop.test"), second.der);
    owner
        .send("PUT", SHOP, Some(&document(&first)), "If-Match: \"1\"\r\n")
        .assert_problem(412, "stale");

    // Who goes back keeps what was renewed, unless they ask for the former one.
    let left = owner.post("/v1/revisions/1/rollback", &json!({}));
    assert_eq!(left.status(), 200, "{}", left.text());
    let staying = json!([{"kind": "certificate", "name": "shop", "why": "renewed"}]);
    assert_eq!(left.json()["staying"], staying);
    assert_eq!(served(&authority, https, "shop.test"), second.der);
    let back = json!({"certificates": true});
    let back = made(&owner.post("/v1/revisions/1/rollback", &back));
    assert_eq!(back["staying"], Value::Null);
    assert_eq!(served(&authority, https, "shop.test"), first.der);
    ask(&mut kept);
    made(&owner.delete(SHOP));
    assert_unrecognized(https, Some("shop.test"));
    ask(&mut kept);
    let trashed = owner.get("/v1/config/certificates?deleted=true").json();
    assert_eq!(trashed["items"][0]["certificate"]["names"][0], "shop.test");
    made(&owner.post(&format!("{SHOP}/restore"), &json!({})));
    assert_eq!(served(&authority, https, "shop.test"), first.der);
    ask(&mut kept);
    assert!(!weir.log().contains("PRIVATE KEY") && !weir.stderr().contains("PRIVATE KEY"));
}

#[test]
fn a_start_without_records_has_the_certificates() {
    let (upstream, authority) = (server(), Authority::new("test"));
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(&upstream, LISTENERS)
        + &format!("records: {{ url: \"{url}\", acquire_timeout: 1s }}\n");
    let data = tempfile::tempdir().unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    wait_until_available(&weir);
    let leaf = authority.issue("shop", &["shop.test"]);
    let one = Editor::on_server(&url, &weir).change(vec![put(
        ResourceKind::Certificate,
        "shop",
        document(&leaf),
    )]);
    wait_until_in_effect(&weir, one);
    assert_eq!(served(&authority, weir.https(), "shop.test"), leaf.der);
    wait_until_kept(&weir, one);
    let kept = std::fs::read_to_string(data.path().join("resources.json")).unwrap();
    assert!(kept.contains("BEGIN CERTIFICATE") && !kept.contains("PRIVATE KEY"));
    database.stop();
    drop(weir);
    let weir = start();
    assert_eq!(served(&authority, weir.https(), "shop.test"), leaf.der);
    assert_eq!(status(&weir)["revision"], one);
    database.resume();
}

#[test]
fn a_certificate_lives_by_command_line() {
    let (upstream, authority) = (server(), Authority::new("test"));
    let weir = Weir::start(&config(&upstream, LISTENERS));
    wait_until("the admin API is there", || {
        weir.run("certificate", &["list"]).code == Some(0)
    });
    authority
        .issue("shop", &["shop.test", "www.shop.test"])
        .write(weir.directory(), "shop");
    let path = |name: &str| weir.setup().path(name).display().to_string();
    let files = [
        "--certificate",
        &path("shop.crt"),
        "--key",
        &path("shop.key"),
    ];
    let run = |arguments: &[&str]| {
        let ran = weir.run("certificate", arguments);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert!(!ran.stdout.contains("PRIVATE KEY") && !ran.stderr.contains("PRIVATE KEY"));
        ran.stdout
    };
    let put = [&["put", "shop"], &files[..]].concat();
    let tried = run(&[&put[..], &["--dry-run"]].concat());
    assert!(
        tried.contains("+++ b/certificate/shop") && tried.contains("•••"),
        "{tried}"
    );
    assert_eq!(run(&put), "revision 1: 1 change, in effect\n");
    assert_eq!(run(&put), "nothing is different: revision 1 stays\n");
    served(&authority, weir.https(), "www.shop.test");
    let list = run(&["list"]);
    assert!(
        list.starts_with("NAME  OWNER  REVISION  IN EFFECT  EXPIRES"),
        "{list}"
    );
    assert!(list.contains("shop.test, www.shop.test"), "{list}");
    let shown = run(&["show", "shop"]);
    for line in [
        "certificate.issuer",
        "certificate.fingerprint",
        "certificate.not_after",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("BEGIN"), "{shown}");
    let https = weir.https().to_string();
    let listener = [&put[..], &["--listener", &https]].concat();
    assert_eq!(run(&listener), "revision 2: 1 change, in effect\n");

    // What is kept is looked at by `weir doctor`, too.
    wait_until_kept(&weir, 2);
    let doctor = weir.run("doctor", &["--json"]);
    let checks: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let checks = checks["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["subject"] == "shop").unwrap();
    assert_eq!(
        (&check["name"], &check["status"]),
        (&json!("certificate"), &json!("ok"))
    );

    // A file without certificates says nothing of them.
    let route = "routes: [{ name: a, match: { path: /a }, respond: { body: a } }]\n";
    weir.setup().write("gateway.yaml", route);
    let gateway = path("gateway.yaml");
    let pruned = weir.run(
        "revision",
        &["apply", "-f", &gateway, "--prune", "--dry-run"],
    );
    assert!(pruned.stdout.contains("+++ b/route/a"), "{}", pruned.stderr);
    assert!(!pruned.stdout.contains("shop"), "{}", pruned.stdout);
    assert_eq!(
        run(&["delete", "shop", "--yes"]),
        "revision 3: 1 change, in effect\n"
    );
    assert_unrecognized(weir.https(), Some("shop.test"));
    assert_eq!(
        run(&["restore", "shop"]),
        "revision 4: 1 change, in effect\n"
    );
    served(&authority, weir.https(), "shop.test");
}
