//! `token` of an `identity` policy: a token that only Weir can make.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use weir_jose::SigningKey;

use crate::certificate::check_permissions;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{InternalToken, Source};
use crate::reserved;
use crate::shape::{Record, Shape, field};
use crate::value::claim::{self, CLAIM};
use crate::value::http::{self as grammar, HEADER_NAME};
use crate::value::text::{self, FREE, MATERIAL};

pub(super) static TOKEN: Record = Record {
    name: "internal_token",
    about: "A short-lived token about who is calling, signed by Weir: an upstream that verifies it need not trust whoever stands between.",
    fields: &[
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "The field that holds it. `authorization`: as a bearer token, in place of what the client sent.",
        )
        .default("weir-identity"),
        field(
            "audience",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "For whom it is: the upstreams that take it.",
        )
        .required(),
        field(
            "lifetime",
            Shape::Duration { zero: false },
            "How long it is good for, of which a third is left when it is last sent; 6 seconds to 10 minutes.",
        )
        .default("60s"),
        field(
            "claims",
            Shape::OneOrMany(&Shape::Text(&CLAIM)),
            "Claims of whoever calls that it repeats.",
        ),
        field(
            "issuer",
            Shape::Text(&FREE),
            "Its `iss`, with `key`. Default: `weir`.",
        ),
        field(
            "key",
            Shape::Text(&MATERIAL),
            "A private key in PEM (`BEGIN PRIVATE KEY`): Ed25519, P-256 or RSA. Default: the installation's keys, which records hold and replace.",
        ),
    ],
};

const LEAST_LIFETIME: Duration = Duration::from_secs(6);
/// A key that was replaced is published for longer than that.
const MOST_LIFETIME: Duration = Duration::from_secs(600);

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<InternalToken>> {
    let object = Object::open(context, cursor)?;
    if cursor.node.span.is_beside() {
        let message = "a resource cannot say what Weir signs";
        let finding = cursor.error(codes::OUT_OF_REACH, message);
        context.report(
            finding.help("write the policy into the file, where routes of resources can name it"),
        );
    }
    let header = object.get("header")?.parse(context, changeable);
    let lifetime_cursor = object.get("lifetime")?;
    let lifetime = lifetime_cursor.duration(context);
    if !(LEAST_LIFETIME..=MOST_LIFETIME).contains(&lifetime) {
        let message = "the lifetime is not between 6 seconds and 10 minutes";
        let finding = lifetime_cursor.error(codes::BAD_DURATION, message);
        context.report(finding.help("write `60s`"));
    }
    let mut audiences = Vec::new();
    for item in object.written("audience")?.items(context) {
        audiences.extend(item.parse(context, text::free));
    }
    let mut claims = Vec::new();
    if let Some(cursor) = object.written("claims") {
        for item in cursor.items(context) {
            claims.extend(item.parse(context, claim::claim));
        }
    }
    let issuer = object.written("issuer");
    let key = object.written("key");
    if let (Some(cursor), None) = (&issuer, &key) {
        let message = "the installation signs in its own name";
        let finding = cursor.error(codes::CONFLICT, message);
        context
            .report(finding.help("remove `issuer`, which is `admin.public_url`, or write a `key`"));
    }
    let key = match key {
        Some(cursor) => Some(decode_key(context, &cursor)?),
        None => None,
    };
    Some(Arc::new(InternalToken {
        header: header?,
        audiences,
        lifetime,
        claims,
        issuer: issuer.and_then(|cursor| cursor.parse(context, text::free)),
        key,
    }))
}

fn decode_key(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Arc<SigningKey>> {
    let material = cursor.material(context)?;
    if let Source::File(path) = &material.source
        && let Some(finding) = check_permissions(path)
    {
        cursor.report_about(context, [finding]);
    }
    match SigningKey::from_pem(material.bytes.expose()) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            let message = format!("this is not a key that can sign tokens: {error}");
            let finding = cursor.error(codes::BAD_PRIVATE_KEY, message);
            context.report(
                finding.help("`openssl genpkey -algorithm ed25519 -out internal.pem` makes one"),
            );
            None
        }
    }
}

fn changeable(text: &str) -> Result<HeaderName, crate::value::Fault> {
    grammar::changeable_header(text, reserved::forbidden_in_request)
}
