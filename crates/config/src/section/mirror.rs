//! `mirror` of a route: copies of its requests.

use super::check::{self, Declared};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::Mirror;
use crate::shape::{Record, Shape, field};
use crate::value::quantity::{self, SHARE};
use crate::value::text::NAME;

pub(super) static MIRROR: Record = Record {
    name: "mirror",
    about: "Copies of requests for another upstream, whose answers nobody sees.",
    fields: &[
        field("upstream", Shape::Text(&NAME), "Who gets the copies.").required(),
        field(
            "share",
            Shape::Text(&SHARE),
            "Share of the requests that are copied.",
        )
        .default("100%"),
        field(
            "body_bytes",
            Shape::Size {
                least: 0,
                most: 64 << 20,
            },
            "Requests with a longer body are not copied.",
        )
        .default("64KiB"),
        field(
            "limit",
            Shape::Integer {
                least: 1,
                most: 65_536,
            },
            "Copies under way per worker; beyond them requests are not copied.",
        )
        .default("64"),
    ],
};

pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Option<Mirror> {
    let object = Object::open(context, cursor)?;
    declared.is_incomplete |= object.has_unknown();
    let upstream = object
        .written("upstream")
        .and_then(|cursor| check::decode_upstream(context, &cursor, declared));
    let share = object.get("share")?.parse(context, quantity::share);
    if share.is_some_and(|share| share.millionths() == 0) {
        let finding = Finding::warning(codes::WITHOUT_EFFECT, "no request is copied")
            .help("write a share, or remove `mirror`");
        object.report(context, object.key_span("share"), finding);
    }
    let body_bytes = object.get("body_bytes")?.size(context);
    let limit = object.get("limit")?.number(context);
    Some(Mirror {
        upstream: upstream?,
        share: share?,
        body_bytes,
        limit,
    })
}
