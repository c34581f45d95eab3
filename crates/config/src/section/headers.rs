//! Header rules: of `headers` policies and of routes.

use http::HeaderName;
use weir_core::Secret;

use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{HeaderPolicy, HeaderRules};
use crate::reference::Reference;
use crate::reserved;
use crate::shape::{Record, Shape, field};
use crate::source::Span;
use crate::template::{Part, Template, Variable};
use crate::value::Fault;
use crate::value::http as grammar;
use crate::value::http::{HEADER_NAME, HEADER_VALUE};

pub(super) static HEADERS: Record = Record {
    name: "headers",
    about: "Header changes on the way in and on the way out.",
    fields: &[
        field(
            "request",
            Shape::Record(&RULES),
            "Changes to what is sent to the upstream.",
        )
        .default("{}"),
        field(
            "response",
            Shape::Record(&RULES),
            "Changes to what is sent to the client.",
        )
        .default("{}"),
    ],
};

static RULES: Record = Record {
    name: "header_rules",
    about: "Changes to one set of headers: `remove` acts first, then `set`, then `add`.",
    fields: &[
        field(
            "remove",
            Shape::OneOrMany(&Shape::Text(&HEADER_NAME)),
            "Headers to remove.",
        ),
        field(
            "set",
            Shape::Map { names: &HEADER_NAME, values: &Shape::Text(&HEADER_VALUE) },
            "Headers to replace whatever was there. Values are templates, or references for secrets.",
        )
        .default("{}"),
        field(
            "add",
            Shape::Map {
                names: &HEADER_NAME,
                values: &Shape::OneOrMany(&Shape::Text(&HEADER_VALUE)),
            },
            "Headers to append. Values are templates, or references for secrets.",
        )
        .default("{}"),
    ],
};

/// A variable that not every route has.
#[derive(Debug)]
pub(super) struct VariableUse {
    variable: Variable,
    pub(super) span: Span,
    pub(super) path: String,
}

impl VariableUse {
    /// As it is written in the template.
    pub(super) fn variable(&self) -> String {
        format!("{{{}}}", self.variable)
    }

    /// The capture of the path that it is, if it is one; `Some(None)`: the trailing `*`.
    #[expect(
        clippy::option_option,
        reason = "no capture and the one without a name are different"
    )]
    pub(super) fn capture(&self) -> Option<Option<&str>> {
        match &self.variable {
            Variable::PathCapture(name) => Some(Some(name)),
            Variable::PathTail => Some(None),
            _ => None,
        }
    }

    /// Whether it is about who calls.
    pub(super) const fn is_about_caller(&self) -> bool {
        matches!(self.variable, Variable::Principal(_))
    }
}

/// Remembers what a template asks of the path and of who calls.
pub(super) fn note_variables(
    cursor: &Cursor<'_>,
    template: &Template,
    uses: &mut Vec<VariableUse>,
) {
    let asked = template.variables().filter(|variable| {
        matches!(
            variable,
            Variable::PathCapture(_) | Variable::PathTail | Variable::Principal(_)
        )
    });
    uses.extend(asked.map(|variable| VariableUse {
        variable: variable.clone(),
        span: cursor.span(),
        path: cursor.path.to_string(),
    }));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

impl Direction {
    /// A header name that rules of this direction may change.
    fn changeable(self, text: &str) -> Result<HeaderName, Fault> {
        let reserved = match self {
            Self::Request => reserved::forbidden_in_request,
            Self::Response => reserved::forbidden,
        };
        grammar::changeable_header(text, reserved)
    }
}

pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    uses: &mut Vec<VariableUse>,
) -> Option<HeaderPolicy> {
    let object = Object::open(context, cursor)?;
    let request = decode_rules(context, &object.get("request")?, Direction::Request, uses);
    let response = decode_rules(context, &object.get("response")?, Direction::Response, uses);
    Some(HeaderPolicy {
        request: request?,
        response: response?,
    })
}

fn decode_rules(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    direction: Direction,
    uses: &mut Vec<VariableUse>,
) -> Option<HeaderRules> {
    let object = Object::open(context, cursor)?;
    let mut rules = HeaderRules::default();

    if let Some(cursor) = object.written("remove") {
        let mut places = Vec::new();
        for item in cursor.items(context) {
            let Some(name) = item.parse(context, |text| direction.changeable(text)) else {
                continue;
            };
            places.push((name.clone(), item.span()));
            rules.remove.push(name);
        }
        report_twice(context, places);
    }

    let mut places = Vec::new();
    for entry in object.get("set")?.entries(context) {
        let name = check_name(context, &entry, direction);
        let value = decode_value(context, &entry.value, entry.name, direction, uses);
        if let (Some(name), Some(value)) = (name, value) {
            places.push((name.clone(), entry.name_span));
            rules.set.push((name, value));
        }
    }
    report_twice(context, places);

    for entry in object.get("add")?.entries(context) {
        let name = check_name(context, &entry, direction);
        for item in entry.value.items(context) {
            let value = decode_value(context, &item, entry.name, direction, uses);
            if let (Some(name), Some(value)) = (&name, value) {
                rules.add.push((name.clone(), value));
            }
        }
    }
    Some(rules)
}

fn check_name(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    direction: Direction,
) -> Option<HeaderName> {
    match direction.changeable(entry.name) {
        Ok(name) => Some(name),
        Err(_) if entry.name.is_empty() => None, // reported where the key was read
        Err(mut fault) => {
            fault.at = None;
            context.report(entry.fault(fault));
            None
        }
    }
}

fn decode_value(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    name: &str,
    direction: Direction,
    uses: &mut Vec<VariableUse>,
) -> Option<Template> {
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        // A referenced value is taken as it is: braces of a secret are no variables.
        Some(Ok(reference)) => {
            cursor.referenced_text(context, &reference, "a header value", |text| {
                grammar::header_value(text).ok()?;
                Some(Template {
                    parts: vec![Part::Secret(Secret::new(text.to_owned()))],
                })
            })
        }
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        None => {
            let template = grammar::header_template(text);
            let is_literal = template
                .as_ref()
                .map_or(true, |template| template.variables().next().is_none());
            if is_literal && is_secret_name(name) {
                context.hidden.push(cursor.node.span);
                // Secrets of resources are sealed where they are kept, and references are not for them.
                let is_in_file = !cursor.node.span.is_beside();
                if direction == Direction::Request && !text.is_empty() && is_in_file {
                    report_literal_secret(context, cursor, name);
                }
            }
            match template {
                Ok(template) => {
                    note_variables(cursor, &template, uses);
                    Some(template)
                }
                Err(mut fault) => {
                    if is_secret_name(name) {
                        fault.message = "the header value is no template".into();
                    }
                    cursor.report_fault(context, text, fault);
                    None
                }
            }
        }
    }
}

fn report_literal_secret(context: &mut Context<'_>, cursor: &Cursor<'_>, name: &str) {
    let name = name.to_lowercase();
    let message = format!("the value of `{name}` looks like a secret and is written into the file");
    let finding = cursor
        .warning(codes::LITERAL_SECRET, message)
        .help("refer to it: `env:NAME` or `file:PATH`");
    context.report(finding);
}

/// Whether a header of this name usually carries a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = [
        "authorization",
        "api-key",
        "apikey",
        "auth-token",
        "access-token",
        "secret",
        "password",
    ];
    name == "cookie" || name.ends_with("-token") || parts.iter().any(|part| name.contains(part))
}

pub(super) fn report_twice(context: &mut Context<'_>, places: Vec<(HeaderName, Span)>) {
    context.report_repeated(places, |name, first| {
        Finding::error(
            codes::LISTED_TWICE,
            format!("the header `{name}` is listed twice"),
        )
        .help(format!(
            "the first is at {first}; case does not matter in header names"
        ))
    });
}
