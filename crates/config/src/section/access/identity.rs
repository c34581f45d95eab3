//! `identity` of a policy: what the upstream hears of who is calling.

use http::HeaderName;

use super::internal_token::{self, TOKEN};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{IdentityFact, IdentityHeaders};
use crate::reserved;
use crate::shape::{Field, Record, Shape, field};
use crate::suggest::quote;
use crate::value::Fault;
use crate::value::claim::{self, CLAIM};
use crate::value::http::{self as grammar, HEADER_NAME};

pub(in crate::section) static IDENTITY: Record = Record {
    name: "identity_fields",
    about: "Fields that tell the upstream who is calling. What clients send under these names never reaches it.",
    fields: &[
        name("subject", "The field that says who it is.").default("x-weir-subject"),
        name("issuer", "The field that says who vouches for it.").default("x-weir-issuer"),
        name(
            "organization",
            "The field that says whose credential it is.",
        )
        .default("x-weir-organization"),
        name("scopes", "The field for scopes, with spaces between them.").default("x-weir-scopes"),
        name("roles", "The field for roles, with commas between them.").default("x-weir-roles"),
        name(
            "method",
            "The field that says by what it was shown, such as `token`, `key` or `certificate`.",
        )
        .default("x-weir-method"),
        field(
            "claims",
            Shape::Map {
                names: &HEADER_NAME,
                values: &Shape::Text(&CLAIM),
            },
            "Fields for claims, such as `x-user-email: email`.",
        )
        .default("{}"),
        field(
            "token",
            Shape::Record(&TOKEN),
            "A token that says the same, signed by Weir.",
        ),
    ],
};

const fn name(key: &'static str, about: &'static str) -> Field {
    field(key, Shape::Text(&HEADER_NAME), about)
}

const FACTS: [(&str, IdentityFact); 6] = [
    ("subject", IdentityFact::Subject),
    ("issuer", IdentityFact::Issuer),
    ("organization", IdentityFact::Organization),
    ("scopes", IdentityFact::Scopes),
    ("roles", IdentityFact::Roles),
    ("method", IdentityFact::Method),
];

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<IdentityHeaders> {
    let object = Object::open(context, cursor)?;
    let mut fields: Vec<(HeaderName, IdentityFact)> = Vec::new();
    let mut places = Vec::new();
    for (key, fact) in FACTS {
        let cursor = object.get(key)?;
        if let Some(name) = cursor.parse(context, tellable) {
            places.push((name.clone(), cursor.span()));
            fields.push((name, fact));
        }
    }
    for entry in object.get("claims")?.entries(context) {
        let claim = entry.value.parse(context, claim::claim);
        match tellable(entry.name) {
            Ok(name) => {
                places.push((name.clone(), entry.name_span));
                fields.extend(claim.map(|claim| (name, IdentityFact::Claim(claim))));
            }
            Err(fault) => context.report(entry.fault(fault)),
        }
    }
    let token = match object.written("token") {
        Some(cursor) => {
            let token = internal_token::decode(context, &cursor)?;
            places.push((token.header.clone(), cursor.span()));
            Some(token)
        }
        None => None,
    };
    context.report_repeated(places, |name, _| {
        let message = format!("two facts are to be told in {}", quote(name.as_str()));
        Finding::error(codes::LISTED_TWICE, message).help("give each its own field")
    });
    Some(IdentityHeaders { fields, token })
}

/// The name of a field in which identity may be told. What clients send under it reaches nobody any more, on any route.
fn tellable(text: &str) -> Result<HeaderName, Fault> {
    let name = grammar::changeable_header(text, reserved::forbidden_in_request)?;
    if !reserved::has_another_meaning(&name) {
        return Ok(name);
    }
    let message = format!("nobody is named in {}", quote(name.as_str()));
    let fault = Fault::new(codes::RESERVED_HEADER, message);
    Err(fault.help("the field has a meaning of its own, and clients could not send it any more: choose another name"))
}
