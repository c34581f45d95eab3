//! `overload`, and what bounds slow clients: what happens when there is more than can be served.

use crate::decode::{Context, Cursor, Object};
use crate::model::{Bans, MinimumRate, Overload, Priority};
use crate::shape::{Choice, Record, Shape, choice, field};

const DEADLINE: Shape = Shape::Duration { zero: false };

pub(super) static OVERLOAD: Record = Record {
    name: "overload",
    about: "Bounds on the process as a whole, beyond which work is refused.",
    fields: &[
        field(
            "delay",
            Shape::Either(&[Shape::Boolean, DEADLINE]),
            "How late a worker may be before requests of low priority are refused; others later, critical ones never. `false` turns it off.",
        )
        .default("250ms"),
        field(
            "memory",
            Shape::Size {
                least: 1 << 20,
                most: u64::MAX,
            },
            "Resident bytes of the process above which new work is refused. Default: unbounded.",
        ),
        field(
            "bans",
            Shape::Either(&[Shape::Boolean, Shape::Record(&BANS)]),
            "Addresses that mostly cause errors are not served for a while. `true` takes the defaults of its settings. Default: none is banned.",
        ),
    ],
};

static BANS: Record = Record {
    name: "bans",
    about: "Bans of addresses that mostly cause errors.",
    fields: &[
        field(
            "errors",
            Shape::Integer {
                least: 1,
                most: 1_000_000,
            },
            "Errors of one address that ban it.",
        )
        .default("100"),
        field("within", DEADLINE, "Time in which they must come.").default("10s"),
        field("ban_for", DEADLINE, "How long the ban lasts.").default("5m"),
        field(
            "statuses",
            Shape::List {
                items: &Shape::Integer {
                    least: 400,
                    most: 599,
                },
                least: 0,
            },
            "Statuses that count as errors, beside requests that cannot be read.",
        )
        .default("[401, 403, 404, 429]"),
    ],
};

pub(super) const MINIMUM_RATE: Shape =
    Shape::Either(&[Shape::Boolean, Shape::Record(&MINIMUM_RATE_RECORD)]);

static MINIMUM_RATE_RECORD: Record = Record {
    name: "minimum_rate",
    about: "Slowest transfer that is put up with, in either direction.",
    fields: &[
        field(
            "bytes",
            Shape::Size {
                least: 1,
                most: 1 << 30,
            },
            "Bytes per second, on average.",
        )
        .default("240"),
        field("grace", DEADLINE, "Time before the average counts.").default("5s"),
    ],
};

pub(super) static PRIORITIES: [Choice; 4] = [
    choice("low", "The first to be refused."),
    choice("normal", "Refused after those of low priority."),
    choice("high", "Refused only after all others."),
    choice("critical", "Never refused for load."),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Overload> {
    let object = Object::open(context, cursor)?;
    Some(Overload {
        delay: object.get("delay")?.duration_or_off(context),
        memory: object.written("memory").map(|cursor| cursor.size(context)),
        bans: object
            .written("bans")
            .and_then(|cursor| decode_bans(context, &cursor)),
    })
}

fn decode_bans(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Bans> {
    cursor.switched(context, |context, object| {
        let mut statuses = Vec::new();
        for item in object.get("statuses")?.items(context) {
            statuses.push(item.number(context));
        }
        Some(Bans {
            errors: object.get("errors")?.number(context),
            within: object.get("within")?.duration(context),
            ban_for: object.get("ban_for")?.duration(context),
            statuses,
        })
    })
}

pub(super) fn decode_minimum_rate(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<MinimumRate> {
    cursor.switched(context, |context, object| {
        Some(MinimumRate {
            bytes_per_second: object.get("bytes")?.size(context),
            grace: object.get("grace")?.duration(context),
        })
    })
}

pub(super) fn decode_priority(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Priority {
    match cursor.choice(context) {
        Some("low") => Priority::Low,
        Some("high") => Priority::High,
        Some("critical") => Priority::Critical,
        _ => Priority::Normal,
    }
}
