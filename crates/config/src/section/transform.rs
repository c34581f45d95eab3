//! `transform` of a policy, and the programs of other places.

use std::sync::Arc;

use http::HeaderValue;
use weir_transform::{Escape, Fault, Program};

use super::normalize::{self, NORMALIZE};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Transform, TransformLimits, Transformation};
use crate::reference::Reference;
use crate::shape::{Choice, Record, Shape, Text, choice, field};

pub(super) static JQ: Text = Text {
    what: "a program in jq, or `file:PATH`",
    pattern: None,
    examples: &["{id, name: .full_name}", "file:slim.jq"],
    loose: false,
};

pub(super) static BODY_TEMPLATE: Text = Text {
    what: "a template, or `file:PATH`",
    pattern: None,
    examples: &["{\"greeting\": {{ body.name }}}", "file:page.html"],
    loose: false,
};

pub(super) static CONTENT_TYPE: Text = Text {
    what: "a content type",
    pattern: Some("^[^/]+/[^/]+$"),
    examples: &["application/json", "text/html; charset=utf-8"],
    loose: false,
};

pub(super) static TRANSFORM: Record = Record {
    name: "transform",
    about: "Changes of bodies that are JSON, by programs that are bounded.",
    fields: &[
        field(
            "request",
            Shape::Record(&REQUEST),
            "Changes what is sent to the upstream.",
        ),
        field(
            "response",
            Shape::Record(&RESPONSE),
            "Changes what is sent to the client.",
        ),
        field("limits", Shape::Record(&LIMITS), "What a change may take.").default("{}"),
    ],
};

const JQ_ABOUT: &str = "A program in jq, which makes one value of the body.";
const TEMPLATE_ABOUT: &str = "A template, which makes text of the body.";
const NORMALIZE_ABOUT: &str = "The usual changes, without a program.";
const TYPE_ABOUT: &str =
    "Content type of what is made. Default: `application/json` of a template, else what it was.";
const OTHER_ABOUT: &str = "What happens to bodies whose type is not JSON.";

static REQUEST: Record = Record {
    name: "transform_request",
    about: "A change of request bodies: exactly one of `jq`, `template` and `normalize`.",
    fields: &[
        field("jq", Shape::Text(&JQ), JQ_ABOUT),
        field("template", Shape::Text(&BODY_TEMPLATE), TEMPLATE_ABOUT),
        field("normalize", Shape::Record(&NORMALIZE), NORMALIZE_ABOUT),
        field("type", Shape::Text(&CONTENT_TYPE), TYPE_ABOUT),
        field("other", Shape::Choice(&OTHERS), OTHER_ABOUT).default("pass"),
    ],
};

static RESPONSE: Record = Record {
    name: "transform_response",
    about: "A change of response bodies: exactly one of `jq`, `template` and `normalize`.",
    fields: &[
        field("jq", Shape::Text(&JQ), JQ_ABOUT),
        field("template", Shape::Text(&BODY_TEMPLATE), TEMPLATE_ABOUT),
        field("normalize", Shape::Record(&NORMALIZE), NORMALIZE_ABOUT),
        field("type", Shape::Text(&CONTENT_TYPE), TYPE_ABOUT),
        field("other", Shape::Choice(&OTHERS), OTHER_ABOUT).default("pass"),
        field(
            "statuses",
            Shape::Choice(&STATUSES),
            "Which answers are changed.",
        )
        .default("success"),
    ],
};

static OTHERS: [Choice; 2] = [
    choice("pass", "They pass as they are."),
    choice(
        "reject",
        "They are refused: 415 for a request, 502 for a response.",
    ),
];

static STATUSES: [Choice; 2] = [
    choice("success", "Those with a status of 2xx."),
    choice("all", "Those with an error, too."),
];

pub(super) static LIMITS: Record = Record {
    name: "transform_limits",
    about: "What a change of a body may take. Beyond, requests are answered with 413 or 400, and responses with 502.",
    fields: &[
        field(
            "body",
            Shape::Size {
                least: 1,
                most: 64 << 20,
            },
            "Bytes of a body, as it comes and decompressed.",
        )
        .default("1MiB"),
        field(
            "output",
            Shape::Size {
                least: 1,
                most: 64 << 20,
            },
            "Bytes of what is made of it.",
        )
        .default("4MiB"),
        field(
            "memory",
            Shape::Size {
                least: 64 << 10,
                most: 1 << 30,
            },
            "Bytes of all values that are made on the way, whether they are kept or not.",
        )
        .default("64MiB"),
        field("time", Shape::Duration { zero: false }, "Processor time.").default("100ms"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Transform> {
    let object = Object::open(context, cursor)?;
    if ["request", "response"]
        .iter()
        .all(|key| object.written(key).is_none())
        && !object.has_unknown()
    {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the policy changes nothing")
            .help("write `request` or `response`");
        object.report(context, cursor.span(), finding);
    }
    let request = object
        .written("request")
        .map(|cursor| decode_change(context, &cursor));
    let response = object
        .written("response")
        .map(|cursor| decode_change(context, &cursor));
    let limits = decode_limits(context, &object.get("limits")?);
    Some(Transform {
        request: match request {
            Some(change) => Some(change?),
            None => None,
        },
        response: match response {
            Some(change) => Some(change?),
            None => None,
        },
        limits: limits?,
    })
}

pub(super) fn decode_limits(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<TransformLimits> {
    let object = Object::open(context, cursor)?;
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Some(TransformLimits {
        body: bytes(object.get("body")?.size(context)),
        output: bytes(object.get("output")?.size(context)),
        memory: object.get("memory")?.size(context),
        time: object.get("time")?.duration(context),
    })
}

fn decode_change(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Transformation> {
    let object = Object::open(context, cursor)?;
    let chosen = object.one_of(context, &["jq", "template", "normalize"]);
    if chosen.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "nothing says what the change is")
            .help("write `jq`, `template` or `normalize`");
        object.report(context, cursor.span(), finding);
    }
    let written_type = object
        .written("type")
        .map(|cursor| decode_type(context, &cursor));
    let other = object.get("other")?.choice(context);
    let every_status = match object.record().field("statuses") {
        Some(_) => object.get("statuses")?.choice(context)? == "all",
        None => false,
    };
    let mut content_type = match written_type {
        Some(written) => Some(written?),
        None => None,
    };
    let value = object.written(chosen?)?;
    let program = match chosen? {
        "jq" => decode_jq(context, &value)?,
        "template" => {
            let kind = content_type.get_or_insert(HeaderValue::from_static("application/json"));
            decode_template(context, &value, escape_of(kind))?
        }
        _ => normalize::decode(context, &value)?,
    };
    Some(Transformation {
        program,
        content_type,
        rejects_other: other? == "reject",
        every_status,
    })
}

fn decode_type(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<HeaderValue> {
    let text = cursor.text(context)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_type = crate::value::media::media_range(essence).is_ok() && !essence.contains('*');
    match HeaderValue::from_str(text) {
        Ok(value) if is_type => Some(value),
        _ => {
            let finding = cursor
                .error(codes::BAD_MEDIA_TYPE, "this is not a content type")
                .help("write it as in `application/json` or `text/html; charset=utf-8`");
            context.report(finding);
            None
        }
    }
}

/// What a template of this type does to what it inserts.
fn escape_of(kind: &HeaderValue) -> Escape {
    let text = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/').map_or("", |(_, subtype)| subtype) {
        subtype if subtype == "json" || subtype.ends_with("+json") => Escape::Json,
        subtype if matches!(subtype, "html" | "xml") || subtype.ends_with("+xml") => Escape::Html,
        _ => Escape::None,
    }
}

/// A program in jq.
pub(super) fn decode_jq(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<Program>> {
    let source = source(context, cursor)?;
    match Program::jq(&source) {
        Ok(program) => Some(Arc::new(program)),
        Err(faults) => {
            for fault in faults {
                report(context, cursor, codes::BAD_JQ, &source, &fault);
            }
            None
        }
    }
}

fn decode_template(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    escape: Escape,
) -> Option<Arc<Program>> {
    let source = source(context, cursor)?;
    match Program::template(&source, escape) {
        Ok(program) => Some(Arc::new(program)),
        Err(faults) => {
            for fault in faults {
                report(context, cursor, codes::BAD_BODY_TEMPLATE, &source, &fault);
            }
            None
        }
    }
}

/// A text that stands there, or in the file that is named.
fn source(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        None => Some(text.to_owned()),
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        Some(Ok(reference)) => {
            let material = cursor.resolve(context, &reference)?;
            let text = String::from_utf8(material.bytes.expose().to_vec());
            if text.is_err() {
                let finding = cursor.error(codes::BAD_REFERENCED_VALUE, "the file is not UTF-8");
                context.report(finding);
            }
            text.ok()
        }
    }
}

/// Reports a fault with its place: in the configuration if that is known, else in the program.
fn report(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    code: &'static str,
    source: &str,
    fault: &Fault,
) {
    let place = fault.at.and_then(|at| source.get(..at)).map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (line, column)
    });
    let message = match place {
        Some((line, column)) => format!("line {line}, column {column}: {}", fault.message),
        None => fault.message.clone(),
    };
    let mut fault_here = crate::value::Fault::new(code, message);
    fault_here.at = fault.at;
    let text = cursor.text(context).unwrap_or_default();
    if text == source {
        cursor.report_fault(context, text, fault_here);
    } else {
        fault_here.at = None;
        cursor.report_fault(context, text, fault_here);
    }
}
