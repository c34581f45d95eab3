//! How parameters are written (OpenAPI §4.8.12.2, RFC 6570): texts to values.
//!
//! Values are divided before they are decoded, so that an encoded separator is part of a value.

use std::borrow::Cow;

use super::kinds::{Kinds, Properties, Simple};
use crate::documents::decode;
use crate::json::{Members, Value, sort};

/// How a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

/// How texts of a place are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Percent-encoded.
    Percent,
    /// Percent-encoded, and `+` is a space.
    Form,
    /// Not at all.
    None,
}

/// Why a text is no value.
pub(super) type Wrong = &'static str;

const UNDECODABLE: Wrong = "is not encoded properly";
const NOT_PAIRS: Wrong = "is not a list of names and values";
const TWICE: Wrong = "has a name twice";

impl Encoding {
    pub(super) fn decode<'t>(self, text: &'t str) -> Result<Cow<'t, str>, Wrong> {
        match self {
            Self::None => Ok(Cow::Borrowed(text)),
            Self::Form if text.contains('+') => {
                let text = decode(&text.replace('+', " ")).ok_or(UNDECODABLE)?;
                Ok(Cow::Owned(text))
            }
            _ if !text.contains('%') => Ok(Cow::Borrowed(text)),
            _ => decode(text).map(Cow::Owned).ok_or(UNDECODABLE),
        }
    }
}

/// A value of a single text, without its prefix.
pub(super) fn read<'t>(
    text: &'t str,
    style: Style,
    explode: bool,
    name: &str,
    kinds: &Kinds,
    encoding: Encoding,
) -> Result<Value<'t>, Wrong> {
    let text = match style {
        Style::Label => text.strip_prefix('.').ok_or("must begin with a dot")?,
        Style::Matrix => text
            .strip_prefix(';')
            .ok_or("must begin with a semicolon")?,
        _ => text,
    };
    let between = match style {
        Style::Label if explode => ".",
        Style::Matrix if explode => ";",
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "|",
        _ => ",",
    };
    // `;name=value`, and `;name=a;name=b` for each item of a list.
    let own = |part: &'t str| match style {
        Style::Matrix => {
            let (stated, value) = part.split_once('=').unwrap_or((part, ""));
            (stated == name).then_some(value).ok_or("has another name")
        }
        _ => Ok(part),
    };
    if let Some(items) = kinds.array {
        let text = if style == Style::Matrix && !explode {
            own(text)?
        } else {
            text
        };
        let parts = parts(text, between, style).map(|part| {
            let part = if style == Style::Matrix && explode {
                own(part)?
            } else {
                part
            };
            Ok(items.read(encoding.decode(part)?))
        });
        return parts.collect::<Result<_, Wrong>>().map(Value::Array);
    }
    if let Some(object) = &kinds.object {
        let text = if style == Style::Matrix && !explode {
            own(text)?
        } else {
            text
        };
        let pairs = pairs(text, between, explode)?;
        return members(pairs, object, encoding);
    }
    let text = own(text)?;
    Ok(kinds.simple.read(encoding.decode(text)?))
}

fn parts<'t>(text: &'t str, between: &'static str, style: Style) -> impl Iterator<Item = &'t str> {
    // Pipes may be encoded, as everything may, and spaces may be pluses.
    let other = match style {
        Style::PipeDelimited => "%7C",
        Style::SpaceDelimited => "+",
        _ => between,
    };
    let is_empty = text.is_empty();
    let all = text.split(between).flat_map(move |part| part.split(other));
    all.filter(move |_| !is_empty)
}

/// `a=1,b=2` or `a,1,b,2`.
fn pairs<'t>(
    text: &'t str,
    between: &'static str,
    explode: bool,
) -> Result<Vec<(&'t str, &'t str)>, Wrong> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = text.split(between);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next() {
        pairs.push(if explode {
            part.split_once('=').ok_or(NOT_PAIRS)?
        } else {
            (part, parts.next().ok_or(NOT_PAIRS)?)
        });
    }
    Ok(pairs)
}

/// Names and values as an object.
pub(super) fn members<'t>(
    pairs: Vec<(&'t str, &'t str)>,
    object: &Properties,
    encoding: Encoding,
) -> Result<Value<'t>, Wrong> {
    let mut members: Members<'t> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let name = encoding.decode(name)?;
        let simple = object
            .named
            .get(name.as_ref())
            .map_or(object.others, |(simple, _)| *simple);
        members.push((name, simple.read(encoding.decode(value)?)));
    }
    sort(members).map(Value::Object).ok_or(TWICE)
}

/// A form (`application/x-www-form-urlencoded`) as an object; members that are lists come once for
/// each item.
pub(super) fn form<'t>(text: &'t str, object: &Properties) -> Result<Value<'t>, Wrong> {
    let mut members: Members<'t> = Vec::new();
    let mut lists: Vec<(Cow<'t, str>, Vec<Value<'t>>)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (Encoding::Form.decode(name)?, Encoding::Form.decode(value)?);
        let (simple, items): (Simple, Option<Simple>) = object
            .named
            .get(name.as_ref())
            .copied()
            .unwrap_or((object.others, None));
        match items {
            None => members.push((name, simple.read(value))),
            Some(items) => match lists.iter_mut().find(|(known, _)| *known == name) {
                Some((_, list)) => list.push(items.read(value)),
                None => lists.push((name, vec![items.read(value)])),
            },
        }
    }
    members.extend(
        lists
            .into_iter()
            .map(|(name, list)| (name, Value::Array(list))),
    );
    sort(members).map(Value::Object).ok_or(TWICE)
}
