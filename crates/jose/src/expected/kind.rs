//! Sorts of tokens, which must not pass for each other (RFC 8725 §2.8, §3.11).

use serde_json::Value;

use super::ClaimFault;
use crate::claims::Claims;
use crate::header::Header;

/// What every access token has (RFC 9068 §2.2).
const REQUIRED: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
/// What the claims of other tokens have that issuers sign with the same keys: ID tokens (OpenID Connect Core §2, §3.1.3.6,
/// §3.3.2.11), and tokens of security events and logouts (RFC 8417 §2.2).
const NOT_OF_ACCESS_TOKENS: [&str; 4] = ["nonce", "at_hash", "c_hash", "events"];

/// The sort of token that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An access token of any bearer. Since most issuers do not write `at+jwt`, a `typ` of `JWT` or none is taken as well, unless the
    /// claims are those of another sort of token. Any other `typ` is refused.
    AccessToken,
    /// The same by RFC 9068: `at+jwt`, and all claims that it requires.
    StrictAccessToken,
    /// Whatever states this media type in `typ`, such as `dpop+jwt`.
    Explicit(String),
}

impl Kind {
    pub(super) fn judge(&self, header: &Header<'_>, claims: &Claims) -> Result<(), ClaimFault> {
        let typ = header.typ.as_deref();
        let is_kind = match self {
            Self::AccessToken => {
                let says_little = typ.is_none() || is_type(typ, "JWT");
                let is_one = is_type(typ, "at+jwt") || says_little && could_be_access_token(claims);
                is_one && is_of_any_bearer(claims)
            }
            Self::StrictAccessToken => is_type(typ, "at+jwt") && is_of_any_bearer(claims),
            Self::Explicit(expected) => is_type(typ, expected),
        };
        is_kind.then_some(()).ok_or(ClaimFault::Type)
    }

    pub(super) fn judge_completeness(&self, claims: &Claims) -> Result<(), ClaimFault> {
        if *self != Self::StrictAccessToken {
            return Ok(());
        }
        let mut missing = REQUIRED
            .into_iter()
            .filter(|name| claims.get(name).is_none());
        missing
            .next()
            .map_or(Ok(()), |name| Err(ClaimFault::Missing(name)))
    }
}

/// Whether `typ` is this media type, whose `application/` may be left out (RFC 7515 §4.1.9).
fn is_type(typ: Option<&str>, expected: &str) -> bool {
    let Some(typ) = typ else {
        return false;
    };
    const PREFIX: &str = "application/";
    let short = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, short)) if prefix.eq_ignore_ascii_case(PREFIX) => short,
        _ => typ,
    };
    short.eq_ignore_ascii_case(expected)
}

/// Whether whoever has the token may use it. What is bound to a key (RFC 8705 §3, RFC 9449 §6) is worth nothing without that
/// key, and nobody here sees a proof of it.
pub(super) fn is_of_any_bearer(claims: &Claims) -> bool {
    claims.get("cnf").is_none()
}

/// Whether nothing in the claims shows another sort of token, where the header is silent.
pub(super) fn could_be_access_token(claims: &Claims) -> bool {
    if NOT_OF_ACCESS_TOKENS
        .iter()
        .any(|name| claims.get(name).is_some())
    {
        return false;
    }
    // Keycloak says it in a claim `typ`, Cognito and Hydra in `token_use`.
    ["typ", "token_use"]
        .iter()
        .all(|name| match claims.get(name) {
            None => true,
            Some(Value::String(kind)) => {
                let others = [
                    "id",
                    "id_token",
                    "refresh",
                    "refresh_token",
                    "offline",
                    "logout",
                ];
                !others.iter().any(|other| kind.eq_ignore_ascii_case(other))
            }
            Some(_) => false,
        })
}
