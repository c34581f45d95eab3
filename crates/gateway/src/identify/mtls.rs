//! The certificate that a client showed when it connected, which the listener has verified.

use serde_json::{Map, json};
use weir_config::model::{CertificateFact, CertificateName, Mtls};
use weir_core::Principal;
use weir_core::principal::Method;

use super::known::Known;
use super::{Bad, Verdict};
use crate::tls::{SubjectName, TlsFacts};

/// By what it is known: its fingerprint. `None` if none was shown.
pub(super) fn presented(tls: Option<&TlsFacts>) -> Option<&[u8]> {
    tls?.client_fingerprint.as_deref().map(str::as_bytes)
}

/// Whose it is. `now` is in seconds since 1970.
///
/// The handshake verified it; connections may live longer than it does.
pub(super) fn verify(model: &Mtls, facts: &TlsFacts, now: u64) -> Verdict {
    if facts.client_ends_at <= now {
        return Verdict::Bad(bad("certificate_expired"));
    }
    if !is_listed(model, facts) {
        return Verdict::Bad(bad("certificate_not_listed"));
    }
    match principal(model, facts) {
        Some(principal) => Verdict::Good(Known::new(principal, facts.client_ends_at, None)),
        None => Verdict::Bad(bad("certificate_nameless")),
    }
}

/// The same for every reason: what is listed is nobody's to know.
pub(super) fn bad(word: &'static str) -> Bad {
    Bad {
        word,
        sentence: "The client certificate is not good here.".to_owned(),
    }
}

fn is_listed(model: &Mtls, facts: &TlsFacts) -> bool {
    let Mtls {
        subjects,
        fingerprints,
        names,
        ..
    } = model;
    if subjects.is_empty() && fingerprints.is_empty() && names.is_empty() {
        return true;
    }
    let is_one_of =
        |listed: &[String], fact: Option<&String>| fact.is_some_and(|fact| listed.contains(fact));
    let has = |listed: &CertificateName| facts.client_sans.iter().any(|name| is(listed, name));
    is_one_of(subjects, facts.client_subject.as_ref())
        || is_one_of(fingerprints, facts.client_fingerprint.as_ref())
        || names.iter().any(has)
}

fn is(listed: &CertificateName, name: &SubjectName) -> bool {
    match (listed, name) {
        (CertificateName::Dns(listed), SubjectName::Dns(name))
        | (CertificateName::Uri(listed), SubjectName::Uri(name))
        | (CertificateName::Email(listed), SubjectName::Email(name)) => listed == name,
        (CertificateName::Address(listed), SubjectName::Address(name)) => listed == name,
        _ => false,
    }
}

fn principal(model: &Mtls, facts: &TlsFacts) -> Option<Principal> {
    // A name that the policy lists comes first; of the others, for which the authority vouches all the same, the first.
    let first = |find: fn(&SubjectName) -> Option<&str>| {
        let (names, listed) = (&facts.client_sans, &model.names);
        let mut those = names
            .iter()
            .filter(|name| listed.iter().any(|listed| is(listed, name)));
        those.find_map(find).or_else(|| names.iter().find_map(find))
    };
    let subject = match model.subject {
        CertificateFact::Subject => facts.client_subject.as_deref(),
        CertificateFact::CommonName => facts.client_common_name.as_deref(),
        CertificateFact::Fingerprint => facts.client_fingerprint.as_deref(),
        CertificateFact::Dns => first(|name| match name {
            SubjectName::Dns(name) => Some(name),
            _ => None,
        }),
        CertificateFact::Uri => first(|name| match name {
            SubjectName::Uri(uri) => Some(uri),
            _ => None,
        }),
        CertificateFact::Email => first(|name| match name {
            SubjectName::Email(address) => Some(address),
            _ => None,
        }),
    };
    let subject = subject.filter(|subject| !subject.is_empty())?;
    let names: Vec<String> = facts.client_sans.iter().map(ToString::to_string).collect();
    let mut claims = Map::new();
    claims.insert("subject".to_owned(), json!(facts.client_subject));
    claims.insert("common_name".to_owned(), json!(facts.client_common_name));
    claims.insert("issuer".to_owned(), json!(facts.client_issuer));
    claims.insert("fingerprint".to_owned(), json!(facts.client_fingerprint));
    claims.insert("names".to_owned(), json!(names));
    Some(Principal {
        method: Method::Certificate,
        issuer: facts.client_issuer.as_deref().map(Into::into),
        subject: subject.into(),
        organization: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        claims,
    })
}

#[cfg(test)]
mod tests;
