//! What a token says of its holder.

use serde_json::{Map, Value};

use crate::json;
use crate::token::Malformed;

/// The claims of a token (RFC 7519 §4), in their order, none of them twice at any depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// From a JSON object.
    ///
    /// # Errors
    /// [`Malformed::Claims`].
    pub fn parse(json: &[u8]) -> Result<Self, Malformed> {
        json::object(json).map(Self).map_err(|_| Malformed::Claims)
    }

    /// A claim of any type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Who issued it, `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Whom it is about, `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// For whom it is, `aud`: one text, or several in an array. Nothing if anything else is in it.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let one = self.get("aud").map_or(&[][..], |audience| match audience {
            Value::Array(several) => several,
            one => std::slice::from_ref(one),
        });
        let are_texts = one.iter().all(Value::is_string);
        let texts = one.iter().filter_map(Value::as_str);
        texts.filter(move |_| are_texts)
    }

    /// What it is good for: `scope`, words between spaces (RFC 8693 §4.2, RFC 9068 §2.2.3), or `scp`, such words or an
    /// array of them, as some issuers write.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes = self.get("scope").or_else(|| self.get("scp"));
        let parts = scopes.map_or(&[][..], |scopes| match scopes {
            Value::Array(several) => several,
            one => std::slice::from_ref(one),
        });
        let texts = parts.iter().filter_map(Value::as_str);
        texts
            .flat_map(|text| text.split(' '))
            .filter(|scope| !scope.is_empty())
    }

    /// All of them.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of them, to keep.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(claims: Map<String, Value>) -> Self {
        Self(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn audiences_are_one_text_or_several() {
        let audiences = |json| {
            claims(json)
                .audiences()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(audiences(r#"{"aud":"a"}"#), ["a"]);
        assert_eq!(audiences(r#"{"aud":["a","b"]}"#), ["a", "b"]);
        for none in [
            "{}",
            r#"{"aud":1}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"aud":{"a":"a"}}"#,
            r#"{"aud":null}"#,
        ] {
            assert!(audiences(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn scopes_are_words() {
        let scopes = |json| claims(json).scopes().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(scopes(r#"{"scope":"read  write"}"#), ["read", "write"]);
        assert_eq!(scopes(r#"{"scp":["read","write"]}"#), ["read", "write"]);
        assert_eq!(scopes(r#"{"scp":"read write"}"#), ["read", "write"]);
        assert_eq!(scopes(r#"{"scope":"","scp":"read"}"#), [""; 0]);
        assert_eq!(scopes(r#"{"scope":7}"#), [""; 0]);
    }

    #[test]
    fn duplicate_claims_are_refused() {
        for bad in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"["sub"]"#,
            "",
            "null",
        ] {
            assert_eq!(
                Claims::parse(bad.as_bytes()),
                Err(Malformed::Claims),
                "{bad}"
            );
        }
    }
}
