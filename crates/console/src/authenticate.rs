//! Who asks: the operator of this machine, by the token in the data directory; a person, by that of
//! a session; or a program, by its key.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_core::{ApiKeyText, Secret, TenantId};
use weir_identity::{Authenticated, Error, Identity, KeyHolder, Permission, Permissions};
use weir_store::audit::Actor;

use crate::people::People;
use crate::problem::Problem;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

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
#[derive(Clone, Debug)]
pub enum Principal {
    /// Whoever can read the data directory of this node.
    Operator,
    /// Somebody who has signed in.
    User(Box<Authenticated>),
    /// A program, which does what its key may, and nothing for which it takes a person.
    Key(Box<KeyHolder>),
}

impl Principal {
    /// As the audit names it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::User(who) => Actor::User(who.user.id.clone()),
            Self::Key(holder) => Actor::ApiKey(holder.id.clone()),
        }
    }

    /// What they may do in an organization.
    pub fn rights(&self, tenant: &TenantId) -> Permissions {
        match self {
            Self::Operator => Permissions::all(),
            Self::User(who) => who.permissions(tenant),
            Self::Key(holder) => holder.rights_in(tenant),
        }
    }

    /// Whether they may do this in an organization.
    ///
    /// # Errors
    /// 404 if they may not even know that it is there; 403, which names the permission.
    pub fn allow(&self, tenant: &TenantId, permission: Permission) -> Result<(), Problem> {
        let allowed = self.rights(tenant).allow(permission);
        allowed.map_err(|error| match error {
            Error::Forbidden(_) => forbidden(permission),
            error => error.into(),
        })
    }

    /// Whether they may do this on the platform. That there is one is no secret.
    ///
    /// # Errors
    /// 403, which names the permission.
    pub fn allow_on_platform(&self, permission: Permission) -> Result<(), Problem> {
        match self.rights(&TenantId::platform()).has(permission) {
            true => Ok(()),
            false => Err(forbidden(permission).saying(format!(
                "This needs the permission {permission} on the platform, which the caller's roles there do not give."
            ))),
        }
    }

    /// The address by which people know them; of a program, the name of its key.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Operator => None,
            Self::User(who) => Some(&who.user.email),
            Self::Key(holder) => Some(&holder.name),
        }
    }
}

/// Knows credentials when it sees them.
pub(crate) struct Authenticator {
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
    pub(crate) fn new(operator: &OperatorToken) -> Self {
        Self {
            operator: Hash::of(operator.expose()),
        }
    }

    /// Who sends this head, from this address.
    ///
    /// # Errors
    /// 401, which is the same whatever was wrong (RFC 6750 §3); 503 if it may be somebody's session or key and
    /// records are not there.
    pub(crate) async fn principal(
        &self,
        headers: &HeaderMap,
        address: Option<&str>,
        people: &People,
    ) -> Result<Principal, Problem> {
        let token = credential(headers).ok_or_else(unauthenticated)?;
        if self.is_operator(token) {
            return Ok(Principal::Operator);
        }
        if ApiKeyText::is_meant(token) {
            // What is mistyped or made up needs no records to be refused.
            ApiKeyText::parse(token).ok_or_else(unauthenticated)?;
            let holder = people.get()?.authenticate_key(token, address).await?;
            let holder = holder.ok_or_else(unauthenticated)?;
            return Ok(Principal::Key(Box::new(holder)));
        }
        if !Identity::is_session_token(token) {
            return Err(unauthenticated());
        }
        match people.get()?.authenticate(token).await? {
            Some(who) => Ok(Principal::User(Box::new(who))),
            None => Err(unauthenticated()),
        }
    }

    fn is_operator(&self, token: &str) -> bool {
        // Hashes of equal length are compared: time tells nothing about the token.
        verify_slices_are_equal(&Hash::of(token).0, &self.operator.0).is_ok()
    }
}

/// The only credential of a head: a key may stand in a field of its own. Of two, nobody could say which counts.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let mut keys = headers.get_all(API_KEY).iter();
    let Some(key) = keys.next() else {
        return bearer(headers);
    };
    let is_only = keys.next().is_none() && !headers.contains_key(AUTHORIZATION);
    let key = key.to_str().ok().filter(|_| is_only)?;
    Some(key.trim_matches(' ')).filter(|key| ApiKeyText::is_meant(key))
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

pub(crate) fn forbidden(permission: Permission) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!("This needs the permission {permission}, which the caller's roles do not give."),
    )
    .with("permission", permission.as_str())
}

/// The same whatever was wrong (RFC 6750 §3).
pub(crate) fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "The credential is missing, wrong or has ended. Send one as `Authorization: Bearer`, an API key also as `X-Api-Key`: the token of a session, an API key, or, on the machine itself, the one in `operator.token` of the data directory.",
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
        let is_operator = |values: &[String]| {
            bearer(&headers(values)).is_some_and(|token| authenticator.is_operator(token))
        };
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
    fn there_is_one_credential_or_none() {
        let key = ApiKeyText::compose(1, [2, 3, 4]).expose().clone();
        let session = format!("weir_session_{}", "A".repeat(43));
        let read = |fields: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::try_from(*name).expect("a name");
                headers.append(name, HeaderValue::try_from(*value).expect("a value"));
            }
            credential(&headers).map(str::to_owned)
        };
        let bearer = format!("Bearer {key}");
        assert_eq!(read(&[("x-api-key", &key)]), Some(key.clone()));
        assert_eq!(read(&[("authorization", &bearer)]), Some(key.clone()));
        for bad in [
            &[("x-api-key", &*key), ("x-api-key", &*key)][..],
            &[("x-api-key", &key), ("authorization", &bearer)],
            &[("x-api-key", &key), ("authorization", "Basic eA==")],
            // A session is no program's to show.
            &[("x-api-key", &session)],
            &[("x-api-key", &bearer)],
            &[("x-api-key", "")],
            &[("api-key", &key)],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
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
