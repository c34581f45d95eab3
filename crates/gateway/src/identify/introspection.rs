//! Opaque tokens, about which the server is asked that issued them (RFC 7662).

use std::rc::Rc;
use std::sync::Arc;

use weir_config::model::{Introspection, TokenPlace};
use weir_core::{ApiKeyText, Secret};
use weir_jose::{ExpectedAnswer, LONGEST_TOKEN};

use super::known::Known;
use super::lookup::{Good, Question, Said};
use super::token::{self, bad};
use super::{Bad, Verdict, Wanted, presented};
use crate::fields::Fields;

/// What tokens of Weir's own begin with that are shown as a bearer's.
const OWN: [&[u8]; 4] = [
    b"weir_operator_",
    b"weir_session_",
    b"weir_refresh_",
    b"weir_once_",
];

/// The token at its place. What is Weir's own is none: no other server may see it, sent by mistake as it may be.
///
/// # Errors
/// If there are several: the rule that the request broke.
pub(super) fn presented<'a>(
    fields: &'a Fields,
    place: &'a TokenPlace,
) -> Result<Option<&'a [u8]>, &'static str> {
    let token = presented::token(fields, place)?;
    Ok(token.filter(|token| !is_own(token)))
}

/// Takes it out; an API key stays.
pub(super) fn remove(fields: &mut Fields, place: &TokenPlace) {
    if let Ok(Some(token)) = presented::token(fields, place)
        && !is_api_key(token)
    {
        presented::remove(fields, place);
    }
}

/// What is no token is known by its letters; whose token it is must be asked.
pub(super) fn verify(model: &Arc<Introspection>, credential: &[u8]) -> Verdict {
    match std::str::from_utf8(credential) {
        Ok(token) if is_token(token) => Verdict::Ask(Wanted::Lookup(question(model, token))),
        _ => Verdict::Bad(bad("token_malformed", "this is not a token")),
    }
}

/// Whose token it is by what the server said, when `since` was the latest change. `now` is in seconds since 1970.
pub(super) fn judge(
    model: &Arc<Introspection>,
    credential: &[u8],
    said: Said,
    since: u64,
    now: u64,
) -> Result<Rc<Known>, Bad> {
    let expected = ExpectedAnswer {
        issuer: model.issuer.clone(),
        audiences: model.audiences.clone().unwrap_or_default(),
        leeway: u32::try_from(model.leeway.as_secs()).unwrap_or(u32::MAX),
    };
    let judged = expected
        .judge(&said.claims, now.cast_signed())
        .map_err(|why| bad(why.word(), why))?;
    let issuer = said.claims.issuer().unwrap_or_else(|| origin(model));
    let issuer = Arc::from(issuer);
    let principal = token::principal(&model.claims, issuer, said.claims.into_map())?;
    let good = Good {
        principal,
        ends_at: judged.map(|judged| judged.expires_at.cast_unsigned()),
        fresh_for: said.fresh_for,
        about: Vec::new(),
        person: None,
    };
    let token = String::from_utf8_lossy(credential);
    Ok(Known::opaque(good, question(model, &token), since, now))
}

fn question(model: &Arc<Introspection>, token: &str) -> Question {
    Question::Token {
        by: Arc::clone(model),
        token: Secret::new(token.to_owned()),
    }
}

/// The same for every reason: whether there ever was such a token is nobody's to know.
pub(super) fn refused(word: &'static str) -> Bad {
    bad(word, "the token is not good, or not any more")
}

/// Who vouches for a token if the answer does not say: whoever was asked.
fn origin(model: &Introspection) -> &str {
    let url = &model.endpoint;
    let begin = url.find("://").map_or(0, |at| at + 3);
    let path = url[begin..].find(['/', '?']);
    &url[..path.map_or(url.len(), |at| begin + at)]
}

/// Whether it can be a bearer token (RFC 6750 §2.1), and one that is not too long to ask about.
fn is_token(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !bare.is_empty() && text.len() <= LONGEST_TOKEN && bare.bytes().all(is_letter)
}

fn is_own(token: &[u8]) -> bool {
    is_api_key(token) || OWN.iter().any(|prefix| token.starts_with(prefix))
}

fn is_api_key(token: &[u8]) -> bool {
    std::str::from_utf8(token).is_ok_and(ApiKeyText::is_meant)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn what_cannot_be_a_token_is_asked_of_nobody() {
        for token in ["a", "mF_9.B5f-4.1JqM", "dG9rZW4+/~==", "eyJh.e30.c2ln"] {
            assert!(is_token(token), "{token}");
        }
        for text in [
            "",
            "=",
            "a=b",
            "a b",
            "a&token=b",
            "a\u{e9}",
            "a\0",
            "a,b",
            "\"a\"",
        ] {
            assert!(!is_token(text), "{text}");
        }
        assert!(!is_token(&"a".repeat(LONGEST_TOKEN + 1)));
    }

    #[test]
    fn what_is_weirs_own_is_shown_to_no_other_server_and_an_api_key_not_taken_out() {
        for (value, is_token, is_removed) in [
            ("Bearer weir_key_something", false, false),
            ("Bearer weir_operator_something", false, true),
            ("Bearer weir_session_something", false, true),
            ("Bearer weir_refresh_something", false, true),
            ("Bearer weir_once_something", false, true),
            ("Bearer opaque", true, true),
            ("Basic YTpi", false, false),
        ] {
            let mut fields = Fields::new();
            fields.append(AUTHORIZATION, HeaderValue::from_static(value));
            let found = presented(&fields, &TokenPlace::Bearer).unwrap();
            assert_eq!(found.is_some(), is_token, "{value}");
            remove(&mut fields, &TokenPlace::Bearer);
            assert_eq!(fields.get(&AUTHORIZATION).is_none(), is_removed, "{value}");
        }
    }
}
