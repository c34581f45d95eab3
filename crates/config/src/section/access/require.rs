//! `require` of a policy: what somebody who calls must be.

use super::cedar::{self, RULES};
use super::claims::{self, CLAIMS};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::Require;
use crate::shape::{Record, Shape, field};
use crate::value::claim::{self, SCOPE};
use crate::value::text::{self, FREE};

pub(in crate::section) static REQUIRE: Record = Record {
    name: "require",
    about: "What somebody who calls must be. Everything stated must hold.",
    fields: &[
        field(
            "scopes",
            Shape::OneOrMany(&Shape::Text(&SCOPE)),
            "All of these scopes.",
        ),
        field(
            "roles",
            Shape::OneOrMany(&Shape::Text(&FREE)),
            "One of these roles.",
        ),
        field(
            "claims",
            CLAIMS,
            "All of these claims, each with one of these values; of a claim that is a list one member is enough. `*`: any value.",
        ),
        field(
            "cedar",
            Shape::OneOrMany(&Shape::Text(&RULES)),
            "Cedar rules, or files of them: one must permit the request, and none may forbid it.",
        ),
    ],
};

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Require> {
    let object = Object::open(context, cursor)?;
    let mut require = Require::default();
    if let Some(cursor) = object.written("scopes") {
        let items = cursor.items(context).into_iter();
        require.scopes = items
            .filter_map(|item| item.parse(context, claim::scope))
            .collect();
    }
    if let Some(cursor) = object.written("roles") {
        let items = cursor.items(context).into_iter();
        require.roles = items
            .filter_map(|item| item.parse(context, text::free))
            .collect();
    }
    if let Some(cursor) = object.written("claims") {
        require.claims = claims::decode(context, &cursor);
    }
    if let Some(cursor) = object.written("cedar") {
        require.cedar = Some(cedar::decode(context, &cursor)?);
    }
    if require.is_empty() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "nothing is required")
            .help("write `scopes`, `roles`, `claims` or `cedar`");
        object.report(context, cursor.span(), finding);
    }
    Some(require)
}
