//! Who asks: the operator of this machine, by the token in the data directory.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_core::Secret;
use weir_store::audit::Actor;

use crate::problem::Problem;

/// Tells scanners of leaked secrets what it is.
const PREFIX: &str = "weir_operator_";
/// Bytes of randomness.
const RANDOM: usize = 32;

/// What whoever can read the data directory proves it with.
#[derive(Clone, Debug)]
pub struct OperatorToken(Secret<String>);

impl OperatorToken {
    /// A new one; `None` if the system has no random numbers.
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; RANDOM];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        Some(Self(Secret::new(text)))
    }

    /// Reads one; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(random).ok()?;
        (bytes.len() == RANDOM).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The text, for the file and for the header that carries it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Whoever can read the data directory of this node.
    Operator,
}

impl Principal {
    /// As the audit names it.
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
        }
    }
}

/// Knows credentials when it sees them.
pub struct Authenticator {
    operator: Hash,
}

struct Hash(Vec<u8>);

impl Hash {
    fn of(text: &str) -> Self {
        Self(digest(&SHA256, text.as_bytes()).as_ref().to_vec())
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authenticator")
    }
}

impl Authenticator {
    /// Takes this token as the operator's.
    pub fn new(operator: &OperatorToken) -> Self {
        Self {
            operator: Hash::of(operator.expose()),
        }
    }

    /// Who sends this head.
    ///
    /// # Errors
    /// 401, which is the same whatever was wrong (RFC 6750 §3).
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let token = bearer(headers).ok_or_else(unauthenticated)?;
        // Hashes of equal length are compared: time tells nothing about the token.
        verify_slices_are_equal(&Hash::of(token).0, &self.operator.0)
            .map(|()| Principal::Operator)
            .map_err(|_| unauthenticated())
    }
}

/// The token of the only `Authorization` field (RFC 6750 §2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next()?.to_str().ok()?;
    if fields.next().is_some() {
        return None;
    }
    let (scheme, token) = field.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "This needs a credential: on the machine itself, the token in `operator.token` of the data directory, as `Authorization: Bearer`.",
    )
    .header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"weir\""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[String]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(AUTHORIZATION, value);
            }
        }
        headers
    }

    #[test]
    fn the_token_and_nothing_else_is_taken() {
        let token = OperatorToken::generate().expect("random numbers");
        let other = OperatorToken::generate().expect("random numbers");
        let authenticator = Authenticator::new(&token);
        let text = token.expose().to_owned();
        let is_operator = |values: &[String]| authenticator.principal(&headers(values)).is_ok();
        assert!(is_operator(&[format!("Bearer {text}")]));
        assert!(is_operator(&[format!("bearer  {text} ")]));
        for bad in [
            String::new(),
            text.clone(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {text}"),
            format!("Bearer {}", other.expose()),
            format!("Bearer {}", &text[..text.len() - 1]),
            format!("Bearer {text}x"),
            format!("Bearer {}", text.to_uppercase()),
        ] {
            assert!(!is_operator(std::slice::from_ref(&bad)), "{bad}");
        }
        let field = format!("Bearer {text}");
        assert!(!is_operator(&[field.clone(), field]));
        assert!(!is_operator(&[]));
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_never_shown() {
        let token = OperatorToken::generate().expect("random numbers");
        let read = OperatorToken::parse(token.expose()).expect("a token");
        assert_eq!(read.expose(), token.expose());
        assert!(!format!("{token:?}").contains(&token.expose()[PREFIX.len()..]));
        for bad in ["", "weir_operator_", "weir_operator_AAAA", "x"] {
            assert!(OperatorToken::parse(bad).is_none(), "{bad}");
        }
    }
}
