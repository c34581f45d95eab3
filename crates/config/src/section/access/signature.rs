//! `signature` of a policy: requests that are signed by RFC 9421.

use std::sync::Arc;

use weir_signatures::{Algorithm, KeyError, Required, RequiredComponent, VerifyingKey};

use super::credential::{self, FORWARD, REQUIRED};
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::model::{KeySource, Signature, SigningParty};
use crate::shape::{Choice, Field, Record, Shape, choice, field};
use crate::value::Fault;
use crate::value::text::{self, FREE, MATERIAL, SECRET};

pub(in crate::section) static SIGNATURE: Record = Record {
    name: "signature",
    about: "Takes requests that are signed by one of these keys (RFC 9421). A signature is good once.",
    fields: &[
        field(
            "keys",
            Shape::Map {
                names: &FREE,
                values: &Shape::Record(&KEY),
            },
            "Keys by their `keyid`.",
        )
        .required(),
        field(
            "components",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "What a signature must cover at least: fields, and parts such as `@method`. Others may be covered as well.",
        )
        .default("[\"@method\", \"@target-uri\"]"),
        field(
            "max_age",
            Shape::Duration { zero: false },
            "Age from which on a signature is too old.",
        )
        .default("5m"),
        field(
            "leeway",
            Shape::Duration { zero: true },
            "How far clocks may be apart.",
        )
        .default("30s"),
        field(
            "require_nonce",
            Shape::Boolean,
            "Whether a signature must have a `nonce`. Without, the same request cannot be sent twice in one second.",
        )
        .default("false"),
        field(
            "tag",
            Shape::Text(&FREE),
            "The `tag` that a signature must have. Default: it is not looked at.",
        ),
        field(
            "digest",
            Shape::Boolean,
            "Whether the signature of a request with a body must cover `content-digest`. Without, bodies are not protected.",
        )
        .default("true"),
        BODY_BYTES,
        field(
            "remembered",
            Shape::Integer {
                least: 1,
                most: 10_000_000,
            },
            "Used signatures of one key that are remembered at once, each of about 100 bytes, until they are too old. A key that has more gets 503: none is forgotten before.",
        )
        .default("100000"),
        REQUIRED,
        FORWARD.default("true"),
    ],
};

static KEY: Record = Record {
    name: "signature_key",
    about: "A key that requests are signed with: a public key, or a secret that both sides know.",
    fields: &[
        field(
            "algorithm",
            Shape::Choice(&ALGORITHMS),
            "The one algorithm of the key.",
        )
        .required(),
        field(
            "key",
            Shape::Text(&MATERIAL),
            "The public key in PEM (`BEGIN PUBLIC KEY`).",
        ),
        field(
            "secret",
            Shape::Text(&SECRET),
            "The shared secret of `hmac-sha256`, of 16 bytes or more.",
        ),
        field(
            "subject",
            Shape::Text(&FREE),
            "Who signs with it. Default: its `keyid`.",
        ),
    ],
};

static ALGORITHMS: [Choice; 6] = [
    choice("rsa-pss-sha512", "RSA PSS with SHA-512."),
    choice("rsa-v1_5-sha256", "RSA PKCS #1 v1.5 with SHA-256."),
    choice("ecdsa-p256-sha256", "ECDSA on P-256."),
    choice("ecdsa-p384-sha384", "ECDSA on P-384."),
    choice("ed25519", "Ed25519."),
    choice("hmac-sha256", "HMAC with SHA-256, over a shared secret."),
];

/// The same for every kind that reads bodies.
pub(super) const BODY_BYTES: Field = field(
    "body_bytes",
    Shape::Size {
        least: 1,
        most: 64 << 20,
    },
    "Longest body that is taken. It is read to its end before any of it is forwarded.",
)
.default("1MiB");

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Signature> {
    let object = Object::open(context, cursor)?;
    let keys_cursor = object.written("keys")?;
    let entries = keys_cursor.entries(context);
    if entries.is_empty() {
        let finding = keys_cursor.error(codes::NOTHING_CHOSEN, "there is no key");
        context.report(finding.help("write `keyid: { algorithm: ed25519, key: file:key.pem }`"));
    }
    let keys = entries.iter().map(|entry| decode_key(context, entry));
    // All of them, so that every mistake is reported.
    let keys: Vec<Option<SigningParty>> = keys.collect();
    let components_cursor = object.get("components")?;
    let components = components_cursor.items(context).into_iter();
    let components = components.filter_map(|item| item.parse(context, component));
    let components = components.collect();
    let required = Required {
        components,
        max_age: object.get("max_age")?.duration(context).as_secs(),
        clock_skew: object.get("leeway")?.duration(context).as_secs(),
        require_nonce: object.get("require_nonce")?.boolean(context)?,
        tag: object
            .written("tag")
            .and_then(|cursor| cursor.parse(context, text::free))
            .map(String::into_boxed_str),
        algorithms: Vec::new(),
        digest_of_bodies: object.get("digest")?.boolean(context)?,
    };
    let body_bytes = object.get("body_bytes")?.size(context);
    let remembered = object.get("remembered")?.integer(context);
    let credential = credential::decode(context, &object);
    Some(Signature {
        keys: keys.into_iter().collect::<Option<_>>()?,
        required,
        body_bytes: usize::try_from(body_bytes).unwrap_or(usize::MAX),
        remembered: usize::try_from(remembered?).unwrap_or(usize::MAX),
        credential: credential?,
    })
}

fn component(text: &str) -> Result<RequiredComponent, Fault> {
    RequiredComponent::parse(text).map_err(|why| {
        Fault::new(codes::BAD_TEXT, why.to_string())
            .help("write fields in lower case, and parts such as `@method`, `@target-uri` or `@authority`")
    })
}

fn decode_key(context: &mut Context<'_>, entry: &Named<'_>) -> Option<SigningParty> {
    let object = Object::open(context, &entry.value)?;
    let name = object.written("algorithm")?.choice(context)?;
    let algorithm: Algorithm = name.parse().ok()?;
    let subject = match object.written("subject") {
        Some(cursor) => cursor.parse(context, text::free),
        None => Some(entry.name.to_owned()),
    };
    let is_secret = algorithm == Algorithm::HmacSha256;
    let (needed, other) = match is_secret {
        true => ("secret", "key"),
        false => ("key", "secret"),
    };
    if let Some(cursor) = object.written(other) {
        let message = format!("{name} takes a `{needed}`, not a `{other}`");
        let finding = cursor.error(codes::CONFLICT, message);
        context.report(finding.help(format!("write `{needed}` in its place")));
        return None;
    }
    let Some(cursor) = object.written(needed) else {
        object.report_missing(context, needed, "What signatures are checked with.");
        return None;
    };
    let (key, source) = match is_secret {
        true => {
            let secret = cursor.secret(context)?;
            let key = VerifyingKey::from_secret(secret.expose().as_bytes());
            (key, KeySource::Secret(secret))
        }
        false => {
            let material = cursor.pem(context)?;
            let text = std::str::from_utf8(material.bytes.expose()).unwrap_or_default();
            let key = VerifyingKey::from_pem(algorithm, text);
            (key, KeySource::Public(material))
        }
    };
    Some(SigningParty {
        key_id: entry.name.to_owned(),
        subject: subject?,
        key: Arc::new(usable(context, &cursor, key)?),
        source,
    })
}

/// Reports a key that cannot be used.
pub(super) fn usable<T>(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    key: Result<T, KeyError>,
) -> Option<T> {
    let error = match key {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    // What the reference leads to is never repeated.
    let message = format!("what the reference leads to cannot be used: {error}");
    context.report(cursor.error(codes::BAD_REFERENCED_VALUE, message));
    None
}
