//! What somebody is told who is not let in (RFC 9110 §11.6.1, RFC 6750 §3).

use std::sync::Arc;

use http::HeaderValue;

use super::require::Lacking;
use super::way::Way;
use super::{Bad, basic};
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
    challenged(denial, ways)
}

/// There is one, and it is not good.
pub(super) fn refused<'a>(bad: &Bad, ways: impl Iterator<Item = &'a Arc<Way>>) -> Denial {
    let denial = Denial::from(Failure::CredentialRefused(bad.word)).saying(bad.sentence.clone());
    let told = [
        ("error", "invalid_token"),
        ("error_description", bad.sentence.as_str()),
    ];
    schemes(ways).fold(denial, |denial, scheme| {
        let told = match scheme {
            "Bearer" => &told[..],
            _ => usual(scheme),
        };
        denial.challenge(value(scheme, told))
    })
}

/// It is good, and not for this request.
pub(super) fn not_enough(why: &Bad) -> Denial {
    Denial::from(Failure::Forbidden(why.word)).saying(why.sentence.clone())
}

/// It is good, and not enough.
pub(super) fn lacking<'a>(
    lacking: Lacking<'_>,
    mut ways: impl Iterator<Item = &'a Arc<Way>> + Clone,
) -> Denial {
    let failure = match lacking {
        Lacking::Identity => Failure::CredentialMissing,
        _ => Failure::Forbidden(lacking.word()),
    };
    let denial = Denial::from(failure).saying(lacking.sentence());
    if let Lacking::Identity = lacking {
        return challenged(denial, ways);
    }
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

/// With a challenge for each scheme.
fn challenged<'a>(denial: Denial, ways: impl Iterator<Item = &'a Arc<Way>>) -> Denial {
    schemes(ways).fold(denial, |denial, scheme| {
        denial.challenge(value(scheme, usual(scheme)))
    })
}

/// What a scheme's challenge says beside the realm.
fn usual(scheme: &str) -> &'static [(&'static str, &'static str)] {
    match scheme {
        // RFC 7617 §2.1.
        basic::SCHEME => &[("charset", "UTF-8")],
        _ => &[],
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
