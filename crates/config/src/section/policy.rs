//! `policies`: named, of one kind each.

use super::access::{
    self, ANY_OF, API_KEY, BASIC, HMAC, IDENTITY, INTROSPECTION, JWT, MTLS, REQUIRE, SESSION,
    SIGNATURE,
};
use super::check::Declared;
use super::compress::{self, COMPRESS};
use super::cors::{self, CORS};
use super::headers::{self, HEADERS};
use super::security::{self, SECURITY_HEADERS};
use super::transform::{self, TRANSFORM};
use super::validate::{self, VALIDATE};
use crate::codes;
use crate::decode::{Context, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{Policy, PolicyKind};
use crate::shape::{Record, Shape, field};

pub(super) static POLICY: Record = Record {
    name: "policy",
    about: "A policy: exactly one of these kinds.",
    fields: &[
        field(
            "headers",
            Shape::Record(&HEADERS),
            "Changes request and response headers.",
        ),
        field(
            "validate",
            Shape::Record(&VALIDATE),
            "Checks messages against an OpenAPI document, or against JSON Schemas.",
        ),
        field(
            "cors",
            Shape::Record(&CORS),
            "Lets scripts of other sites call, and read the answers.",
        ),
        field(
            "security_headers",
            Shape::Record(&SECURITY_HEADERS),
            "Headers that tell browsers to be careful.",
        ),
        field("compress", Shape::Record(&COMPRESS), "Compresses answers."),
        field(
            "transform",
            Shape::Record(&TRANSFORM),
            "Changes bodies that are JSON.",
        ),
        field("jwt", Shape::Record(&JWT), "Verifies JSON Web Tokens."),
        field(
            "introspection",
            Shape::Record(&INTROSPECTION),
            "Takes opaque tokens, and asks the server that issued them.",
        ),
        field("api_key", Shape::Record(&API_KEY), "Takes API keys."),
        field(
            "session",
            Shape::Record(&SESSION),
            "Takes people who signed in on the sign-in pages.",
        ),
        field(
            "basic",
            Shape::Record(&BASIC),
            "Takes names and passwords of a users file.",
        ),
        field(
            "mtls",
            Shape::Record(&MTLS),
            "Takes the certificates that clients show.",
        ),
        field(
            "signature",
            Shape::Record(&SIGNATURE),
            "Takes requests that are signed (RFC 9421).",
        ),
        field(
            "hmac",
            Shape::Record(&HMAC),
            "Takes requests with an HMAC of their body, as webhooks have one.",
        ),
        field(
            "any_of",
            Shape::Record(&ANY_OF),
            "Takes any of several ways to say who is calling.",
        ),
        field(
            "require",
            Shape::Record(&REQUIRE),
            "What somebody who calls must be.",
        ),
        field(
            "identity",
            Shape::Record(&IDENTITY),
            "Tells the upstream who is calling.",
        ),
        field(
            "rate_limit",
            Shape::Anything,
            "Limits how often clients may call.",
        )
        .refused(),
        field("cache", Shape::Anything, "Stores and reuses responses.").refused(),
    ],
};

/// Every kind, known to this version or not.
pub(super) const KINDS: [&str; 19] = [
    "headers",
    "cors",
    "security_headers",
    "compress",
    "transform",
    "validate",
    "jwt",
    "introspection",
    "api_key",
    "session",
    "basic",
    "mtls",
    "signature",
    "hmac",
    "any_of",
    "require",
    "identity",
    "rate_limit",
    "cache",
];

/// Kinds of which a route can have one policy only: two would have to disagree.
pub(super) const ACTING_ONCE: [&str; 6] = [
    "cors",
    "security_headers",
    "compress",
    "transform",
    "validate",
    "identity",
];

/// Decodes the policy that was declared at this place.
pub(super) fn decode(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    index: usize,
    declared: &mut Declared,
) -> Option<Policy> {
    let object = Object::open(context, &entry.value)?;
    let chosen = object.one_of(context, &KINDS);
    if chosen.is_none() && object.node.entries().is_empty() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the policy has no kind")
            .help("write what it does, for example `headers`");
        object.report(context, entry.name_span, finding);
    }
    let settings = object.written(chosen?)?;
    let kind = match chosen? {
        "headers" => {
            let uses = &mut declared.policy_variables[index];
            PolicyKind::Headers(headers::decode(context, &settings, uses)?)
        }
        "cors" => PolicyKind::Cors(Box::new(cors::decode(context, &settings)?)),
        "security_headers" => PolicyKind::SecurityHeaders(security::decode(context, &settings)?),
        "compress" => PolicyKind::Compress(compress::decode(context, &settings)?),
        "transform" => PolicyKind::Transform(Box::new(transform::decode(context, &settings)?)),
        "validate" => PolicyKind::Validate(validate::decode(context, &settings)?),
        "jwt" => PolicyKind::Jwt(access::decode_jwt(context, &settings)?),
        "introspection" => {
            PolicyKind::Introspection(access::decode_introspection(context, &settings)?)
        }
        "api_key" => PolicyKind::ApiKey(access::decode_api_key(context, &settings)?),
        "session" => PolicyKind::Session(access::decode_session(context, &settings)?),
        "basic" => PolicyKind::Basic(access::decode_basic(context, &settings)?),
        "mtls" => PolicyKind::Mtls(Box::new(access::decode_mtls(context, &settings)?)),
        "signature" => {
            PolicyKind::Signature(Box::new(access::decode_signature(context, &settings)?))
        }
        "hmac" => {
            let hmac = access::decode_hmac(context, &settings, entry.name)?;
            PolicyKind::Hmac(Box::new(hmac))
        }
        "any_of" => PolicyKind::AnyOf(access::decode_any_of(context, &settings, declared)?),
        "require" => PolicyKind::Require(access::decode_require(context, &settings)?),
        "identity" => PolicyKind::Identity(access::decode_identity(context, &settings)?),
        _ => return None, // refused where the object was opened
    };
    Some(Policy {
        name: entry.name.to_owned(),
        kind,
    })
}
