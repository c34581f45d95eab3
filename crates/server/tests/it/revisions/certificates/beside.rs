//! Certificates beside others: of the file, of another kind of key, of somebody else.

use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use serde_json::json;
use weir_core::TenantId;

use super::{LISTENERS, SHOP, change, config, document, made, s_client, self_signed, served};
use crate::api::World;
use crate::harness::{Authority, Setup, tool, wait_until};
use crate::revisions::{server, wait_until_available};

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
