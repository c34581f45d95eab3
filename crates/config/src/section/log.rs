//! `log`: where lines go, which are written, and what stands in them.

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Log, LogFormat, LogLevel, LogOutput, LogRotation, Redaction, Share};
use crate::reference::Reference;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::http::{self, HEADER_NAME, PATH_PATTERN};
use crate::value::quantity::{self, SHARE};
use crate::value::text::{self, FREE, LOG_OUTPUT};

pub(super) static LOG: Record = Record {
    name: "log",
    about: "Logs.",
    fields: &[
        field("format", Shape::Choice(&FORMATS), "Form of each line.").default("json"),
        field("level", Shape::Choice(&LEVELS), "Least severe application message that is written.")
            .default("info"),
        field(
            "output",
            Shape::Text(&LOG_OUTPUT),
            "Where lines go: `stdout`, `stderr`, `file:PATH`, or `otlp` for the receiver under `otlp`. The file is opened anew on SIGUSR1; a relative path starts at the configuration file's directory.",
        )
        .default("stdout"),
        field("access", Shape::Boolean, "Whether each request is logged.").default("true"),
        field(
            "sample",
            Shape::Text(&SHARE),
            "Share of the requests that are logged. Those that end in an error always are.",
        )
        .default("100%"),
        field(
            "rotate",
            Shape::Record(&ROTATE),
            "When a log file is moved aside. Default: when something else moves it and sends SIGUSR1.",
        ),
        field(
            "query",
            Shape::Boolean,
            "Whether queries are logged and traced. Values of parameters that carry secrets are not.",
        )
        .default("false"),
        field(
            "headers",
            Shape::List { items: &Shape::Text(&HEADER_NAME), least: 0 },
            "Request headers that are logged and traced. Values of those that carry secrets are not.",
        )
        .default("[]"),
        field(
            "redact",
            Shape::Record(&REDACT),
            "What is hidden in logs and traces, beside what carries secrets by its name.",
        )
        .default("{}"),
    ],
};

static ROTATE: Record = Record {
    name: "log_rotation",
    about: "When a log file is moved aside, and how many are kept. At least one of `size` and `every`.",
    fields: &[
        field(
            "size",
            Shape::Size {
                least: 4096,
                most: 1 << 40,
            },
            "Bytes that a file may have.",
        ),
        field(
            "every",
            Shape::Duration { zero: false },
            "Time that a file may cover.",
        ),
        field(
            "keep",
            Shape::Integer {
                least: 1,
                most: 1000,
            },
            "Former files that are kept: `PATH.1` is the newest.",
        )
        .default("7"),
    ],
};

static REDACT: Record = Record {
    name: "redact",
    about: "What is hidden in logs and traces.",
    fields: &[
        field(
            "query",
            Shape::List {
                items: &Shape::Text(&FREE),
                least: 0,
            },
            "Names of query parameters.",
        )
        .default("[]"),
        field(
            "headers",
            Shape::List {
                items: &Shape::Text(&HEADER_NAME),
                least: 0,
            },
            "Names of headers; `user-agent` is one, too.",
        )
        .default("[]"),
        field(
            "paths",
            Shape::List {
                items: &Shape::Text(&PATH_PATTERN),
                least: 0,
            },
            "Patterns of paths: what a `{name}` or a trailing `*` takes is hidden.",
        )
        .default("[]"),
    ],
};

pub(super) static ROUTE_LOG: Record = Record {
    name: "route_log",
    about: "What of a route's requests is logged.",
    fields: &[field(
        "sample",
        Shape::Text(&SHARE),
        "Share of the requests that are logged. Those that end in an error always are. Default: as for all.",
    )],
};

static FORMATS: [Choice; 2] = [
    choice(
        "json",
        "One JSON object a line, fields by OpenTelemetry names.",
    ),
    choice("text", "For a person at a terminal."),
];

static LEVELS: [Choice; 5] = [
    choice("error", "Something failed."),
    choice("warn", "Something needs attention."),
    choice("info", "What happens."),
    choice("debug", "For finding a fault."),
    choice("trace", "Everything."),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Log> {
    let object = Object::open(context, cursor)?;
    let format_cursor = object.get("format")?;
    let format = match format_cursor.choice(context) {
        Some("text") => LogFormat::Text,
        _ => LogFormat::Json,
    };
    if format == LogFormat::Text {
        let finding = format_cursor
            .warning(
                codes::TEXT_LOG,
                "text logs are for people, not for machines",
            )
            .help("write `format: json` where logs are collected");
        context.report(finding);
    }
    let level = match object.get("level")?.choice(context) {
        Some("error") => LogLevel::Error,
        Some("warn") => LogLevel::Warn,
        Some("debug") => LogLevel::Debug,
        Some("trace") => LogLevel::Trace,
        _ => LogLevel::Info,
    };
    let output = decode_output(context, &object.get("output")?);
    let access = object.get("access")?.boolean(context).unwrap_or(true);
    let sample = object.get("sample")?.parse(context, quantity::share);
    let rotate = object
        .written("rotate")
        .and_then(|cursor| decode_rotation(context, &cursor, &output));
    let query = object.get("query")?.boolean(context).unwrap_or(false);
    let headers = header_names(context, &object.get("headers")?);
    let redact = decode_redaction(context, &object.get("redact")?)?;
    Some(Log {
        format,
        level,
        output,
        access,
        sample: sample.unwrap_or(Share::ALL),
        rotate,
        query,
        headers,
        redact,
    })
}

fn decode_rotation(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    output: &LogOutput,
) -> Option<LogRotation> {
    let object = Object::open(context, cursor)?;
    let rotation = LogRotation {
        size: object.written("size").map(|cursor| cursor.size(context)),
        every: object
            .written("every")
            .map(|cursor| cursor.duration(context)),
        keep: object.get("keep")?.number(context),
    };
    if rotation.size.is_none() && rotation.every.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the rotation has no occasion")
            .help("write `size`, `every` or both");
        object.report(context, cursor.span(), finding);
        return None;
    }
    if !matches!(output, LogOutput::File(_)) {
        let finding = cursor
            .warning(codes::WITHOUT_EFFECT, "only files are rotated")
            .help("write `output: file:PATH`, or remove `rotate`");
        context.report(finding);
    }
    Some(rotation)
}

fn decode_redaction(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Redaction> {
    let object = Object::open(context, cursor)?;
    let mut redaction = Redaction::default();
    for item in object.get("query")?.items(context) {
        redaction.query.extend(item.parse(context, text::free));
    }
    redaction.headers = header_names(context, &object.get("headers")?);
    for item in object.get("paths")?.items(context) {
        let Some(pattern) = item.parse(context, http::path_pattern) else {
            continue;
        };
        if pattern.captures().next().is_none() && pattern.tail.is_none() {
            let finding = item
                .error(codes::BAD_PATH, "the pattern hides nothing")
                .help("write `{name}` for a segment to hide, or end it in `*`");
            context.report(finding);
        }
        redaction.paths.push(pattern);
    }
    Some(redaction)
}

fn header_names(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<::http::HeaderName> {
    let mut names = Vec::new();
    for item in cursor.items(context) {
        names.extend(item.parse(context, http::header_name));
    }
    names
}

/// The share under `log.sample` or `tracing.sample` of a route, if it states one of its own.
pub(super) fn decode_route_sample(
    context: &mut Context<'_>,
    route: &Object<'_>,
    key: &'static str,
) -> Option<Share> {
    let cursor = route.written(key)?;
    let object = Object::open(context, &cursor)?;
    object.written("sample")?.parse(context, quantity::share)
}

fn decode_output(context: &mut Context<'_>, cursor: &Cursor<'_>) -> LogOutput {
    let base = context.materials.base;
    let output = cursor.parse(context, |text| match text {
        "stdout" => Ok(LogOutput::Stdout),
        "stderr" => Ok(LogOutput::Stderr),
        "otlp" => Ok(LogOutput::Otlp),
        _ => match Reference::parse(text) {
            Some(Ok(Reference::File(path))) => Ok(LogOutput::File(base.join(path))),
            Some(Err(fault)) => Err(fault),
            Some(Ok(Reference::Environment(_))) | None => {
                let message = format!("{} is not a place for logs", quote(text));
                Err(Fault::new(codes::BAD_CHOICE, message)
                    .help("write `stdout`, `stderr`, `file:PATH` or `otlp`"))
            }
        },
    });
    output.unwrap_or(LogOutput::Stdout)
}
