//! A route's `match`: which requests it takes.

use http::Method;

use super::access::{self, CLAIMS};
use super::headers::is_secret_name;
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{ClaimRule, Match, ValueMatch};
use crate::pattern::{HostPattern, PathPattern, Segment};
use crate::shape::{Record, Shape, field};
use crate::source::Span;
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::http::{self as grammar, HEADER_NAME, HOST_PATTERN, METHOD, PATH_PATTERN};
use crate::value::text::FREE;

pub(super) static MATCH: Record = Record {
    name: "match",
    about: "Which requests a route takes. Everything stated must hold; what is not stated does not matter.",
    fields: &[
        field(
            "host",
            Shape::OneOrMany(&Shape::Text(&HOST_PATTERN)),
            "Any of these hosts: exact, or `*.example.com` for everything below it.",
        ),
        field(
            "path",
            Shape::OneOrMany(&Shape::Text(&PATH_PATTERN)),
            "Any of these paths: exact, with `{name}` for one segment, with a trailing `*` for whatever follows.",
        ),
        field(
            "methods",
            Shape::OneOrMany(&Shape::Text(&METHOD)),
            "Any of these methods.",
        ),
        field(
            "headers",
            Shape::Map {
                names: &HEADER_NAME,
                values: &VALUE,
            },
            "All of these headers, each with an exact value or a condition.",
        )
        .default("{}"),
        field(
            "query",
            Shape::Map {
                names: &FREE,
                values: &VALUE,
            },
            "All of these query parameters, each with an exact value or a condition.",
        )
        .default("{}"),
        field(
            "claims",
            CLAIMS,
            "All of these claims of a credential that a policy of the route found to be good, each with one of these values; of a claim that is a list one member is enough. `*`: any value.",
        ),
    ],
};

static VALUE: Shape = Shape::Either(&[Shape::Text(&FREE), Shape::Record(&VALUE_MATCH)]);

static VALUE_MATCH: Record = Record {
    name: "value_match",
    about: "A condition on a value: exactly one of these.",
    fields: &[
        field("exact", Shape::Text(&FREE), "Exactly this, case-sensitive."),
        field(
            "prefix",
            Shape::Text(&FREE),
            "Begins with this, case-sensitive.",
        ),
        field(
            "present",
            Shape::Boolean,
            "`true`: there, with any value. `false`: not there.",
        ),
    ],
};

/// The conditions, and a text that is equal for routes which match the same requests.
pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<(Match, String)> {
    let object = Object::open(context, cursor)?;
    let mut matcher = Match::default();
    if let Some(cursor) = object.written("host") {
        matcher.hosts = decode_list(context, &cursor, grammar::host_pattern);
    }
    if let Some(cursor) = object.written("path") {
        matcher.paths = decode_list(context, &cursor, grammar::path_pattern);
    }
    if let Some(cursor) = object.written("methods") {
        matcher.methods = decode_list(context, &cursor, grammar::method);
    }
    for entry in object.get("headers")?.entries(context) {
        if is_secret_name(entry.name) {
            context.hidden.push(entry.value.node.span);
        }
        let name = match grammar::header_name(entry.name) {
            Ok(name) => Some(name),
            Err(mut fault) => {
                fault.at = None;
                context.report(entry.fault(fault));
                None
            }
        };
        let value = decode_value(context, &entry);
        matcher.headers.extend(name.zip(value));
    }
    for entry in object.get("query")?.entries(context) {
        let value = decode_value(context, &entry);
        matcher
            .query
            .extend(value.map(|value| (entry.name.to_owned(), value)));
    }
    if let Some(cursor) = object.written("claims") {
        matcher.claims = access::decode_claims(context, &cursor);
    }
    let identity = identity(&matcher);
    Some((matcher, identity))
}

fn decode_list<T: std::hash::Hash + Eq + Clone + std::fmt::Debug>(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Vec<T> {
    let mut values = Vec::new();
    let mut places: Vec<(T, Span)> = Vec::new();
    for item in cursor.items(context) {
        let Some(value) = item.parse(context, &parse) else {
            continue;
        };
        places.push((value.clone(), item.span()));
        values.push(value);
    }
    let path = cursor.path.to_string();
    context.report_repeated(places, |_, first| {
        Finding::error(codes::LISTED_TWICE, "this item is listed twice")
            .help(format!("the first is at {first}"))
            .path(path.clone())
    });
    values
}

fn decode_value(context: &mut Context<'_>, entry: &Named<'_>) -> Option<ValueMatch> {
    let cursor = entry.value.alternative(context)?;
    if matches!(cursor.shape, Shape::Text(_)) {
        return cursor.parse(context, value_text).map(ValueMatch::Exact);
    }
    let object = Object::open(context, &cursor)?;
    let Some(kind) = object.one_of(context, &["exact", "prefix", "present"]) else {
        if object.node.entries().is_empty() {
            let message = format!("the condition on {} says nothing", quote(entry.name));
            let finding = Finding::error(codes::NOTHING_CHOSEN, message)
                .help("write one of `exact`, `prefix` and `present`");
            object.report(context, entry.name_span, finding);
        }
        return None;
    };
    let cursor = object.written(kind)?;
    match kind {
        "exact" => cursor.parse(context, value_text).map(ValueMatch::Exact),
        "prefix" => cursor
            .parse(context, crate::value::text::free)
            .map(ValueMatch::Prefix),
        _ => cursor.boolean(context).map(|present| {
            if present {
                ValueMatch::Present
            } else {
                ValueMatch::Absent
            }
        }),
    }
}

/// A value may be empty.
fn value_text(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        Ok(String::new())
    } else {
        crate::value::text::free(text)
    }
}

/// Names of captures do not decide what a path matches, and neither does the order of lists.
fn identity(matcher: &Match) -> String {
    let hosts = sorted(matcher.hosts.iter().map(HostPattern::to_string));
    let mut paths = sorted(matcher.paths.iter().map(shape_of));
    if paths.is_empty() {
        paths.push("/*".into());
    }
    let methods = sorted(matcher.methods.iter().map(Method::to_string));
    let headers = sorted(matcher.headers.iter().map(|header| format!("{header:?}")));
    let query = sorted(
        matcher
            .query
            .iter()
            .map(|parameter| format!("{parameter:?}")),
    );
    let claims = sorted(matcher.claims.iter().map(claim_text));
    format!("{hosts:?} {paths:?} {methods:?} {headers:?} {query:?} {claims:?}")
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts.dedup();
    texts
}

fn claim_text(rule: &ClaimRule) -> String {
    let values = sorted(rule.values.iter().cloned());
    format!("{:?} {values:?}", rule.claim.steps)
}

/// `/items/{id}` as `/items/{}`, literal text normalised.
pub(super) fn shape_of(path: &PathPattern) -> String {
    let mut text = String::new();
    for segment in &path.segments {
        text.push('/');
        text.push_str(match segment {
            Segment::Literal(literal) => literal,
            Segment::Capture(_) => "{}",
        });
    }
    if let Some(front) = &path.tail {
        text.push('/');
        text.push_str(front);
        text.push('*');
    }
    text
}
