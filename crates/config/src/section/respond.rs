//! `respond` of a route: an answer that is written in the configuration.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::security;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::Respond;
use crate::node::{Node, Value};
use crate::reference::Reference;
use crate::shape::{Record, Shape, Text, field};
use crate::value::http as grammar;
use crate::value::text::FREE;

/// Longest body, as for every file that a configuration refers to.
const LARGEST: usize = 1 << 20;

static BODY_FILE: Text = Text {
    what: "the path of a file",
    pattern: None,
    examples: &["maintenance.html"],
    loose: false,
};

static PLAIN_VALUE: Text = Text {
    what: "a header value",
    pattern: None,
    examples: &["no-store", "60"],
    loose: true,
};

pub(super) static RESPOND: Record = Record {
    name: "respond",
    about: "An answer of the gateway itself, with at most one of `body`, `json` and `file`.",
    fields: &[
        field(
            "status",
            Shape::Integer {
                least: 200,
                most: 599,
            },
            "Status code.",
        )
        .default("200"),
        field(
            "headers",
            Shape::Map {
                names: &grammar::HEADER_NAME,
                values: &Shape::Text(&PLAIN_VALUE),
            },
            "Headers. A `content-type` replaces the one that is guessed.",
        )
        .default("{}"),
        field("body", Shape::Text(&FREE), "Text to send."),
        field("json", Shape::Anything, "Value to send as JSON."),
        field(
            "file",
            Shape::Text(&BODY_FILE),
            "File to send, up to 1 MiB; a relative path starts at the configuration file's directory.",
        ),
        field(
            "etag",
            Shape::Boolean,
            "Whether it has an `ETag` of its content, and answers `If-None-Match`.",
        )
        .default("false"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Respond> {
    let object = Object::open(context, cursor)?;
    let status: u16 = object.get("status")?.number(context);
    let fields = security::decode_fields(context, &object.get("headers")?);
    let source = object.one_of(context, &["body", "json", "file"]);
    let etag = object.get("etag")?.boolean(context);
    let (body, guessed) = match source.and_then(|key| object.written(key)) {
        None => (Bytes::new(), None),
        Some(cursor) => match source {
            Some("body") => {
                let text = cursor.text(context)?;
                (
                    Bytes::copy_from_slice(text.as_bytes()),
                    Some("text/plain; charset=utf-8"),
                )
            }
            Some("json") => (json(context, &cursor)?, Some("application/json")),
            _ => {
                let path = cursor.text(context)?;
                (file(context, &cursor, path)?, Some(type_of(path)))
            }
        },
    };
    let status = StatusCode::from_u16(status).ok()?;
    let has_no_body = matches!(status.as_u16(), 204 | 205 | 304);
    if has_no_body && let Some(source) = source {
        let message = format!("an answer with status {status} has no body");
        let finding = Finding::error(codes::CONFLICT, message)
            .help(format!("remove `{source}`, or choose another status"));
        object.report(context, object.key_span(source), finding);
    }
    let mut fields: Vec<(HeaderName, HeaderValue)> = fields
        .into_iter()
        .map(|(name, _, value)| (name, value))
        .collect();
    if let Some(guessed) = guessed
        && fields.iter().all(|(name, _)| *name != CONTENT_TYPE)
    {
        fields.insert(0, (CONTENT_TYPE, HeaderValue::from_static(guessed)));
    }
    let etag = (etag? && source.is_some())
        .then(|| etag_of(&body))
        .flatten();
    Some(Respond {
        status,
        fields,
        body,
        etag,
    })
}

/// Strong: the same bytes have the same one, whoever serves them.
fn etag_of(body: &[u8]) -> Option<HeaderValue> {
    let digest = Sha256::digest(body);
    let mut text = String::from("\"");
    for byte in &digest[..12] {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('"');
    HeaderValue::from_str(&text).ok()
}

fn file(context: &mut Context<'_>, cursor: &Cursor<'_>, path: &str) -> Option<Bytes> {
    let reference = format!("file:{path}");
    match Reference::parse(&reference)? {
        Ok(reference) => {
            let material = cursor.resolve(context, &reference)?;
            Some(Bytes::copy_from_slice(material.bytes.expose()))
        }
        Err(fault) => {
            cursor.report_fault(context, path, fault);
            None
        }
    }
}

/// By the name's ending.
fn type_of(path: &str) -> &'static str {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn json(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Bytes> {
    let mut text = String::new();
    if write_json(cursor.node, &mut text) {
        return Some(Bytes::from(text));
    }
    let finding = cursor
        .error(codes::TOO_LARGE, "the JSON body is larger than 1 MiB")
        .help("aliases count each time they are used");
    context.report(finding);
    None
}

/// Writes a value as JSON; `false` if it becomes too long, which an alias of aliases can be.
fn write_json(node: &Node, text: &mut String) -> bool {
    if text.len() > LARGEST {
        return false;
    }
    match &node.value {
        _ if node.is_null() => text.push_str("null"),
        Value::Scalar {
            text: scalar,
            plain,
        } => text.push_str(&scalar_json(scalar, *plain)),
        Value::Sequence(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                if !write_json(item, text) {
                    return false;
                }
            }
            text.push(']');
        }
        Value::Mapping(entries) => {
            text.push('{');
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&scalar_json(&entry.key, false));
                text.push(':');
                if !write_json(&entry.value, text) {
                    return false;
                }
            }
            text.push('}');
        }
    }
    true
}

/// Without quotes in the file, `true`, `false` and what JSON takes for a number is that.
fn scalar_json(scalar: &str, plain: bool) -> String {
    let is_bare = plain
        && (matches!(scalar, "true" | "false") || scalar.parse::<serde_json::Number>().is_ok());
    if is_bare {
        scalar.to_owned()
    } else {
        serde_json::Value::from(scalar).to_string()
    }
}
