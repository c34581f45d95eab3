//! `tracing` and `otlp`: which requests are traced, and who is told.

use http::{HeaderName, HeaderValue};

use super::headers::is_secret_name;
use super::listener::{decode_authorities, decode_certificate};
use crate::codes;
use crate::decode::{Context, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{Log, LogOutput, Otlp, OtlpProtocol, Share, Tracing, TrustedParent};
use crate::reference::Reference;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::address::{self, ORIGIN};
use crate::value::http::{self as grammar, HEADER_NAME, HEADER_VALUE};
use crate::value::quantity::{self, SHARE};
use crate::value::text::{self, FREE, MATERIAL};

const DEADLINE: Shape = Shape::Duration { zero: false };

pub(super) static TRACING: Record = Record {
    name: "tracing",
    about: "Distributed tracing with W3C trace context.",
    fields: &[
        field(
            "sample",
            Shape::Text(&SHARE),
            "Share of the requests that are traced, where whoever sent the request has not decided.",
        )
        .default("1%"),
        field(
            "parent",
            Shape::Choice(&PARENTS),
            "Whose trace context is continued, and whose decision holds. For all others a new trace begins.",
        )
        .default("trusted"),
        field(
            "errors",
            Shape::Boolean,
            "Whether requests that end in an error are traced whatever the share.",
        )
        .default("true"),
        field(
            "slow",
            Shape::Either(&[Shape::Boolean, DEADLINE]),
            "Requests whose answer begins later than this are traced whatever the share. `false` turns it off.",
        )
        .default("1s"),
    ],
};

static PARENTS: [Choice; 3] = [
    choice("trusted", "That of `trusted_proxies`."),
    choice("all", "Everybody's: for networks without strangers."),
    choice("none", "Nobody's."),
];

pub(super) static ROUTE_TRACING: Record = Record {
    name: "route_tracing",
    about: "Which of a route's requests are traced.",
    fields: &[field(
        "sample",
        Shape::Text(&SHARE),
        "Share of the requests that are traced, where whoever sent the request has not decided. Default: as for all.",
    )],
};

pub(super) static OTLP: Record = Record {
    name: "otlp",
    about: "A receiver of traces and logs by the OpenTelemetry protocol.",
    fields: &[
        field("endpoint", Shape::Text(&ORIGIN), "Where it listens.").required(),
        field("protocol", Shape::Choice(&PROTOCOLS), "How it is spoken to.").default("grpc"),
        field(
            "headers",
            Shape::Map {
                names: &HEADER_NAME,
                values: &Shape::Text(&HEADER_VALUE),
            },
            "Headers of each export: text or a reference.",
        )
        .default("{}"),
        field("compression", Shape::Choice(&COMPRESSIONS), "How exports are compressed.")
            .default("gzip"),
        field("timeout", DEADLINE, "How long an export may take.").default("10s"),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of authorities to trust, for `https://`. Default: the system's.",
        ),
        field(
            "certificate",
            Shape::Text(&MATERIAL),
            "PEM chain of a client certificate to present.",
        ),
        field("key", Shape::Text(&MATERIAL), "PEM private key of that certificate."),
        field(
            "resource",
            Shape::Map {
                names: &FREE,
                values: &Shape::Text(&FREE),
            },
            "Attributes that say where the telemetry comes from. `service.name` is `weir` unless stated.",
        )
        .default("{}"),
    ],
};

static PROTOCOLS: [Choice; 2] = [
    choice("grpc", "gRPC, most often on port 4317."),
    choice("http", "Protobuf over HTTP, most often on port 4318."),
];

static COMPRESSIONS: [Choice; 2] = [choice("gzip", "With gzip."), choice("none", "Not at all.")];

pub(super) fn decode_tracing(context: &mut Context<'_>, root: &Object<'_>) -> Option<Tracing> {
    let cursor = root.written("tracing")?;
    cursor.switched(context, |context, object| {
        let sample = object.get("sample")?.parse(context, quantity::share);
        let parent = match object.get("parent")?.choice(context) {
            Some("all") => TrustedParent::All,
            Some("none") => TrustedParent::Nobody,
            _ => TrustedParent::Proxies,
        };
        Some(Tracing {
            sample: sample.unwrap_or(Share::ALL),
            parent,
            errors: object.get("errors")?.boolean(context).unwrap_or(true),
            slow: object.get("slow")?.duration_or_off(context),
        })
    })
}

pub(super) fn decode_otlp(context: &mut Context<'_>, root: &Object<'_>) -> Option<Otlp> {
    let object = Object::open(context, &root.written("otlp")?)?;
    let endpoint_cursor = object.written("endpoint");
    let endpoint = endpoint_cursor.and_then(|cursor| {
        // A password in front of the host.
        if cursor.text(context)?.contains('@') {
            context.hidden.push(cursor.node.span);
        }
        cursor.parse(context, address::origin)
    });
    let protocol = match object.get("protocol")?.choice(context) {
        Some("http") => OtlpProtocol::Http,
        _ => OtlpProtocol::Grpc,
    };
    let mut headers = Vec::new();
    for entry in object.get("headers")?.entries(context) {
        headers.extend(decode_header(context, &entry));
    }
    let compression = object.get("compression")?.choice(context) != Some("none");
    let timeout = object.get("timeout")?.duration(context);
    let authorities = object
        .written("authorities")
        .and_then(|cursor| decode_authorities(context, &cursor));
    let presents = object.written("certificate").is_some() || object.written("key").is_some();
    let certificate = if presents {
        decode_certificate(context, &object)
    } else {
        None
    };
    report_unused_tls(context, &object, endpoint.as_deref());
    let mut resource = Vec::new();
    for entry in object.get("resource")?.entries(context) {
        let key = text::free(entry.name).map_err(|fault| context.report(entry.fault(fault)));
        let value = entry.value.parse(context, text::free);
        resource.extend(key.ok().zip(value));
    }
    if resource.iter().all(|(key, _)| key != "service.name") {
        resource.push(("service.name".into(), "weir".into()));
    }
    Some(Otlp {
        endpoint: endpoint?,
        protocol,
        headers,
        compression,
        timeout,
        authorities,
        certificate,
        resource,
    })
}

fn decode_header(
    context: &mut Context<'_>,
    entry: &Named<'_>,
) -> Option<(HeaderName, HeaderValue)> {
    let name = match grammar::changeable_header(entry.name, crate::reserved::forbidden_in_request) {
        Ok(name) => Some(name),
        Err(_) if entry.name.is_empty() => None, // reported where the key was read
        Err(mut fault) => {
            fault.at = None;
            context.report(entry.fault(fault));
            None
        }
    };
    let cursor = &entry.value;
    let written = cursor.text(context)?;
    let value = |text: &str| {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    let value = match Reference::parse(written) {
        Some(Ok(reference)) => cursor.referenced_text(context, &reference, "a header value", value),
        Some(Err(fault)) => {
            cursor.report_fault(context, written, fault);
            None
        }
        None => {
            if is_secret_name(entry.name) {
                context.hidden.push(cursor.node.span);
                let name = entry.name.to_lowercase();
                let message = format!(
                    "the value of `{name}` looks like a secret and is written into the file"
                );
                let finding = cursor
                    .warning(codes::LITERAL_SECRET, message)
                    .help("refer to it: `env:NAME` or `file:PATH`");
                context.report(finding);
            }
            if let Err(fault) = grammar::header_value(written) {
                cursor.report_fault(context, written, fault);
            }
            value(written)
        }
    };
    name.zip(value)
}

fn report_unused_tls(context: &mut Context<'_>, object: &Object<'_>, endpoint: Option<&str>) {
    if !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return;
    }
    for key in ["authorities", "certificate", "key"] {
        if let Some(cursor) = object.written(key) {
            let message = format!("over `http://` {} means nothing", quote(key));
            let finding = cursor
                .warning(codes::WITHOUT_EFFECT, message)
                .help("write `https://` in the endpoint, or remove it");
            context.report(finding);
        }
    }
}

/// Logs that have nowhere to go, and a receiver that gets nothing.
pub(super) fn check_use(
    context: &mut Context<'_>,
    root: &Object<'_>,
    log: Option<&Log>,
    tracing: Option<Tracing>,
) {
    let logs_to_otlp = log.is_some_and(|log| log.output == LogOutput::Otlp);
    let otlp = root.written("otlp");
    match otlp {
        None if logs_to_otlp => {
            let finding =
                Finding::error(codes::NOTHING_CHOSEN, "`log.output: otlp` has no receiver")
                    .help("write `otlp: { endpoint: http://HOST:4317 }`, or log elsewhere");
            root.report(context, root.key_span("log"), finding);
        }
        Some(cursor) if !logs_to_otlp && tracing.is_none() => {
            let finding = cursor
                .warning(codes::WITHOUT_EFFECT, "nothing is sent to this receiver")
                .help("write `tracing: true`, or `output: otlp` under `log`");
            context.report(finding);
        }
        _ => {}
    }
}
