//! Access tokens: JWTs that say who somebody is, for one audience and some minutes (RFC 9068).

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use weir_core::{Id, Secret, TenantId};
use weir_jose::{Claims, Expected, LONGEST_TOKEN, Token};

use crate::Identity;
use crate::error::{Error, Result};
use crate::revocation::Shown;
use crate::role::Assigned;
use crate::scope::Scope;
use crate::throttle::later;

/// `typ` of an access token (RFC 9068 §2.1): nothing else that is signed can be taken for one.
pub const TYPE: &str = "at+jwt";

/// How somebody has shown who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// When they have signed in.
    pub at: Timestamp,
    /// By what: words of RFC 8176, such as `pwd` and `otp`.
    pub methods: Vec<String>,
}

impl Authentication {
    /// How strong it is, by the levels of NIST SP 800-63B.
    pub fn class(&self) -> &'static str {
        match self.methods.iter().any(|method| method == "mfa") {
            true => "aal2",
            false => "aal1",
        }
    }
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) user: &'a Id,
    pub(crate) family: &'a Id,
    pub(crate) client_id: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scope: &'a Scope,
    /// The organization for which it is, and the role there.
    pub(crate) belonging: Option<Belonging<'a>>,
    pub(crate) authentication: &'a Authentication,
}

/// An organization, and what somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Belonging<'a> {
    pub(crate) organization: &'a TenantId,
    /// Its name in addresses, which stays what it is.
    pub(crate) slug: &'a str,
    pub(crate) role: &'a Assigned,
}

/// An access token, signed.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) token: Secret<String>,
    pub(crate) expires_at: Timestamp,
}

impl Identity {
    /// Who issues this installation's tokens: `iss` in them.
    pub fn issuer(&self) -> &str {
        &self.shared.options.public_url
    }

    /// What an access token of this installation says, if it is good now: signed with a key that is published, not over,
    /// not revoked as far as this node knows. For whom it is, is for the caller to look at.
    pub fn verify_access(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let published = self.published_keys()?;
        let mut buffer = Vec::new();
        let token = Token::parse(token, LONGEST_TOKEN, &mut buffer).ok()?;
        let kid = token.header().kid.as_deref()?;
        let verified = token.verify(&published.set).ok()?;
        let claims = verified.claims().ok()?;
        let expected = Expected {
            audiences: Vec::new(),
            leeway: 0,
            ..Expected::access_token(self.issuer(), "")
        };
        let seconds = now.as_second();
        expected.judge(verified.header(), &claims, seconds).ok()?;
        let issued_at = claims.get("iat").and_then(Json::as_i64)?;
        let shown = Shown {
            kid,
            token: claims.text("jti"),
            family: claims.text("sid"),
            user: claims.subject(),
            issued_at: Timestamp::from_second(issued_at).ok()?,
        };
        (!self.revocations().refuse(&shown)).then_some(claims)
    }

    /// Signs what a token says.
    ///
    /// # Errors
    /// [`Error::Busy`] before this node has a key that signs.
    pub(crate) fn sign_access(&self, said: &Said<'_>, now: Timestamp) -> Result<Signed> {
        let key = self.shared.ring.signing(now);
        let key = key.ok_or(Error::Busy("keys that sign tokens are being made"))?;
        let expires_at = later(now, self.shared.options.tokens.access_lifetime())?;
        let claims = claims(self.issuer(), said, &Id::new("jti"), now, expires_at);
        let payload = serde_json::to_vec(&claims).map_err(Error::internal)?;
        let token = key.sign(TYPE, &payload).map_err(Error::internal)?;
        Ok(Signed {
            token: Secret::new(token),
            expires_at,
        })
    }
}

/// RFC 9068 §2.2; `sid` names the family of refresh tokens, of which there is one for each login.
fn claims(
    issuer: &str,
    said: &Said<'_>,
    id: &Id,
    now: Timestamp,
    expires_at: Timestamp,
) -> Map<String, Json> {
    let authentication = said.authentication;
    let mut claims = Map::new();
    let mut add = |name: &str, value: Json| claims.insert(name.to_owned(), value);
    add("iss", json!(issuer));
    add("sub", json!(said.user));
    add("aud", json!(said.audience));
    add("client_id", json!(said.client_id));
    add("iat", json!(now.as_second()));
    add("exp", json!(expires_at.as_second()));
    add("jti", json!(id));
    add("sid", json!(said.family));
    add("auth_time", json!(authentication.at.as_second()));
    add("amr", json!(authentication.methods));
    add("acr", json!(authentication.class()));
    if !said.scope.is_empty() {
        add("scope", json!(said.scope));
    }
    if let Some(belonging) = &said.belonging {
        add("tenant", json!(belonging.organization.as_str()));
        add("organization", json!(belonging.slug));
        add("roles", json!([belonging.role.to_string()]));
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::BuiltIn;

    #[test]
    fn a_token_says_what_the_standard_asks_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (user, family, id) = (Id::new("usr"), Id::new("rtf"), Id::new("jti"));
        let tenant = TenantId::platform();
        let authentication = Authentication {
            at: at(1_000),
            methods: ["pwd", "otp", "mfa"].map(str::to_owned).to_vec(),
        };
        let scope = Scope::parse("route:read role:read").unwrap();
        let role = Assigned::BuiltIn(BuiltIn::Viewer);
        let mut said = Said {
            user: &user,
            family: &family,
            client_id: "weir",
            audience: "https://api.example",
            scope: &scope,
            belonging: Some(Belonging {
                organization: &tenant,
                slug: "acme",
                role: &role,
            }),
            authentication: &authentication,
        };
        let claims =
            |said: &Said<'_>| claims("https://weir.example", said, &id, at(2_000), at(2_300));
        let full = json!({
            "iss": "https://weir.example", "sub": user, "aud": "https://api.example",
            "client_id": "weir", "iat": 2_000, "exp": 2_300, "jti": id, "sid": family,
            "auth_time": 1_000, "amr": ["pwd", "otp", "mfa"], "acr": "aal2",
            "scope": "role:read route:read", "tenant": tenant.as_str(),
            "organization": "acme", "roles": ["viewer"],
        });
        assert_eq!(Json::from(claims(&said)), full);
        let none = Scope::default();
        said.scope = &none;
        said.belonging = None;
        let bare = claims(&said);
        assert!(!bare.contains_key("scope") && !bare.contains_key("roles"));
    }
}
