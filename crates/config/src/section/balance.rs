//! `balance`, `hash`, `sticky` and `zones` of an upstream: how one of its servers is picked.

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Balance, HashKey, StickyCookie, Zones};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::http::{self as grammar, COOKIE_NAME, HEADER_NAME};

pub(super) static BALANCES: [Choice; 4] = [
    choice("round_robin", "Weighted round robin, spread smoothly."),
    choice(
        "least_request",
        "Fewest requests in flight of two random candidates, weighted.",
    ),
    choice(
        "peak_ewma",
        "Lowest latency of two random candidates, times the requests in flight, weighted.",
    ),
    choice(
        "consistent_hash",
        "The same key goes to the same server; `hash` says what the key is.",
    ),
];

pub(super) const HASH: Shape =
    Shape::Either(&[Shape::Choice(&HASH_KEYS), Shape::Record(&HASH_RECORD)]);

pub(super) static HASH_KEYS: [Choice; 2] = [
    choice(
        "address",
        "The client's address; behind trusted proxies the one that they name.",
    ),
    choice("path", "The path, without the query."),
];

static HASH_RECORD: Record = Record {
    name: "hash",
    about: "What decides where a request goes: exactly one of these. A request without it goes anywhere.",
    fields: &[
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "The first value of this header.",
        ),
        field(
            "cookie",
            Shape::Text(&COOKIE_NAME),
            "The value of this cookie.",
        ),
    ],
};

pub(super) static STICKY: Record = Record {
    name: "sticky",
    about: "A cookie that Weir sets, so that a client comes back to where it was.",
    fields: &[
        field("cookie", Shape::Text(&COOKIE_NAME), "The cookie's name.").required(),
        field(
            "max_age",
            MAX_AGE,
            "How long browsers keep it. Default: to the end of the browser's session.",
        ),
    ],
};

pub(super) const MAX_AGE: Shape = Shape::Duration { zero: false };

pub(super) static ZONES: Record = Record {
    name: "zones",
    about: "Which servers are near.",
    fields: &[
        field(
            "prefer_own",
            Shape::Boolean,
            "Whether servers in this node's own zone come first. Without `zone` at the top it has no effect.",
        )
        .default("true"),
        field(
            "overflow_below",
            Shape::Percentage { zero: true },
            "Share of the own zone's weight that must be healthy for it to take all traffic; below it the rest goes to other zones in proportion.",
        )
        .default("70%"),
    ],
};

/// Reads `balance` and `hash` of an upstream.
pub(super) fn decode(context: &mut Context<'_>, upstream: &Object<'_>) -> Option<Balance> {
    let hash = upstream.written("hash");
    let key = hash.map(|cursor| decode_hash(context, &cursor));
    let chosen = upstream.get("balance")?.choice(context)?;
    if hash.is_some() && chosen != "consistent_hash" {
        let finding = Finding::error(codes::CONFLICT, "`hash` needs `balance: consistent_hash`")
            .help("write that, or remove `hash`");
        upstream.report(context, upstream.key_span("hash"), finding);
    }
    Some(match chosen {
        "least_request" => Balance::LeastRequest,
        "peak_ewma" => Balance::PeakEwma,
        "consistent_hash" => Balance::ConsistentHash(key.unwrap_or(Some(HashKey::Address))?),
        _ => Balance::RoundRobin,
    })
}

fn decode_hash(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<HashKey> {
    let cursor = cursor.alternative(context)?;
    if matches!(cursor.shape, Shape::Choice(_)) {
        return decode_word(context, &cursor);
    }
    let object = Object::open(context, &cursor)?;
    let Some(kind) = object.one_of(context, &["header", "cookie"]) else {
        if object.node.entries().is_empty() {
            let finding = Finding::error(codes::NOTHING_CHOSEN, "the hash has no key")
                .help("write `address`, `path`, or one of `header` and `cookie`");
            object.report(context, cursor.span(), finding);
        }
        return None;
    };
    let value = object.written(kind)?;
    match kind {
        "header" => value
            .parse(context, grammar::header_name)
            .map(HashKey::Header),
        _ => value
            .parse(context, grammar::cookie_name)
            .map(HashKey::Cookie),
    }
}

/// One of [`HASH_KEYS`].
pub(super) fn decode_word(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<HashKey> {
    Some(match cursor.choice(context)? {
        "path" => HashKey::Path,
        _ => HashKey::Address,
    })
}

pub(super) fn decode_sticky(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<StickyCookie> {
    let object = Object::open(context, cursor)?;
    read_sticky(context, &object)
}

/// The cookie of an object that has the keys of [`STICKY`].
pub(super) fn read_sticky(context: &mut Context<'_>, object: &Object<'_>) -> Option<StickyCookie> {
    let max_age = object
        .written("max_age")
        .map(|cursor| cursor.duration(context));
    let name = object
        .written("cookie")?
        .parse(context, grammar::cookie_name)?;
    Some(StickyCookie { name, max_age })
}

/// Reads `zones`; `has_zone`: whether this node's zone is known.
pub(super) fn decode_zones(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    has_zone: bool,
) -> Option<Zones> {
    let object = Object::open(context, cursor)?;
    let prefer_own = object.get("prefer_own")?.boolean(context)?;
    let written = object.written("prefer_own");
    if let Some(cursor) = written.filter(|_| prefer_own && !has_zone) {
        let message = "no zone is preferred: this node's own is not known";
        let finding = cursor
            .warning(codes::WITHOUT_EFFECT, message)
            .help("write `zone` at the top of the file, for example `zone: env:ZONE`");
        context.report(finding);
    }
    Some(Zones {
        prefer_own,
        overflow_below_percent: object.get("overflow_below")?.percentage(context),
    })
}
