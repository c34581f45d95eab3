//! `api_key` of a policy: keys of organizations.

use super::credential::{self, FORWARD, REQUIRED};
use crate::decode::{Context, Cursor, Object};
use crate::model::ApiKey;
use crate::shape::{Record, Shape, field};
use crate::value::http::{self as grammar, HEADER_NAME};
use crate::value::text::{self, SLUG};

pub(in crate::section) static API_KEY: Record = Record {
    name: "api_key",
    about: "API keys, which organizations make and records hold.",
    fields: &[
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "The field that holds the key. `Authorization: Bearer` does as well.",
        )
        .default("x-api-key"),
        field(
            "organizations",
            Shape::OneOrMany(&Shape::Text(&SLUG)),
            "Only keys of these organizations. Default: of every one, or of the route's, if it names one.",
        ),
        REQUIRED,
        FORWARD.default("false"),
    ],
};

pub(in crate::section) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<ApiKey> {
    let object = Object::open(context, cursor)?;
    let header = object.get("header")?.parse(context, grammar::header_name);
    let mut organizations = Vec::new();
    if let Some(cursor) = object.written("organizations") {
        for item in cursor.items(context) {
            organizations.extend(item.parse(context, text::slug));
        }
    }
    let credential = credential::decode(context, &object);
    Some(ApiKey {
        header: header?,
        organizations,
        credential: credential?,
    })
}
