//! Header rules: remove, set and add fields.

use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;
use weir_config::model;
use weir_config::reserved;
use weir_config::template::{Part, Template};

use crate::Fields;
use crate::render::{self, RenderContext};

/// Compiled [`model::HeaderRules`].
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Value)>,
    add: Vec<(HeaderName, Value)>,
    /// Names whose underscore spellings go with them: back ends that turn fields into variables
    /// (CGI, RFC 3875 §4.1.18) read `x_user` and `x-user` as one.
    guarded: Vec<HeaderName>,
}

/// Which message the rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is sent to the upstream.
    Request,
    /// What is sent to the client.
    Response,
}

#[derive(Clone, Debug)]
enum Value {
    Fixed(HeaderValue),
    Template(Template),
}

/// Rules with their values written, ready to be applied; it no longer borrows the request.
#[derive(Debug)]
pub struct RenderedRules<'r> {
    rules: &'r HeaderRules,
    set: SmallVec<[Option<HeaderValue>; 4]>,
    add: SmallVec<[Option<HeaderValue>; 4]>,
    dropped: usize,
}

impl HeaderRules {
    /// Compiles rules. Fields that frame a message are passed over: the loader has refused them.
    pub fn compile(rules: &model::HeaderRules, side: Side) -> Self {
        let is_allowed = |name: &HeaderName| match side {
            Side::Request => !reserved::forbidden_in_request(name),
            Side::Response => !reserved::forbidden(name),
        };
        let compile = |rules: &[(HeaderName, Template)]| {
            rules
                .iter()
                .filter(|(name, _)| is_allowed(name))
                .map(|(name, template)| (name.clone(), Value::compile(template)))
                .collect::<Vec<_>>()
        };
        let remove: Vec<_> = rules
            .remove
            .iter()
            .filter(|name| is_allowed(name))
            .cloned()
            .collect();
        let (set, add) = (compile(&rules.set), compile(&rules.add));
        let mut guarded = Vec::new();
        if side == Side::Request {
            guarded.extend(
                remove
                    .iter()
                    .chain(set.iter().map(|(name, _)| name))
                    .cloned(),
            );
            guarded.retain(|name| name.as_str().contains('-'));
        }
        Self {
            remove,
            set,
            add,
            guarded,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Writes the values. `scratch` is cleared and used as the place to write in.
    pub fn render(&self, context: &RenderContext<'_>, scratch: &mut Vec<u8>) -> RenderedRules<'_> {
        let mut dropped = 0;
        let mut render = |rules: &[(HeaderName, Value)]| {
            let values = rules.iter().map(|(_, value)| {
                value.render(context, scratch).unwrap_or_else(|Unsendable| {
                    dropped += 1;
                    None
                })
            });
            values.collect()
        };
        let set = render(&self.set);
        let add = render(&self.add);
        RenderedRules {
            rules: self,
            set,
            add,
            dropped,
        }
    }
}

impl RenderedRules<'_> {
    /// Applies the rules: `remove`, then `set`, then `add`. Returns how many values were dropped
    /// because they cannot be sent (CR, LF, NUL or another control character).
    ///
    /// A field whose value was dropped or came out empty is not sent; with `set` that also removes
    /// what the client had put there, so that a missing value never lets a forged one through.
    pub fn apply(self, fields: &mut Fields) -> usize {
        let rules = self.rules;
        if !rules.remove.is_empty() || !rules.guarded.is_empty() {
            fields.retain(|name, _| {
                !rules.remove.contains(name) && !is_alias(name.as_str(), &rules.guarded)
            });
        }
        for ((name, _), value) in rules.set.iter().zip(self.set) {
            match value {
                Some(value) => fields.set(name.clone(), value),
                None => {
                    fields.remove(name);
                }
            }
        }
        for ((name, _), value) in rules.add.iter().zip(self.add) {
            if let Some(value) = value {
                fields.append(name.clone(), value);
            }
        }
        self.dropped
    }
}

/// A value that would end its line or is no field value for another reason (RFC 9110 §5.5).
struct Unsendable;

impl Value {
    fn compile(template: &Template) -> Self {
        let fixed = match template.parts.as_slice() {
            [Part::Secret(text)] => sensitive(text.expose().as_bytes()),
            _ => template
                .as_literal()
                .and_then(|text| HeaderValue::from_str(text).ok()),
        };
        fixed.map_or_else(|| Self::Template(template.clone()), Self::Fixed)
    }

    /// `None` if variables came out empty and there is nothing else.
    fn render(
        &self,
        context: &RenderContext<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<HeaderValue>, Unsendable> {
        let template = match self {
            Self::Fixed(value) => return Ok(Some(value.clone())),
            Self::Template(template) => template,
        };
        scratch.clear();
        render::render(template, context, scratch);
        let value = scratch.trim_ascii();
        if value.is_empty() {
            return Ok(None);
        }
        let value = if template.has_secret() {
            sensitive(value)
        } else {
            HeaderValue::from_bytes(value).ok()
        };
        value.map(Some).ok_or(Unsendable)
    }
}

/// A value that `Debug` hides and HPACK keeps out of its tables (RFC 7541 §7.1.3).
fn sensitive(value: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a field is one of the names spelled with underscores.
fn is_alias(field: &str, names: &[HeaderName]) -> bool {
    if names.is_empty() || !field.contains('_') {
        return false;
    }
    let same = |one: u8, other: u8| one == other || (one == b'_' && other == b'-');
    names.iter().any(|name| {
        let name = name.as_str();
        field != name
            && field.len() == name.len()
            && field
                .bytes()
                .zip(name.bytes())
                .all(|(one, other)| same(one, other))
    })
}

#[cfg(test)]
mod tests;
