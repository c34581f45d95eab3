//! `security_headers` of a policy: presets, and changes to them.

use http::{HeaderName, HeaderValue};

use super::headers::report_twice;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::SecurityHeaders;
use crate::reserved;
use crate::shape::{Choice, Record, Shape, Text, choice, field};
use crate::value::http as grammar;

static PLAIN_VALUE: Text = Text {
    what: "a header value",
    pattern: None,
    examples: &["default-src 'self'", "no-referrer"],
    loose: true,
};

pub(super) static SECURITY_HEADERS: Record = Record {
    name: "security_headers",
    about: "Headers that tell browsers to be careful.",
    fields: &[
        field(
            "preset",
            Shape::Choice(&PRESETS),
            "Which headers, to begin with.",
        )
        .required(),
        field(
            "set",
            Shape::Map {
                names: &grammar::HEADER_NAME,
                values: &Shape::Text(&PLAIN_VALUE),
            },
            "Headers with another value than the preset's, or beside it.",
        )
        .default("{}"),
        field(
            "omit",
            Shape::List {
                items: &Shape::Text(&grammar::HEADER_NAME),
                least: 0,
            },
            "Headers of the preset that are not sent.",
        )
        .default("[]"),
        field(
            "override",
            Shape::Boolean,
            "Whether they replace what the upstream sets.",
        )
        .default("false"),
    ],
};

static PRESETS: [Choice; 3] = [
    choice(
        "api",
        "For what programs read: nothing of it may act in a browser.",
    ),
    choice("web", "For pages: what nearly every site bears."),
    choice("strict", "For pages that load nothing from elsewhere."),
];

/// `docs/security-headers.md` has the same tables; a test compares them.
pub(crate) const PRESET_FIELDS: [(&str, &[(&str, &str)]); 3] = [
    (
        "api",
        &[
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
        ],
    ),
    (
        "web",
        &[
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            (
                "content-security-policy",
                "base-uri 'self'; frame-ancestors 'self'; object-src 'none'",
            ),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("cross-origin-opener-policy", "same-origin-allow-popups"),
            ("x-permitted-cross-domain-policies", "none"),
        ],
    ),
    (
        "strict",
        &[
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
            ("x-permitted-cross-domain-policies", "none"),
        ],
    ),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<SecurityHeaders> {
    let object = Object::open(context, cursor)?;
    let preset = object
        .written("preset")
        .and_then(|cursor| cursor.choice(context));
    let set = decode_set(context, &object.get("set")?);
    let omit = decode_omit(context, &object.get("omit")?);
    let overrides = object.get("override")?.boolean(context);
    let preset = preset?;
    let (_, preset_fields) = PRESET_FIELDS.iter().find(|(name, _)| *name == preset)?;
    for (name, cursor_span) in &omit {
        let is_there = preset_fields.iter().any(|(field, _)| name == *field);
        if !is_there {
            let message = format!("the preset `{preset}` does not have `{name}`");
            let known = preset_fields.iter().map(|(field, _)| *field);
            let help = context.suggest(name.as_str(), known, "headers of the preset");
            let finding = Finding::warning(codes::WITHOUT_EFFECT, message).help(help);
            object.report(context, *cursor_span, finding);
        } else if let Some((_, span, _)) = set.iter().find(|(set, ..)| set == name) {
            let message = format!("`{name}` is set and left out");
            let finding = Finding::error(codes::CONFLICT, message).help("keep one of the two");
            object.report(context, *span, finding);
        }
    }
    let is_kept = |name: &HeaderName| {
        omit.iter().all(|(omitted, _)| omitted != name) && set.iter().all(|(set, ..)| set != name)
    };
    let mut fields: Vec<(HeaderName, HeaderValue)> = preset_fields
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .filter(|(name, _)| is_kept(name))
        .collect();
    fields.extend(set.into_iter().map(|(name, _, value)| (name, value)));
    Some(SecurityHeaders {
        fields,
        overrides: overrides?,
    })
}

type Written = (HeaderName, crate::source::Span, HeaderValue);

fn decode_set(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Written> {
    let fields = decode_fields(context, cursor);
    let places = fields.iter().map(|(name, span, _)| (name.clone(), *span));
    let places = places.collect();
    report_twice(context, places);
    fields
}

/// Fields as they are sent: no templates.
pub(super) fn decode_fields(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Written> {
    let mut fields = Vec::new();
    for entry in cursor.entries(context) {
        let name = match grammar::changeable_header(entry.name, reserved::forbidden) {
            Ok(name) => Some(name),
            Err(_) if entry.name.is_empty() => None, // reported where the key was read
            Err(mut fault) => {
                fault.at = None;
                context.report(entry.fault(fault));
                None
            }
        };
        let value = entry.value.parse(context, field_value);
        if let (Some(name), Some(value)) = (name, value) {
            fields.push((name, entry.name_span, value));
        }
    }
    fields
}

fn field_value(text: &str) -> Result<HeaderValue, crate::value::Fault> {
    grammar::header_value(text)?;
    HeaderValue::from_str(text).map_err(|_| {
        crate::value::Fault::new(
            codes::BAD_HEADER_VALUE,
            "the header value has a control character",
        )
    })
}

fn decode_omit(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Vec<(HeaderName, crate::source::Span)> {
    let mut omit = Vec::new();
    for item in cursor.items(context) {
        if let Some(name) = item.parse(context, grammar::header_name) {
            omit.push((name, item.span()));
        }
    }
    report_twice(context, omit.clone());
    omit
}
