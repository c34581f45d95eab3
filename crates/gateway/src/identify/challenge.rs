//! What somebody is told who is not let in (RFC 9110 §11.6.1, RFC 6750 §3).

use std::sync::Arc;

use http::HeaderValue;

use super::Bad;
use super::require::Lacking;
use super::way::Way;
use crate::deny::Denial;
use crate::failure::Failure;

/// The protection space; one for all, so that it tells nothing of what there is.
const REALM: &str = "weir";

/// There is no credential, and one is needed.
pub(super) fn missing<'a>(ways: impl Iterator<Item = &'a Arc<Way>> + Clone) -> Denial {
    let wanted: Vec<String> = ways.clone().map(|way| way.wanted()).collect();
    let detail = format!("This needs a credential: {}.", wanted.join(", or "));
    let denial = Denial::from(Failure::CredentialMissing).saying(detail);
    // RFC 6750 §3.1: no error code for whoever sent nothing.
    schemes(ways).fold(denial, |denial, scheme| {
        denial.challenge(value(scheme, &[]))
    })
}

/// There is one, and it is not good.
pub(super) fn refused<'a>(bad: &Bad, ways: impl Iterator<Item = &'a Arc<Way>>) -> Denial {
    let denial = Denial::from(Failure::CredentialRefused(bad.word)).saying(bad.sentence.clone());
    let told = [
        ("error", "invalid_token"),
        ("error_description", bad.sentence.as_str()),
    ];
    schemes(ways).fold(denial, |denial, scheme| {
        let told = if scheme == "Bearer" { &told[..] } else { &[] };
        denial.challenge(value(scheme, told))
    })
}

/// It is good, and not enough.
pub(super) fn lacking<'a>(
    lacking: Lacking<'_>,
    mut ways: impl Iterator<Item = &'a Arc<Way>>,
) -> Denial {
    let failure = match lacking {
        Lacking::Identity => Failure::CredentialMissing,
        _ => Failure::Forbidden(lacking.word()),
    };
    let denial = Denial::from(failure).saying(lacking.sentence());
    let is_bearer = ways.any(|way| way.scheme() == "Bearer");
    match lacking {
        Lacking::Scope(scopes) if is_bearer => {
            let scopes = scopes.join(" ");
            let told = [("error", "insufficient_scope"), ("scope", scopes.as_str())];
            denial.challenge(value("Bearer", &told))
        }
        _ if is_bearer => denial.challenge(value("Bearer", &[])),
        _ => denial,
    }
}

/// Each once.
fn schemes<'a>(ways: impl Iterator<Item = &'a Arc<Way>>) -> impl Iterator<Item = &'static str> {
    let mut schemes: Vec<&'static str> = Vec::new();
    for way in ways {
        if !schemes.contains(&way.scheme()) {
            schemes.push(way.scheme());
        }
    }
    schemes.into_iter()
}

/// A challenge; `None` if it cannot be a field, which is the case for no text of ours.
fn value(scheme: &str, parameters: &[(&str, &str)]) -> Option<HeaderValue> {
    let mut text = format!("{scheme} realm=\"{REALM}\"");
    for (name, value) in parameters {
        // RFC 6750 §3: neither quotes nor backslashes are in the values.
        let value = value.replace(['"', '\\', '`'], "'");
        text.push_str(&format!(", {name}=\"{value}\""));
    }
    HeaderValue::try_from(text).ok()
}
