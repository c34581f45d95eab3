use weir_config::model::{Certificate, ListenerTls, TlsVersion, UpstreamHttp2};

use super::pki::{Authority, asking_for_clients, listener, material, upstream};
use crate::tls::{TlsContext, client_config, server_config};

/// What the operator reads for a certificate and key of this content.
fn complaint(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> String {
    let tls = ListenerTls {
        certificates: vec![Certificate {
            chain: material("cert.pem", chain),
            key: material("key.pem", key),
        }],
        named: Vec::new(),
        minimum_version: TlsVersion::Tls13,
        client_certificate: None,
        hsts: None,
    };
    server_config(&tls, true, &TlsContext::new())
        .expect_err("the settings should be refused")
        .to_string()
}

#[test]
fn complaints_say_which_file_what_is_wrong_and_what_to_do() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let (chain, key) = (&leaf.chain_pem, &leaf.key.serialize_pem());
    let other_key = authority.server(&["example.com"]).key.serialize_pem();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                         DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let request = chain.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    let trusted = chain.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let garbage_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let wrong_order = format!("{}{chain}", authority.pem());

    let cases: [(String, &str); 18] = [
        (
            complaint(chain, &other_key),
            "the private key in file:key.pem does not belong to the certificate in file:cert.pem",
        ),
        (
            complaint(&wrong_order, key),
            "the private key in file:key.pem belongs to certificate 2 of file:cert.pem: \
             put the server's own certificate first, then the one that signed it",
        ),
        (
            complaint(key, chain),
            "file:cert.pem holds a private key where a certificate is expected: \
             `certificate` and `key` seem to be swapped",
        ),
        (
            complaint(chain, chain),
            "file:key.pem holds a certificate where a private key is expected: \
             `certificate` and `key` seem to be swapped",
        ),
        (
            complaint(chain, &encrypted),
            "file:key.pem holds an encrypted private key: decrypt it with \
             `openssl pkey -in ENCRYPTED -out KEY` and let the file's permissions protect it",
        ),
        (
            complaint(chain, old_encrypted),
            "file:key.pem holds an encrypted private key: decrypt it with \
             `openssl pkey -in ENCRYPTED -out KEY` and let the file's permissions protect it",
        ),
        (
            complaint(" \n", key),
            "file:cert.pem is empty where a certificate is expected",
        ),
        (
            complaint(chain, ""),
            "file:key.pem is empty where a private key is expected",
        ),
        (
            complaint(&leaf.der, key),
            "file:cert.pem is binary, not PEM: convert it with \
             `openssl x509 -inform DER -in BINARY -out PEM`",
        ),
        (
            complaint(chain, leaf.key.serialize_der()),
            "file:key.pem is binary, not PEM: convert it with \
             `openssl pkey -inform DER -in BINARY -out PEM`",
        ),
        (
            complaint("0 certificates here", key),
            "file:cert.pem holds no certificate (PEM sections found: none)",
        ),
        (
            complaint(&request, key),
            "file:cert.pem holds no certificate (PEM sections found: CERTIFICATE REQUEST)",
        ),
        (
            complaint(&trusted, key),
            "file:cert.pem holds no certificate (PEM sections found: TRUSTED CERTIFICATE)",
        ),
        (
            complaint(chain, public),
            "file:key.pem holds no private key (PEM sections found: PUBLIC KEY)",
        ),
        (
            complaint(chain, format!("{key}{other_key}")),
            "file:key.pem holds 2 private keys where one is expected",
        ),
        (
            complaint(chain, garbage_key),
            "file:key.pem holds a private key that cannot be used: RSA from 2048 bits, \
             ECDSA on P-256, P-384 or P-521, and Ed25519 are supported",
        ),
        (
            complaint(format!("{chain}{garbage}"), key),
            "file:cert.pem holds an invalid certificate (number 2): it cannot be read as X.509",
        ),
        (
            complaint(&chain[..chain.len() / 2], key),
            "file:cert.pem holds damaged PEM: the end of section \"CERTIFICATE\" is missing",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn damaged_material_is_not_quoted() {
    let leaf = Authority::new("servers").server(&["example.com"]);
    let secret = leaf.key.serialize_pem().replace('\n', "\n*canary*");
    for damaged in [secret.as_str(), "-----BEGIN PRIVATE KEY canary\n"] {
        let text = complaint(&leaf.chain_pem, damaged);
        assert!(
            text.contains("damaged PEM") && !text.contains("canary"),
            "{text}"
        );
    }
}

#[test]
fn a_certificate_and_its_key_may_share_a_file_in_any_line_ending() {
    let leaf = Authority::new("servers").server(&["example.com"]);
    let both = format!("{}{}", leaf.key.serialize_pem(), leaf.chain_pem).replace('\n', "\r\n");
    let mut tls = listener(&[&leaf]);
    tls.certificates[0].chain = material("both.pem", &both);
    tls.certificates[0].key = material("both.pem", &both);
    server_config(&tls, true, &TlsContext::new()).unwrap();
}

#[test]
fn authorities_and_upstream_material_are_checked_alike() {
    let authority = Authority::new("servers");
    let leaf = authority.server(&["example.com"]);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let mut tls = asking_for_clients(listener(&[&leaf]), &authority, true);
    let bundle = &mut tls.client_certificate.as_mut().unwrap().authorities;
    *bundle = material("ca.pem", format!("{}{garbage}", authority.pem()));
    let text = |error: crate::tls::TlsError| error.to_string();
    assert_eq!(
        server_config(&tls, true, &TlsContext::new())
            .map_err(text)
            .err()
            .unwrap(),
        "file:ca.pem holds an invalid certificate (number 2): \
         it cannot be read as an X.509 authority"
    );

    let mut towards = upstream(&authority);
    towards.certificate = Some(leaf.certificate());
    towards.certificate.as_mut().unwrap().key =
        material("other.pem", authority.server(&["a"]).key.serialize_pem());
    assert_eq!(
        client_config(&towards, UpstreamHttp2::Never)
            .map_err(text)
            .err()
            .unwrap(),
        "the private key in file:other.pem does not belong to the certificate in file:cert.pem"
    );
    towards.certificate = None;
    towards.authorities = Some(material("ca.pem", leaf.key.serialize_pem()));
    assert_eq!(
        client_config(&towards, UpstreamHttp2::Never)
            .map_err(text)
            .err()
            .unwrap(),
        "file:ca.pem holds a private key where a certificate is expected: \
         `certificate` and `key` seem to be swapped"
    );
}
