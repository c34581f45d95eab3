use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
use rustls::ServerConnection;
use rustls::version::TLS13;
use rustls_pki_types::UnixTime;
use weir_config::model::TlsVersion;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::handshake;
use super::pki::{Authority, asking_for_clients, listener};
use crate::tls::{Alpn, FactsError, SubjectName, TlsContext, TlsFacts, server_config};

#[test]
fn a_connections_facts_name_both_ends() {
    let authority = Authority::new("all");
    let client_leaf = authority.client();
    let tls = asking_for_clients(
        listener(&[&authority.server(&["example.com"])]),
        &authority,
        true,
    );
    let config = server_config(&tls, true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], Some(&client_leaf), &["h2"]);
    let full = handshake(&client, &config, "example.com").unwrap();
    let facts = full.facts().unwrap();
    let expected = TlsFacts {
        server_name: Some("example.com".to_owned()),
        protocol: TlsVersion::Tls13,
        alpn: Some(Alpn::Http2),
        client_subject: Some(r"CN=billing,O=Müller\, Söhne \+ Co,C=DE".to_owned()),
        client_common_name: Some("billing".to_owned()),
        client_issuer: facts.client_issuer,
        client_ends_at: facts.client_ends_at,
        client_fingerprint: Some(crate::tls::fingerprint::sha256_hex(&client_leaf.der)),
        client_sans: vec![
            SubjectName::Dns("billing.example.com".to_owned()),
            SubjectName::Uri("spiffe://example.com/billing".to_owned()),
            SubjectName::Email("billing@example.com".to_owned()),
            SubjectName::Address("192.0.2.9".parse().unwrap()),
        ],
    };
    assert_eq!(full.facts().unwrap(), expected);
    assert!(expected.client_issuer.clone().unwrap().starts_with("CN="));
    assert!(expected.client_ends_at > 1_700_000_000);
    let resumed = handshake(&client, &config, "example.com").unwrap();
    assert!(resumed.is_resumed());
    assert_eq!(resumed.facts().unwrap(), expected);
    let texts: Vec<_> = expected
        .client_sans
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts.join(" "),
        "DNS:billing.example.com URI:spiffe://example.com/billing \
         email:billing@example.com IP:192.0.2.9"
    );
}

#[test]
fn a_client_certificate_that_expired_during_a_session_is_noticed() {
    let authority = Authority::new("all");
    let tls = asking_for_clients(
        listener(&[&authority.server(&["example.com"])]),
        &authority,
        true,
    );
    let config = server_config(&tls, true, &TlsContext::new()).unwrap();
    let client = authority.trusting_client(&[&TLS13], Some(&authority.client_until(2100)), &[]);
    handshake(&client, &config, "example.com").unwrap();
    let resumed = handshake(&client, &config, "example.com").unwrap();
    // 2100-01-01T00:00:00Z, the last second of validity, and the one after.
    let last = 4_102_444_800;
    let at = |seconds| {
        TlsFacts::of(
            &resumed.server,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        )
    };
    assert!(at(last).is_ok());
    assert_eq!(at(last + 1), Err(FactsError::ClientCertificateExpired));
}

#[test]
fn fingerprints_are_sha_256_in_lower_case() {
    assert_eq!(
        crate::tls::fingerprint::sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn facts_are_not_to_be_had_before_the_handshake() {
    let authority = Authority::new("all");
    let tls = listener(&[&authority.server(&["example.com"])]);
    let server = ServerConnection::new(
        server_config(&tls, true, &TlsContext::new())
            .unwrap()
            .config,
    )
    .unwrap();
    assert_eq!(
        TlsFacts::of(&server, UnixTime::now()),
        Err(FactsError::Unfinished)
    );
}

fn subject(parts: Vec<(DnType, DnValue)>) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind, value);
    }
    let leaf = Authority::new("all").sign(&params, KeyPair::generate().unwrap());
    let (_, parsed) = X509Certificate::from_der(&leaf.der).unwrap();
    weir_config::distinguished_name(parsed.subject())
}

fn common_name(text: &str) -> String {
    subject(vec![(DnType::CommonName, text.into())])
}

#[test]
fn subjects_are_written_by_rfc_4514() {
    assert_eq!(subject(Vec::new()), "");
    assert_eq!(common_name(" a b "), r"CN=\ a b\ ");
    assert_eq!(common_name(" "), r"CN=\ ");
    assert_eq!(common_name("#a#"), r"CN=\#a#");
    assert_eq!(
        common_name(r#"a,b+c"d\e<f>g;h=i"#),
        r#"CN=a\,b\+c\"d\\e\<f\>g\;h=i"#
    );
    assert_eq!(common_name("Lučić"), "CN=Lučić");
    // A type without a short name, as in RFC 4514 §4; and a value that is not text in UTF-8.
    let unknown = DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 1466, 0]);
    assert_eq!(
        subject(vec![(unknown, DnValue::Utf8String("Hi".to_owned()))]),
        "1.3.6.1.4.1.1466.0=#0c024869"
    );
    let teletex = DnValue::TeletexString("Hi".try_into().unwrap());
    assert_eq!(subject(vec![(DnType::CommonName, teletex)]), "CN=#14024869");
}

#[test]
fn a_hostile_subject_breaks_out_of_nothing() {
    assert_eq!(
        common_name("a\r\nX-Admin: yes\0\u{7f}\u{85}"),
        r"CN=a\0d\0aX-Admin: yes\00\7f\c2\85"
    );
    assert_eq!(common_name("mallory,O=admins"), r"CN=mallory\,O=admins");
}
