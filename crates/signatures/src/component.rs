//! Component identifiers (RFC 9421 §2): what a signature covers.

use std::borrow::Cow;

use sfv::{BareItem, BareItemFromInput, Item, KeyRef, Parser, StringRef};
use smallvec::SmallVec;
use thiserror::Error;

/// A name with its parameters, in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct Component<'a> {
    pub(crate) name: Cow<'a, StringRef>,
    pub(crate) parameters: SmallVec<[(&'a KeyRef, BareItemFromInput<'a>); 1]>,
}

impl Component<'_> {
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether both name one thing: the order of parameters does not count (§2).
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.parameters.len() == other.parameters.len()
            && self
                .parameters
                .iter()
                .all(|one| other.parameters.contains(one))
    }

    fn text_of(&self, key: &str) -> Option<&str> {
        let parameter = self
            .parameters
            .iter()
            .find(|(name, _)| name.as_str() == key);
        Some(parameter?.1.as_string()?.as_str())
    }

    /// Whether it is a field, or a derived component, as a whole: not a member or parameter of it.
    fn is_whole(&self) -> bool {
        let is_form = |name: &&KeyRef| matches!(name.as_str(), "sf" | "bs");
        self.parameters.iter().all(|(name, _)| is_form(name))
    }
}

/// What a policy asks a signature to cover: `@method`, `content-type`, `@query-param;name="id"`.
///
/// Whatever says at least as much will do: `@target-uri` covers `@path`.
#[derive(Clone, Debug, PartialEq)]
pub struct RequiredComponent {
    name: Box<str>,
    /// The parameter `name` of `@query-param`, or `key` of a dictionary.
    part: Option<(&'static str, Box<str>)>,
}

/// Derived components of requests.
const DERIVED: [&str; 8] = [
    "@method",
    "@target-uri",
    "@authority",
    "@scheme",
    "@request-target",
    "@path",
    "@query",
    "@query-param",
];

impl RequiredComponent {
    /// Reads the form that configuration has.
    pub fn parse(text: &str) -> Result<Self, BadComponent> {
        let error = || BadComponent(text.into());
        let (name, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
        let is_known = match name.strip_prefix('@') {
            Some(_) => DERIVED.contains(&name),
            None => is_field_name(name),
        };
        if !is_known {
            return Err(error());
        }
        let item = format!("\"{name}\"{parameters}");
        let item: Item = Parser::new(&item).parse().map_err(|_| error())?;
        let mut parameters = item.params.into_iter();
        let part = match (parameters.next(), name) {
            (Some((key, BareItem::String(value))), "@query-param") if key.as_str() == "name" => {
                Some(("name", value.as_str().into()))
            }
            (Some((key, BareItem::String(value))), field)
                if key.as_str() == "key" && !field.starts_with('@') =>
            {
                Some(("key", value.as_str().into()))
            }
            (None, name) if name != "@query-param" => None,
            _ => return Err(error()),
        };
        if parameters.next().is_some() {
            return Err(error());
        }
        Ok(Self {
            name: name.into(),
            part,
        })
    }

    /// The digest of the body (RFC 9530 §2).
    pub(crate) fn content_digest() -> Self {
        Self {
            name: "content-digest".into(),
            part: None,
        }
    }

    /// Whether one of these says it.
    pub(crate) fn is_covered(&self, components: &[Component<'_>]) -> bool {
        components.iter().any(|component| {
            let covers_the_whole = component.is_whole()
                && (component.name() == &*self.name || implies(component.name(), &self.name));
            let covers_the_part = self.part.as_ref().is_some_and(|(key, value)| {
                component.name() == &*self.name && component.text_of(key) == Some(value)
            });
            covers_the_whole || covers_the_part
        })
    }
}

/// Text that names no component of a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no component of a request; give the name of a header field in lower case, @method, \
     @target-uri, @authority, @scheme, @request-target, @path, @query or @query-param;name=\"…\""
)]
pub struct BadComponent(Box<str>);

/// A token in lower case (RFC 9421 §2.1).
pub(crate) fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether the value of a derived component holds all of another one.
fn implies(covered: &str, asked: &str) -> bool {
    match covered {
        "@target-uri" => matches!(
            asked,
            "@scheme" | "@authority" | "@request-target" | "@path" | "@query" | "@query-param"
        ),
        "@request-target" => matches!(asked, "@path" | "@query" | "@query-param"),
        "@query" => asked == "@query-param",
        _ => false,
    }
}

#[cfg(test)]
mod tests;
