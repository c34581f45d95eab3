//! What tokens have in common, signed or opaque.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Map, Value};
use weir_config::model::{ClaimNames, ClaimPath, TokenPlace};
use weir_core::Principal;
use weir_core::principal::{self, Method};

use super::Bad;

/// Whom claims are about, as the policy reads them.
pub(super) fn principal(
    names: &ClaimNames,
    issuer: Arc<str>,
    claims: Map<String, Value>,
) -> Result<Principal, Bad> {
    let subject = match principal::find(&claims, &names.subject.steps) {
        Some(Value::String(subject)) if !subject.is_empty() => subject.as_str().into(),
        _ => {
            return Err(bad(
                "subject_missing",
                "the token does not say who it is about",
            ));
        }
    };
    Ok(Principal {
        method: Method::Token,
        issuer: Some(issuer),
        subject,
        organization: None,
        scopes: words(&claims, &names.scopes),
        roles: words(&claims, &names.roles),
        claims,
    })
}

pub(super) fn bad(word: &'static str, why: impl Display) -> Bad {
    let text = why.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    Bad {
        word,
        sentence: first.into_iter().chain(letters).chain(['.']).collect(),
    }
}

/// Where the token should be, as a part of a sentence.
pub(super) fn wanted(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Bearer => "send a token as `Authorization: Bearer`".to_owned(),
        TokenPlace::Header(name) => format!("send a token in the field `{name}`"),
        TokenPlace::Cookie(name) => format!("send a token in the cookie `{name}`"),
    }
}

/// The words of the first claim that is there: a list of texts, or one text with spaces.
fn words(claims: &Map<String, Value>, places: &[ClaimPath]) -> Vec<Box<str>> {
    let mut found = places
        .iter()
        .filter_map(|place| principal::find(claims, &place.steps));
    match found.next() {
        Some(Value::String(text)) => text.split_ascii_whitespace().map(Box::from).collect(),
        Some(Value::Array(items)) => {
            let texts = items.iter().filter_map(Value::as_str);
            texts
                .filter(|text| !text.is_empty())
                .map(Box::from)
                .collect()
        }
        _ => Vec::new(),
    }
}
