//! `hmac` of a policy: requests with an HMAC of their body, as webhooks have one.

use std::sync::Arc;

use http::HeaderName;
use weir_signatures::{Secrets, SimpleForm};

use super::credential::{self, FORWARD, REQUIRED};
use super::signature::{BODY_BYTES, usable};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::Hmac;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::http::{self as grammar, HEADER_NAME};
use crate::value::text::{self, FREE, SECRET};

pub(in crate::section) static HMAC: Record = Record {
    name: "hmac",
    about: "Takes requests with an HMAC-SHA-256 of their body over a shared secret, as webhooks have one. Method and target are not signed.",
    fields: &[
        field(
            "form",
            Shape::Choice(&FORMS),
            "What the field looks like, and what it covers.",
        )
        .default("stamped"),
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "The field with the signature.",
        )
        .required(),
        field(
            "timestamp_header",
            Shape::Text(&HEADER_NAME),
            "The field with the time, in seconds since 1970: for `timed`.",
        ),
        field(
            "secrets",
            Shape::OneOrMany(&Shape::Text(&SECRET)),
            "Secrets of the sender, of 16 bytes or more; several while they are changed, at most four.",
        )
        .required(),
        field(
            "tolerance",
            Shape::Duration { zero: false },
            "How far the time may be from now: for `stamped` and `timed`.",
        )
        .default("5m"),
        field(
            "subject",
            Shape::Text(&FREE),
            "Who the sender is. Default: the policy's name.",
        ),
        BODY_BYTES,
        REQUIRED,
        FORWARD.default("true"),
    ],
};

static FORMS: [Choice; 3] = [
    choice("stamped", "`t=<time>,v1=<hex>`, over `<time>.<body>`."),
    choice(
        "timed",
        "`sha256=<hex>` over `<time>.<body>`, with the time in a field of its own.",
    ),
    choice(
        "body",
        "`sha256=<hex>` over the body alone: whoever sees a request can send it again at any time.",
    ),
];

/// `name` is the policy's.
pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    name: &str,
) -> Option<Hmac> {
    let object = Object::open(context, cursor)?;
    let header = object
        .written("header")
        .and_then(|cursor| cursor.parse(context, grammar::header_name));
    let form = decode_form(context, &object, header.as_ref());
    let mut source = Vec::new();
    let secrets_cursor = object.written("secrets")?;
    let mut is_whole = true;
    for item in secrets_cursor.items(context) {
        let secret = item.secret(context);
        is_whole &= secret.is_some();
        source.extend(secret);
    }
    if source.is_empty() && is_whole {
        let finding = secrets_cursor.error(codes::NOTHING_CHOSEN, "there is no secret");
        context.report(finding.help("write `secrets: env:NAME` or `file:PATH`"));
        is_whole = false;
    }
    let subject = match object.written("subject") {
        Some(cursor) => cursor.parse(context, text::free),
        None => Some(name.to_owned()),
    };
    let body_bytes = object.get("body_bytes")?.size(context);
    let credential = credential::decode(context, &object);
    if !is_whole {
        return None;
    }
    let secrets = Secrets::new(source.iter().map(|secret| secret.expose().as_bytes()));
    let secrets = usable(context, &secrets_cursor, secrets)?;
    Some(Hmac {
        form: form?,
        header: header?,
        secrets: Arc::new(secrets),
        source,
        subject: subject?,
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
        credential: credential?,
    })
}

fn decode_form(
    context: &mut Context<'_>,
    object: &Object<'_>,
    header: Option<&HeaderName>,
) -> Option<SimpleForm> {
    let form = object.get("form")?.choice(context)?;
    let header = header?.as_str().into();
    let timestamp = object.written("timestamp_header");
    let tolerance = object.get("tolerance")?.duration(context).as_secs();
    if let (Some(cursor), false) = (&timestamp, form == "timed") {
        let finding = cursor.error(
            codes::CONFLICT,
            format!("`{form}` has no field for the time"),
        );
        context.report(finding.help("remove it, or write `form: timed`"));
    }
    match form {
        "timed" => {
            let Some(timestamp) = timestamp else {
                object.report_missing(
                    context,
                    "timestamp_header",
                    "The field with the time, in seconds since 1970.",
                );
                return None;
            };
            let timestamp = timestamp.parse(context, grammar::header_name)?;
            Some(SimpleForm::Timed {
                header,
                timestamp: timestamp.as_str().into(),
                tolerance,
            })
        }
        "body" => {
            if let Some(cursor) = object.written("tolerance") {
                let finding = cursor.error(codes::CONFLICT, "`body` has no time");
                context.report(finding.help("remove it, or write another `form`"));
            }
            Some(SimpleForm::Body { header })
        }
        _ => Some(SimpleForm::Stamped { header, tolerance }),
    }
}
