//! Certificates beside the file, as clients of TLS and of the admin API meet them.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, date_time_ymd};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use weir_config::ResourceKind;
use weir_core::TenantId;
use weir_testkit::{Postgres, on_both_engines};

use super::following::{status, wait_until_kept};
use super::{Editor, put, server, wait_until_available, wait_until_in_effect};
use crate::api::{Client, World};
use crate::harness::{
    Authority, Leaf, Message, Setup, Upstream, Weir, Wire, curl, tool, wait_until,
};

on_both_engines! {
    a_certificate_by_api_is_served_renewed_and_taken_back,
}

const SHOP: &str = "/v1/config/certificates/shop";

/// A listener without a certificate of its own.
const LISTENERS: &str = "listeners: [{ address: $HTTP }, { address: $HTTPS, tls: {} }]\n";

fn config(upstream: &Upstream, listeners: &str) -> String {
    format!(
        "{listeners}upstreams: {{ shop: {{ targets: [\"{}\"] }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: shop }}]\n",
        upstream.address
    )
}

fn records(engine: &str) -> String {
    match engine {
        "sqlite" => String::new(),
        _ => format!(
            "records: {{ url: \"{}\" }}\n",
            Postgres::shared().database()
        ),
    }
}

fn document(leaf: &Leaf) -> Value {
    json!({"certificate": leaf.certificate, "key": leaf.key})
}

fn change(client: &Client, path: &str, document: &Value) -> Message {
    client.send("PUT", path, Some(document), "")
}

#[track_caller]
fn made(answer: &Message) -> Value {
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let made = answer.json();
    assert_eq!(made["in_effect"], true, "{made}");
    made
}

type TlsWire = Wire<StreamOwned<ClientConnection, TcpStream>>;

fn connect(authority: &Authority, address: SocketAddr, name: &'static str) -> TlsWire {
    let name = ServerName::try_from(name).unwrap();
    let client = ClientConnection::new(authority.trusting(&["http/1.1"]), name).unwrap();
    Wire::over(StreamOwned::new(client, Wire::connect(address).stream))
}

fn ask(wire: &mut TlsWire) {
    wire.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    let answer = wire.response("GET");
    assert_eq!((answer.status(), answer.text()), (200, "fine".to_owned()));
}

/// The certificate that answers for a name.
fn served(
    authority: &Authority,
    address: SocketAddr,
    name: &'static str,
) -> CertificateDer<'static> {
    let mut wire = connect(authority, address, name);
    ask(&mut wire);
    let chain = wire.stream.conn.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

/// What `openssl s_client` says of a handshake.
fn s_client(address: SocketAddr, name: Option<&str>) -> String {
    let address = address.to_string();
    let mut command = Command::new(tool("openssl"));
    command
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null());
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[track_caller]
fn assert_unrecognized(address: SocketAddr, name: Option<&str>) {
    let said = s_client(address, name);
    assert!(said.contains("unrecognized name"), "{name:?}: {said}");
}

fn openssl(arguments: &[&str], pem: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pem");
    std::fs::write(&file, pem).unwrap();
    let run = Command::new(tool("openssl"))
        .args(arguments)
        .arg("-in")
        .arg(file)
        .output();
    let run = run.unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
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
    assert!(weir.stderr().contains("WR0314"), "{}", weir.stderr());
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

    made(&owner.post("/v1/revisions/1/rollback", &json!({})));
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

/// A certificate of these parameters for `shop.test`.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> (String, KeyPair) {
    let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shop");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_certificates_are_refused_and_nothing_is_changed() {
    let upstream = server();
    let world = World::begin_with(&config(&upstream, LISTENERS)).await;
    let (owner, authority) = (&world.owner, Authority::new("test"));
    let leaf = authority.issue("shop", &["shop.test"]);
    let other = authority.issue("other", &["other.test"]);
    made(&change(owner, SHOP, &document(&other)));
    let (expired, expired_key) = self_signed(|params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let (many, many_key) = self_signed(|params| {
        let names = (0..10_000).map(|index| format!("h{index}.shop.test").try_into().unwrap());
        params.subject_alt_names = names.map(rcgen::SanType::DnsName).collect();
    });
    let encrypted = openssl(&["pkey", "-aes256", "-passout", "pass:x"], &leaf.key);
    let large = leaf
        .certificate
        .repeat((900 << 10) / leaf.certificate.len());
    let with = |certificate: &str, key: &str| json!({"certificate": certificate, "key": key});
    let nul = leaf.certificate.replacen('\n', "\n\0", 1);
    let cases = [
        (
            "another's key",
            with(&leaf.certificate, &other.key),
            "WR0601",
        ),
        (
            "expired",
            with(&expired, &expired_key.serialize_pem()),
            "WR0306",
        ),
        (
            "ten thousand names",
            with(&many, &many_key.serialize_pem()),
            "WR0305",
        ),
        ("nearly a megabyte", with(&large, &leaf.key), "WR0305"),
        (
            "an encrypted key",
            with(&leaf.certificate, &encrypted),
            "WR0308",
        ),
        (
            "a certificate as key",
            with(&leaf.certificate, &leaf.certificate),
            "WR0308",
        ),
        ("a key as certificate", with(&leaf.key, &leaf.key), "WR0305"),
        (
            "both in one",
            with(&format!("{}{}", leaf.certificate, leaf.key), &leaf.key),
            "WR0305",
        ),
        (
            "the authority first",
            with(
                &format!("{}{}", authority.pem(), leaf.certificate),
                &leaf.key,
            ),
            "WR0602",
        ),
        (
            "a reference",
            with("file:installation.key", "env:HOME"),
            "WR0312",
        ),
        (
            "no such listener",
            json!({"certificate": leaf.certificate, "key": leaf.key, "listeners": ["127.0.0.1:1"]}),
            "WR0214",
        ),
        (
            "a listener without TLS",
            json!({"certificate": leaf.certificate, "key": leaf.key, "listeners": [world.weir.http().to_string()]}),
            "WR0214",
        ),
        (
            "a number",
            json!({"certificate": 7, "key": [leaf.key]}),
            "WR0305",
        ),
        ("nothing", json!({}), "WR0102"),
    ];
    for (what, document, code) in cases {
        let refused = change(owner, SHOP, &document);
        assert_eq!(refused.status(), 422, "{what}: {}", refused.text());
        let text = refused.text();
        assert!(text.contains(code), "{what}: {text}");
        for secret in [&leaf.key, &other.key, &encrypted] {
            let line = secret.lines().nth(1).unwrap();
            assert!(!text.contains(line), "{what}: {text}");
        }
    }
    for (what, document) in [
        ("a NUL", with(&nul, &leaf.key)),
        ("dots for a chain", with("•••", "•••")),
        (
            "what is Weir's",
            json!({"certificate": leaf.certificate, "$sealed": {"/key": "AA"}}),
        ),
        ("no mapping", json!([leaf.certificate])),
    ] {
        let refused = change(owner, SHOP, &document);
        refused.assert_problem(422, "invalid");
        assert!(!refused.text().contains("PRIVATE"), "{what}");
    }
    let more = change(owner, SHOP, &with(&large.repeat(2), &leaf.key));
    more.assert_problem(413, "body_too_large");
    assert_eq!(world.weir.revision()["resources"], 1);
    assert_eq!(
        served(&authority, world.weir.https(), "other.test"),
        other.der
    );
    // As large as clients take.
    let (fits, fits_key) = self_signed(|params| {
        let names = (0..1_500).map(|index| format!("h{index}.shop.test").try_into().unwrap());
        params.subject_alt_names = names.map(rcgen::SanType::DnsName).collect();
    });
    made(&change(
        owner,
        SHOP,
        &with(&fits, &fits_key.serialize_pem()),
    ));
    let said = s_client(world.weir.https(), Some("h1499.shop.test"));
    assert!(said.contains("subject=CN = shop"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_has_counts_and_stays() {
    let (upstream, authority) = (server(), Authority::new("test"));
    let setup = Setup::new();
    let directory = setup.directory.path();
    authority
        .issue("own", &["own.test", "*.own.test"])
        .write(directory, "own");
    authority
        .issue("named", &["named.test"])
        .write(directory, "named");
    let listeners = "listeners: [{ address: $HTTP }, { address: $HTTPS, tls: { \
         certificate: file:own.crt, key: file:own.key } }]\n\
         certificates: { named: { certificate: file:named.crt, key: file:named.key } }\n";
    let weir = setup.start(&config(&upstream, listeners));
    wait_until_available(&weir);
    wait_until("the admin API is there", || {
        weir.run("certificate", &["list"]).code == Some(0)
    });
    let operator = crate::api::operator(&weir);
    let https = weir.https();
    let own = served(&authority, https, "own.test");
    let leaf = authority.issue("api", &["api.test", "named.test", "a.own.test"]);
    let answer = made(&change(
        &operator,
        "/v1/config/certificates/api",
        &document(&leaf),
    ));
    let warnings = answer["warnings"].to_string();
    assert!(
        warnings.contains("WR0215") && warnings.contains("and 1 more"),
        "{warnings}"
    );
    assert_eq!(served(&authority, https, "api.test"), leaf.der);
    assert_ne!(served(&authority, https, "named.test"), leaf.der);
    assert_eq!(served(&authority, https, "a.own.test"), own);
    // The first of its own answers everybody else, as without others.
    assert!(s_client(https, None).contains("subject=CN = own"));

    let list = operator.get("/v1/config/certificates").json();
    let items = list["items"].as_array().unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["owner"].as_str().unwrap(),
            )
        })
        .collect();
    let address = https.to_string();
    assert_eq!(
        shown,
        [
            (address.as_str(), "file"),
            ("api", "api"),
            ("named", "file")
        ]
    );
    let of_listener = operator
        .get(&format!("/v1/config/certificates/{address}"))
        .json();
    assert_eq!(
        of_listener["certificate"]["names"],
        json!(["own.test", "*.own.test"])
    );
    assert_eq!(of_listener["document"]["key"], "file:own.key");
    assert_eq!(of_listener["document"]["listeners"], json!([address]));
    for name in [address.as_str(), "named"] {
        let path = format!("/v1/config/certificates/{name}");
        change(&operator, &path, &document(&leaf)).assert_problem(409, "file_owned");
        operator.delete(&path).assert_problem(409, "file_owned");
    }
    let metric = "weir_certificate_expiry_timestamp_seconds";
    for name in [address.as_str(), "named", "api"] {
        assert!(
            weir.metric(metric, &[&format!("\"{name}\"")]) > 1e9,
            "{name}"
        );
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn certificates_have_rights_of_their_own() {
    let (upstream, authority) = (server(), Authority::new("test"));
    let world = World::begin_with(&config(&upstream, LISTENERS)).await;
    let leaf = authority.issue("shop", &["shop.test"]);
    let platform = TenantId::platform();
    let auditor = world.member(&platform, "auditor").await;
    change(&auditor, SHOP, &document(&leaf)).assert_problem(403, "forbidden");
    made(&change(&world.owner, SHOP, &document(&leaf)));
    let shown = auditor.get(SHOP);
    assert_eq!(shown.json()["document"]["key"], "•••");
    auditor.delete(SHOP).assert_problem(403, "forbidden");
    let acme = world.organization("acme");
    let stranger = world.member(&acme, "owner").await;
    for path in [SHOP, "/v1/config/certificates"] {
        let refused = stranger.get(path);
        refused.assert_problem(403, "forbidden");
        assert_eq!(refused.json()["permission"], "certificate:read");
    }
    world
        .anybody()
        .get(SHOP)
        .assert_problem(401, "unauthenticated");
}

/// Kinds of keys stand side by side under one name.
#[tokio::test(flavor = "multi_thread")]
async fn clients_get_the_kind_of_key_that_they_can_check() {
    let upstream = server();
    let world = World::begin_with(&config(&upstream, LISTENERS)).await;
    let (ecdsa, ecdsa_key) = self_signed(|_| {});
    let rsa_key = openssl_rsa();
    let key = KeyPair::from_pem_and_sign_algo(&rsa_key, &PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    let rsa = params.self_signed(&key).unwrap().pem();
    let put = |name: &str, chain: &str, key: &str| {
        let path = format!("/v1/config/certificates/{name}");
        made(&change(
            &world.owner,
            &path,
            &json!({"certificate": chain, "key": key}),
        ))
    };
    put("one", &ecdsa, &ecdsa_key.serialize_pem());
    let second = put("two", &rsa, &rsa_key);
    assert_eq!(second["warnings"], json!([]));
    let list = world.owner.get("/v1/config/certificates").json();
    assert_eq!(list["items"][1]["certificate"]["key_algorithm"], "RSA 2048");
    let with = |algorithms: &str| {
        let address = world.weir.https().to_string();
        let output = Command::new(tool("openssl"))
            .args([
                "s_client",
                "-connect",
                &address,
                "-servername",
                "shop.test",
                "-sigalgs",
                algorithms,
            ])
            .stdin(Stdio::null())
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    let said = with("ecdsa_secp256r1_sha256");
    assert!(said.contains("id-ecPublicKey"), "{said}");
    let said = with("rsa_pss_rsae_sha256");
    assert!(said.contains("rsaEncryption"), "{said}");
}

fn openssl_rsa() -> String {
    let run = Command::new(tool("openssl"))
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])
        .output();
    String::from_utf8(run.unwrap().stdout).unwrap()
}
