//! Scopes: words of an organization's own, which its routes ask for.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

const MOST: usize = 50;
const MOST_LENGTH: usize = 100;

/// Scopes, each once and in order; each a `scope-token` (RFC 6749 §3.3): visible ASCII but `"` and `\`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Whether this one is among them.
    pub fn has(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether all of `others` are among them.
    pub fn includes(&self, others: &Self) -> bool {
        self.0.is_superset(&others.0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// What a list that is none of scopes must be like. Whoever reads one says themselves in which field it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotScopes(&'static str);

impl TryFrom<Vec<String>> for Scopes {
    type Error = NotScopes;

    fn try_from(scopes: Vec<String>) -> Result<Self, NotScopes> {
        let is_scope = |scope: &String| {
            (1..=MOST_LENGTH).contains(&scope.len())
                && scope
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
        };
        if scopes.len() > MOST {
            return Err(NotScopes("are more than 50"));
        }
        match scopes.iter().all(is_scope) {
            true => Ok(Self(scopes.into_iter().collect())),
            false => Err(NotScopes(
                "are each 1 to 100 visible ASCII characters, without quotes, backslashes and spaces",
            )),
        }
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.0.into_iter().collect()
    }
}

impl PartialSchema for Scopes {
    fn schema() -> RefOr<Schema> {
        let scope = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[!#-\[\]-~]{1,100}$"))
            .examples(["catalog:read"]);
        ArrayBuilder::new()
            .items(scope)
            .max_items(Some(MOST))
            .description(Some(
                "Words of the organization's own, which routes ask for.",
            ))
            .into()
    }
}

impl ToSchema for Scopes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Scopes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words() {
        let scopes: Scopes =
            serde_json::from_str(r#"["catalog:write","a","catalog:read","a"]"#).unwrap();
        assert_eq!(
            serde_json::to_string(&scopes).unwrap(),
            r#"["a","catalog:read","catalog:write"]"#
        );
        assert!(scopes.has("catalog:read") && !scopes.has("catalog"));
        assert!(scopes.includes(&Scopes::default()) && !Scopes::default().includes(&scopes));
        for bad in [
            "",
            " ",
            "a b",
            "a\"",
            "a\\",
            "a\n",
            "ä",
            "\0",
            &"a".repeat(101),
        ] {
            assert!(Scopes::try_from(vec![bad.to_owned()]).is_err(), "{bad:?}");
        }
        let many = Scopes::try_from(vec!["a".to_owned(); MOST + 1]);
        assert!(many.is_err_and(|why| why.to_string().ends_with(&MOST.to_string())));
    }

    #[test]
    fn a_mistake_leaves_its_field_to_whoever_reads_it() {
        let bad = serde_json::from_str::<Scopes>(r#"["a b"]"#).unwrap_err();
        assert!(bad.to_string().starts_with("are each 1 to 100"), "{bad}");
    }
}
