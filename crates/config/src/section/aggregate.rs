//! `aggregate` of a route: an answer that is made of several upstreams'.

use super::action::decode_host;
use super::check::{self, Declared};
use super::headers::{VariableUse, note_variables, report_twice};
use super::respond;
use super::transform::{self, JQ, LIMITS};
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{Aggregate, Part, Rewrite};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::http::{self as grammar, HEADER_NAME, HOST_HEADER, TEMPLATE};
use crate::value::text::NAME;

/// More would be a burst, not an answer.
const MOST_PARTS: usize = 32;
/// Where the answer tells what failed.
const ERRORS: &str = "errors";

pub(super) static AGGREGATE: Record = Record {
    name: "aggregate",
    about: "An answer that is made of several upstreams', asked side by side; for GET and HEAD.",
    fields: &[
        field(
            "parts",
            Shape::Map {
                names: &NAME,
                values: &Shape::Record(&PART),
            },
            "What is asked for, up to 32 parts. Their names are the keys of the answer.",
        )
        .required(),
        field(
            "concurrency",
            Shape::Integer { least: 1, most: 32 },
            "How many parts are asked for at a time.",
        )
        .default("8"),
        field(
            "errors",
            Shape::Choice(&SHOWN),
            "Whether an answer with parts that failed says so.",
        )
        .default("show"),
        field(
            "jq",
            Shape::Text(&JQ),
            "Makes the answer of the object of parts. Default: it is that object.",
        ),
        field(
            "limits",
            Shape::Record(&LIMITS),
            "What an answer may take; `body` is for each part.",
        )
        .default("{}"),
    ],
};

static SHOWN: [Choice; 2] = [
    choice("show", "Under `errors`, by their names."),
    choice("hide", "They are left at their fallbacks."),
];

static PART: Record = Record {
    name: "aggregate_part",
    about: "One request to an upstream, whose answer is JSON.",
    fields: &[
        field("upstream", Shape::Text(&NAME), "Who is asked.").required(),
        field(
            "path",
            Shape::Text(&TEMPLATE),
            "Path and query to ask for: a template.",
        )
        .required(),
        field(
            "headers",
            Shape::OneOrMany(&Shape::Text(&HEADER_NAME)),
            "Headers of the request that are passed on. Default: none.",
        ),
        field(
            "host",
            Shape::Text(&HOST_HEADER),
            "What to send as Host: `preserve` what the client sent, the `target`'s own, or this text.",
        )
        .default("preserve"),
        field(
            "timeout",
            Shape::Duration { zero: false },
            "Time for the whole part.",
        )
        .default("5s"),
        field(
            "required",
            Shape::Boolean,
            "Whether there is no answer without it.",
        )
        .default("false"),
        field(
            "fallback",
            Shape::Anything,
            "What stands in its place if it fails. Default: null.",
        ),
    ],
};

pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
    uses: &mut Vec<VariableUse>,
) -> Option<Aggregate> {
    let object = Object::open(context, cursor)?;
    let mut parts = Vec::new();
    let mut is_whole = true;
    if let Some(cursor) = object.written("parts") {
        let entries = cursor.entries(context);
        if entries.is_empty() && cursor.node.entries().is_empty() {
            let finding = cursor.error(codes::EMPTY_LIST, "an aggregate needs a part");
            context.report(finding.help("write what is asked for, by names of your choice"));
            is_whole = false;
        }
        if let Some(surplus) = entries.get(MOST_PARTS) {
            let message = format!("an aggregate has at most {MOST_PARTS} parts");
            let finding = Finding::error(codes::BAD_NUMBER, message).at(surplus.name_span);
            context.report(finding.path(surplus.value.path.to_string()));
            is_whole = false;
        }
        for entry in &entries {
            entry.check_name(context);
            let part = decode_part(context, entry, declared, uses);
            is_whole &= part.is_some();
            parts.extend(part);
        }
    }
    let concurrency = object.get("concurrency")?.number(context);
    let errors = object.get("errors")?.choice(context);
    let program = object
        .written("jq")
        .map(|cursor| transform::decode_jq(context, &cursor));
    let limits = transform::decode_limits(context, &object.get("limits")?);
    if !is_whole || parts.is_empty() {
        return None;
    }
    Some(Aggregate {
        parts,
        concurrency,
        shows_errors: errors? == "show",
        program: match program {
            Some(program) => Some(program?),
            None => None,
        },
        limits: limits?,
    })
}

fn decode_part(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    declared: &mut Declared,
    uses: &mut Vec<VariableUse>,
) -> Option<Part> {
    let object = Object::open(context, &entry.value)?;
    if entry.name == ERRORS {
        let message = format!("a part cannot be called {}", quote(ERRORS));
        let finding = Finding::error(codes::BAD_NAME, message).at(entry.name_span);
        let finding = finding.path(entry.value.path.to_string());
        context
            .report(finding.help("the answer tells there which parts failed: choose another name"));
    }
    let upstream = object
        .written("upstream")
        .and_then(|cursor| check::decode_upstream(context, &cursor, declared));
    let path = object.written("path").and_then(|cursor| {
        let template = cursor.parse(context, grammar::path_template)?;
        note_variables(&cursor, &template, uses);
        Some(Rewrite::Path(template))
    });
    let mut headers = Vec::new();
    if let Some(cursor) = object.written("headers") {
        let mut places = Vec::new();
        for item in cursor.items(context) {
            if let Some(name) = item.parse(context, grammar::header_name) {
                places.push((name.clone(), item.span()));
                headers.push(name);
            }
        }
        report_twice(context, places);
    }
    let host = object
        .get("host")
        .and_then(|cursor| decode_host(context, &cursor));
    let timeout = object.get("timeout")?.duration(context);
    let is_required = object.get("required")?.boolean(context);
    let fallback = object
        .written("fallback")
        .map(|cursor| respond::json(context, &cursor));
    if is_required == Some(true) && fallback.is_some() {
        object.report_conflict(context, "required", "fallback");
    }
    Some(Part {
        name: entry.name.to_owned(),
        upstream: upstream?,
        path: path?,
        host: host?,
        headers,
        timeout,
        is_required: is_required?,
        fallback: match fallback {
            Some(json) => Some(json?),
            None => None,
        },
    })
}
