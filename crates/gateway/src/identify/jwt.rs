//! JSON Web Tokens (RFC 7519), checked by the advice of RFC 8725.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};
use weir_config::model::{self, ClaimPath, Issuer, Keys, TokenPlace};
use weir_core::Principal;
use weir_core::principal::{self, Method};
use weir_jose::{Expected, Kind, LONGEST_TOKEN, NotVerified, Token};

use super::Bad;
use super::known::Known;

/// A `jwt` policy.
pub(super) struct Jwt {
    pub(super) model: model::Jwt,
    /// What is asked of the tokens of each issuer, in the model's order.
    expected: Vec<Expected>,
}

/// What is wrong with a token.
enum Fault {
    /// The issuer cannot have signed it.
    Foreign(NotVerified),
    /// It could have.
    Bad(Bad),
}

impl Jwt {
    pub(super) fn compile(model: &model::Jwt) -> Self {
        let expected = model.issuers.iter().map(|issuer| Expected {
            issuers: vec![issuer.issuer.clone()],
            audiences: issuer.audiences.clone().unwrap_or_default(),
            kind: match model.is_strict {
                true => Kind::StrictAccessToken,
                false => Kind::AccessToken,
            },
            leeway: u32::try_from(model.leeway.as_secs()).unwrap_or(u32::MAX),
            max_age: None,
        });
        Self {
            expected: expected.collect(),
            model: model.clone(),
        }
    }

    /// Whose token it is. `now` is in seconds since 1970.
    pub(super) fn verify(&self, token: &[u8], now: u64) -> Result<Rc<Known>, Bad> {
        thread_local! {
            // The decoded parts of a token, which are not needed longer than a check: one for each worker.
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let Ok(text) = std::str::from_utf8(token) else {
            return Err(bad("token_encoding", "the token is not ASCII"));
        };
        BUFFER.with_borrow_mut(|buffer| {
            let mut foreign = NotVerified::UnknownKey;
            let mut told = None;
            for (issuer, expected) in self.model.issuers.iter().zip(&self.expected) {
                match self.verify_of(issuer, expected, text, now, buffer) {
                    Ok(known) => return Ok(known),
                    Err(Fault::Foreign(why)) => foreign = why,
                    // Two issuers may have the same keys: the next one may be the right one.
                    Err(Fault::Bad(bad)) => told = Some(bad),
                }
            }
            Err(told.unwrap_or_else(|| bad(foreign.word(), foreign)))
        })
    }

    fn verify_of(
        &self,
        issuer: &Issuer,
        expected: &Expected,
        text: &str,
        now: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Rc<Known>, Fault> {
        let malformed = |why: weir_jose::Malformed| Fault::Bad(bad(why.word(), why));
        let token = Token::parse(text, LONGEST_TOKEN, buffer).map_err(malformed)?;
        let algorithm = token.header().algorithm;
        if !issuer.algorithms.is_empty() && !issuer.algorithms.contains(&algorithm) {
            return Err(Fault::Foreign(NotVerified::WrongAlgorithm));
        }
        let Keys::Set(keys) = &issuer.keys;
        let verified = token.verify(keys).map_err(Fault::Foreign)?;
        let claims = verified.claims().map_err(malformed)?;
        let judged = expected
            .judge(verified.header(), &claims, now.cast_signed())
            .map_err(|why| Fault::Bad(bad(why.word(), why)))?;
        let principal = self.principal(&issuer.issuer, claims.into_map());
        let principal = principal.map_err(Fault::Bad)?;
        Ok(Known::new(principal, judged.expires_at.cast_unsigned()))
    }

    fn principal(&self, issuer: &str, claims: Map<String, Value>) -> Result<Principal, Bad> {
        let names = &self.model.claims;
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
            issuer: Some(Arc::from(issuer)),
            subject,
            organization: None,
            scopes: words(&claims, &names.scopes),
            roles: words(&claims, &names.roles),
            claims,
        })
    }
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

/// Where the token should be, as a part of a sentence.
pub(super) fn wanted(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Bearer => "send a token as `Authorization: Bearer`".to_owned(),
        TokenPlace::Header(name) => format!("send a token in the field `{name}`"),
        TokenPlace::Cookie(name) => format!("send a token in the cookie `{name}`"),
    }
}
