//! Who is calling, as far as that was shown.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Somebody whose credential was found to be good.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// By what.
    pub method: Method,
    /// Who vouches for it: `iss` of a token; `None` if Weir itself does.
    pub issuer: Option<Arc<str>>,
    /// Who it is, unique to the issuer.
    pub subject: Arc<str>,
    /// The organization whose credential it is, if that is one of Weir's.
    pub organization: Option<Arc<str>>,
    /// What the credential is for.
    pub scopes: Vec<Box<str>>,
    /// What somebody is who has it.
    pub roles: Vec<Box<str>>,
    /// Everything else that was said of them.
    pub claims: Map<String, Value>,
}

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A token that somebody signed.
    Token,
    /// A key of a service.
    Key,
    /// A password, perhaps some time ago.
    Password,
    /// A password and a second factor.
    TwoFactor,
    /// A signature of the message.
    Signature,
    /// The certificate of the connection.
    Certificate,
}

impl Method {
    /// The word for it in fields, logs and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Key => "key",
            Self::Password => "password",
            Self::TwoFactor => "two_factor",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
        }
    }
}

impl Principal {
    /// Whether the credential is for this.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|known| **known == *scope)
    }

    /// Whether they are this.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|known| **known == *role)
    }

    /// The claim at the end of these members' names; `null` is none.
    pub fn claim(&self, steps: &[String]) -> Option<&Value> {
        find(&self.claims, steps)
    }
}

/// The value at the end of these members' names, from the top; `null` is none.
pub fn find<'a>(claims: &'a Map<String, Value>, steps: &[String]) -> Option<&'a Value> {
    let (first, rest) = steps.split_first()?;
    let mut value = claims.get(first)?;
    for step in rest {
        value = value.as_object()?.get(step)?;
    }
    Some(value).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_below_others() {
        let Value::Object(claims) = json!({"a": {"b": ["c"]}, "n": null, "a/b": 1}) else {
            panic!("no object");
        };
        let at = |steps: &[&str]| {
            let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
            find(&claims, &steps).cloned()
        };
        assert_eq!(at(&["a", "b"]), Some(json!(["c"])));
        assert_eq!(at(&["a/b"]), Some(json!(1)));
        assert_eq!(at(&["n"]), None);
        assert_eq!(at(&["a", "b", "c"]), None);
        assert_eq!(at(&[]), None);
    }
}
