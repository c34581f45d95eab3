//! What the upstream hears of who is calling.
//!
//! Its fields are worth something only because no client can set them: what comes in under such a name is
//! taken out of every request, also of routes that tell nothing, and in every spelling that a target could
//! take for it (`X_Weir_Subject` is the same variable to CGI as `X-Weir-Subject`).

use std::collections::HashSet;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use weir_config::model::{Config, IdentityFact, IdentityHeaders, PolicyKind};
use weir_core::Principal;

use super::internal::Minter;
use super::known::Fields as Rendered;
use crate::body::Frame;
use crate::failure::Failure;
use crate::fields::Fields;

/// Fields of this beginning are Weir's, whatever the configuration says.
const OWN: &str = "x-weir-";

/// A policy's fields.
#[derive(Debug)]
pub(crate) struct Shown {
    fields: Vec<(HeaderName, IdentityFact)>,
    /// Makes a token as well.
    pub(super) minter: Option<Minter>,
}

impl Shown {
    /// For a route that carries the traffic of this organization.
    pub(crate) fn compile(model: &IdentityHeaders, tenant: Option<&str>) -> Self {
        let token = model.token.as_ref();
        Self {
            fields: model.fields.clone(),
            minter: token.map(|token| Minter::compile(token, tenant)),
        }
    }

    /// The fields with what is known of somebody. What cannot be the value of a field is left out.
    pub(crate) fn render(&self, principal: &Principal) -> Rendered {
        let mut fields = Rendered::new();
        for (name, fact) in &self.fields {
            let text = told(fact, principal).map(field_text);
            let value = text.and_then(|text| HeaderValue::try_from(text).ok());
            fields.extend(value.map(|value| (name.clone(), value)));
        }
        fields
    }
}

/// A fact as text, with whatever characters it has; `None` if there is nothing to say.
pub(crate) fn told(fact: &IdentityFact, principal: &Principal) -> Option<String> {
    let text = match fact {
        IdentityFact::Subject => principal.subject.to_string(),
        IdentityFact::Issuer => principal.issuer.as_deref()?.to_owned(),
        IdentityFact::Organization => principal.organization.as_deref()?.to_owned(),
        IdentityFact::Scopes => list(&principal.scopes, " "),
        IdentityFact::Roles => list(&principal.roles, ","),
        IdentityFact::Method => principal.method.as_str().to_owned(),
        IdentityFact::Claim(claim) => match principal.claim(&claim.steps)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    };
    (!text.is_empty()).then_some(text)
}

/// A text as a field's value.
pub(crate) fn field_text(text: String) -> String {
    // Visible ASCII stays as it is. Anything else is UTF-8 in percent-encoding, as in RFC 8187 §3.2.1, and so is
    // the percent sign: whoever decodes it gets what was there, and no two texts look the same.
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'%' || byte == b' ');
    match is_plain && text.trim() == text {
        true => text,
        false => percent_encode(&text),
    }
}

/// Words with a separator between them. One that has the separator in it would be read as several, which somebody
/// else may have: it is left out.
fn list(words: &[Box<str>], separator: &str) -> String {
    let words = words.iter().map(|word| &**word);
    let words: Vec<&str> = words.filter(|word| !word.contains(separator)).collect();
    words.join(separator)
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'%' => encoded.push_str("%25"),
            byte if byte.is_ascii_graphic() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether a field of this name, in any spelling, is Weir's whatever the configuration says.
pub(crate) fn is_own(name: &str) -> bool {
    match name.contains('_') {
        true => name.replace('_', "-").starts_with(OWN),
        false => name.starts_with(OWN),
    }
}

/// Names that no client may send.
#[derive(Debug, Default)]
pub(crate) struct Forbidden(HashSet<HeaderName>);

impl Forbidden {
    /// Of all `identity` policies.
    pub(crate) fn compile(config: &Config) -> Self {
        let mut names = HashSet::new();
        for policy in &config.policies {
            if let PolicyKind::Identity(model) = &policy.kind {
                let fields = model.fields.iter().map(|(name, _)| name.clone());
                let token = model.token.iter().map(|token| token.header.clone());
                // Credentials of clients stand there as well, and are for other upstreams.
                let fields = fields.chain(token.filter(|name| *name != AUTHORIZATION));
                names.extend(fields.filter(|name| !name.as_str().starts_with(OWN)));
            }
        }
        Self(names)
    }

    /// Takes them out of a request's fields.
    pub(crate) fn strip(&self, fields: &mut Fields) {
        fields.retain(|name, _| !self.has(name));
    }

    /// What is left of the fields behind a request's body: some servers put them among the others.
    pub(crate) fn trailers(&self, mut fields: Fields) -> Option<Result<Frame, Failure>> {
        self.strip(&mut fields);
        Frame::trailers(fields)
    }

    fn has(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        if is_own(text) || self.0.is_empty() {
            return is_own(text);
        }
        match text.contains('_') {
            true => self
                .0
                .iter()
                .any(|one| one.as_str() == text.replace('_', "-")),
            false => self.0.contains(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_config::model::ClaimPath;
    use weir_core::principal::Method;

    use super::*;

    fn principal() -> Principal {
        let claims = serde_json::json!({"email": "ada@acme.example", "n": [1], "name": "Ada\r\nX: 1", "z": null});
        Principal {
            method: Method::Token,
            issuer: Some("https://issuer.test".into()),
            subject: "ada".into(),
            organization: None,
            scopes: vec!["a".into(), "b".into()],
            roles: Vec::new(),
            claims: claims.as_object().cloned().unwrap_or_default(),
        }
    }

    fn claim(name: &str) -> IdentityFact {
        IdentityFact::Claim(ClaimPath::top(name))
    }

    #[test]
    fn facts_are_told_and_nothing_breaks_out_of_a_field() {
        let told = |fact: IdentityFact| told(&fact, &principal()).map(field_text);
        assert_eq!(told(IdentityFact::Subject).as_deref(), Some("ada"));
        assert_eq!(told(IdentityFact::Scopes).as_deref(), Some("a b"));
        assert_eq!(told(IdentityFact::Roles), None);
        assert_eq!(told(IdentityFact::Organization), None);
        assert_eq!(told(IdentityFact::Method).as_deref(), Some("token"));
        assert_eq!(told(claim("n")).as_deref(), Some("[1]"));
        assert_eq!(told(claim("z")), None);
        let name = told(claim("name"));
        assert_eq!(name.as_deref(), Some("Ada%0D%0AX:%201"));
    }

    #[test]
    fn no_two_people_are_told_alike() {
        let told = |subject: &str| {
            let principal = Principal {
                subject: subject.into(),
                ..principal()
            };
            told(&IdentityFact::Subject, &principal).map(field_text)
        };
        assert_eq!(told("café").as_deref(), Some("caf%C3%A9"));
        assert_eq!(told("caf%C3%A9").as_deref(), Some("caf%25C3%25A9"));
        assert_eq!(told("Ada Lovelace").as_deref(), Some("Ada Lovelace"));
    }

    #[test]
    fn no_scope_and_no_role_is_read_as_two() {
        let principal = Principal {
            scopes: vec!["read".into(), "a admin".into()],
            roles: vec!["x,admin".into(), "viewer".into(), "team lead".into()],
            ..principal()
        };
        let told = |fact: IdentityFact| told(&fact, &principal);
        assert_eq!(told(IdentityFact::Scopes).as_deref(), Some("read"));
        assert_eq!(
            told(IdentityFact::Roles).as_deref(),
            Some("viewer,team lead")
        );
    }

    #[test]
    fn nobody_says_who_they_are_behind_a_body() {
        let forbidden = Forbidden(HashSet::from([HeaderName::from_static("x-user")]));
        let mut fields = Fields::new();
        for name in ["x_user", "x-user", "x-weir-subject"] {
            let name = HeaderName::from_static(name);
            fields.append(name, HeaderValue::from_static("root"));
        }
        assert!(forbidden.trailers(fields.clone()).is_none());
        let checksum = HeaderName::from_static("x-checksum");
        fields.append(checksum.clone(), HeaderValue::from_static("1"));
        let Some(Ok(Frame::Trailers(left))) = forbidden.trailers(fields) else {
            panic!("nothing is left");
        };
        assert!(left.contains(&checksum) && left.len() == 1);
    }

    #[test]
    fn no_client_says_who_it_is_in_any_spelling() {
        let forbidden = Forbidden(HashSet::from([HeaderName::from_static("x-user")]));
        let mut fields = Fields::new();
        for name in [
            "x-weir-subject",
            "x_weir_subject",
            "x-weir_other",
            "x-user",
            "x_user",
            "x-users",
            "accept",
        ] {
            let name = HeaderName::from_static(name);
            fields.append(name, HeaderValue::from_static("root"));
        }
        forbidden.strip(&mut fields);
        let left: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["x-users", "accept"]);
    }
}
