//! What somebody who calls must be.

use serde_json::Value;
use weir_config::model::{ClaimRule, Require};
use weir_core::Principal;

/// What somebody is not. It names what the configuration asks for, and nothing of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lacking<'a> {
    /// One of these scopes, all of which are needed (RFC 6750 §3.1).
    Scope(&'a [String]),
    /// All of these roles, of which one is needed.
    Role,
    /// This claim.
    Claim(&'a str),
    /// The rules' consent.
    Rule,
    /// Everything: nobody knows who it is.
    Identity,
}

impl Lacking<'_> {
    /// The word for logs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Scope(_) => "scope",
            Self::Role => "role",
            Self::Claim(_) => "claim",
            Self::Rule => "rule",
            Self::Identity => "anonymous",
        }
    }

    /// For the client. Which roles or values would do is not theirs to know: they cannot ask for them.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Scope(scopes) => {
                let plural = if scopes.len() == 1 { "" } else { "s" };
                let scopes = scopes.join(" ");
                format!(
                    "The credential is good, but not for this: the scope{plural} `{scopes}` is needed."
                )
            }
            Self::Role => "The credential is good, but its role may not do this.".to_owned(),
            Self::Claim(name) => {
                format!("The credential is good, but its claim `{name}` does not allow this.")
            }
            Self::Rule => "The credential is good, but the rules do not allow this.".to_owned(),
            Self::Identity => "This needs a credential.".to_owned(),
        }
    }
}

/// Whether somebody is all that is asked for.
pub(super) fn check<'a>(require: &'a Require, principal: &Principal) -> Result<(), Lacking<'a>> {
    if !require
        .scopes
        .iter()
        .all(|scope| principal.has_scope(scope))
    {
        return Err(Lacking::Scope(&require.scopes));
    }
    let has_role = require.roles.iter().any(|role| principal.has_role(role));
    if !require.roles.is_empty() && !has_role {
        return Err(Lacking::Role);
    }
    let fails = |rule: &&ClaimRule| !holds(rule, principal);
    match require.claims.iter().find(fails) {
        Some(rule) => Err(Lacking::Claim(&rule.claim.text)),
        None => Ok(()),
    }
}

/// Whether a claim is as it must be.
pub(crate) fn holds(rule: &ClaimRule, principal: &Principal) -> bool {
    let Some(value) = principal.claim(&rule.claim.steps) else {
        return false;
    };
    rule.values.is_empty()
        || match value {
            Value::Array(items) => items.iter().any(|item| is_one_of(item, &rule.values)),
            value => is_one_of(value, &rule.values),
        }
}

fn is_one_of(value: &Value, values: &[String]) -> bool {
    match value {
        Value::String(text) => values.contains(text),
        Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            values.contains(&text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_config::model::ClaimPath;
    use weir_core::principal::Method;

    use super::*;

    fn principal() -> Principal {
        let claims = json!({"plan": "gold", "verified": true, "level": 3, "teams": ["a", "b"], "deep": {"x": "y"}, "none": null});
        Principal {
            method: Method::Token,
            issuer: None,
            subject: "ada".into(),
            organization: None,
            scopes: vec!["catalog:read".into()],
            roles: vec!["editor".into()],
            claims: claims.as_object().cloned().unwrap_or_default(),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_scope_is_needed_and_one_role() {
        let check = |scopes: &[&str], roles: &[&str]| {
            let require = Require {
                scopes: texts(scopes),
                roles: texts(roles),
                ..Require::default()
            };
            check(&require, &principal()).map_err(Lacking::word)
        };
        assert_eq!(check(&["catalog:read"], &[]), Ok(()));
        assert_eq!(check(&["catalog:read", "catalog:write"], &[]), Err("scope"));
        assert_eq!(check(&["catalog"], &[]), Err("scope"), "no prefix");
        assert_eq!(check(&[], &["admin", "editor"]), Ok(()));
        assert_eq!(check(&[], &["admin"]), Err("role"));
    }

    #[test]
    fn a_claim_is_compared_as_text_and_a_list_by_its_members() {
        let holds = |steps: &[&str], values: &[&str]| {
            let claim = ClaimPath {
                text: String::new(),
                steps: texts(steps),
            };
            holds(
                &ClaimRule {
                    claim,
                    values: texts(values),
                },
                &principal(),
            )
        };
        assert!(holds(&["plan"], &["silver", "gold"]));
        assert!(!holds(&["plan"], &["Gold"]));
        assert!(holds(&["verified"], &["true"]));
        assert!(holds(&["level"], &["3"]) && !holds(&["level"], &["3.0"]));
        assert!(holds(&["teams"], &["b"]) && !holds(&["teams"], &["[\"a\",\"b\"]"]));
        assert!(holds(&["deep", "x"], &["y"]) && !holds(&["deep"], &["y"]));
        assert!(holds(&["deep"], &[]), "anything");
        assert!(!holds(&["none"], &[]), "null is nothing");
    }
}
