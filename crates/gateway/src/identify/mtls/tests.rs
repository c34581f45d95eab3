use weir_config::model::{Credential, TlsVersion};

use super::*;

const FINGERPRINT: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn facts() -> TlsFacts {
    TlsFacts {
        server_name: None,
        protocol: TlsVersion::Tls13,
        alpn: None,
        client_subject: Some("CN=billing,O=Acme".to_owned()),
        client_common_name: Some("billing".to_owned()),
        client_issuer: Some("CN=Acme CA".to_owned()),
        client_ends_at: 1000,
        client_fingerprint: Some(FINGERPRINT.to_owned()),
        client_sans: vec![
            SubjectName::Dns("billing.example".to_owned()),
            SubjectName::Uri("spiffe://example/billing".to_owned()),
        ],
    }
}

fn model() -> Mtls {
    Mtls {
        subjects: Vec::new(),
        fingerprints: Vec::new(),
        names: Vec::new(),
        subject: CertificateFact::Subject,
        credential: Credential {
            is_required: true,
            is_forwarded: true,
        },
    }
}

fn subject(model: &Mtls, facts: &TlsFacts, now: u64) -> Result<String, &'static str> {
    match verify(model, facts, now) {
        Verdict::Good(known) => Ok(known.principal.subject.to_string()),
        Verdict::Bad(bad) => Err(bad.word),
        other => panic!("{}", matches!(other, Verdict::Ask(_))),
    }
}

#[test]
fn one_thing_that_is_listed_is_enough_and_nothing_else_is() {
    let whole = Ok("CN=billing,O=Acme".to_owned());
    let not_listed = Err("certificate_not_listed");
    assert_eq!(subject(&model(), &facts(), 0), whole);
    for (listed, expected) in [("CN=billing,O=Acme", &whole), ("CN=billing", &not_listed)] {
        let mut model = model();
        model.subjects = vec![listed.to_owned()];
        assert_eq!(subject(&model, &facts(), 0), *expected, "{listed}");
    }
    let mut by_fingerprint = model();
    by_fingerprint.fingerprints = vec!["00".repeat(32)];
    assert_eq!(subject(&by_fingerprint, &facts(), 0), not_listed);
    by_fingerprint.fingerprints.push(FINGERPRINT.to_owned());
    assert_eq!(subject(&by_fingerprint, &facts(), 0), whole);
    // A URI is none that looks like a DNS name.
    for (listed, expected) in [
        (CertificateName::Dns("billing.example".to_owned()), &whole),
        (
            CertificateName::Uri("spiffe://example/billing".to_owned()),
            &whole,
        ),
        (
            CertificateName::Uri("billing.example".to_owned()),
            &not_listed,
        ),
        (
            CertificateName::Email("billing.example".to_owned()),
            &not_listed,
        ),
    ] {
        let mut model = model();
        model.names = vec![listed.clone()];
        assert_eq!(subject(&model, &facts(), 0), *expected, "{listed:?}");
    }
}

#[test]
fn who_it_is_is_said_by_what_the_policy_says() {
    for (by, expected) in [
        (CertificateFact::CommonName, Ok("billing")),
        (CertificateFact::Dns, Ok("billing.example")),
        (CertificateFact::Uri, Ok("spiffe://example/billing")),
        (CertificateFact::Fingerprint, Ok(FINGERPRINT)),
        (CertificateFact::Email, Err("certificate_nameless")),
    ] {
        let mut model = model();
        model.subject = by;
        assert_eq!(
            subject(&model, &facts(), 0)
                .as_deref()
                .map_err(|word| *word),
            expected
        );
    }
    let mut empty = facts();
    empty.client_subject = Some(String::new());
    assert_eq!(subject(&model(), &empty, 0), Err("certificate_nameless"));
}

#[test]
fn of_several_names_the_one_that_is_listed_says_who_it_is() {
    let mut facts = facts();
    let also = SubjectName::Dns("orders.example".to_owned());
    facts.client_sans.push(also);
    let mut model = model();
    model.subject = CertificateFact::Dns;
    assert_eq!(subject(&model, &facts, 0).unwrap(), "billing.example");
    model.names = vec![CertificateName::Dns("orders.example".to_owned())];
    assert_eq!(subject(&model, &facts, 0).unwrap(), "orders.example");
    model.names = vec![CertificateName::Uri("spiffe://example/billing".to_owned())];
    assert_eq!(subject(&model, &facts, 0).unwrap(), "billing.example");
}

#[test]
fn a_connection_that_outlives_its_certificate_shows_none_any_more() {
    assert!(subject(&model(), &facts(), 999).is_ok());
    assert_eq!(
        subject(&model(), &facts(), 1000),
        Err("certificate_expired")
    );
}
