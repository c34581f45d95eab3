//! `breaker` and `concurrency` of an upstream: when it is not asked, and how much at a time.

use super::retry::check_cut_short;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Breaker, Concurrency, UpstreamTimeouts};
use crate::shape::{Record, Shape, field};

const DEADLINE: Shape = Shape::Duration { zero: false };

pub(super) static BREAKER: Record = Record {
    name: "breaker",
    about: "A circuit breaker: an upstream that mostly fails is not asked for a while.",
    fields: &[
        field(
            "error_rate",
            RATE,
            "Share of failed attempts that opens it.",
        )
        .default("50%"),
        field(
            "slow_call",
            DEADLINE,
            "Response heads that take longer than this are slow. Default: none is.",
        ),
        field("slow_rate", RATE, "Share of slow attempts that opens it.").default("80%"),
        field("window", DEADLINE, "Time over which shares are taken.").default("10s"),
        field(
            "min_requests",
            COUNT,
            "Attempts in that time below which the shares say nothing.",
        )
        .default("20"),
        field(
            "open_for",
            DEADLINE,
            "How long it stays open before it lets probes through.",
        )
        .default("5s"),
        field(
            "probes",
            COUNT,
            "Requests let through at a time while it is half open; as many successes close it.",
        )
        .default("3"),
    ],
};

const RATE: Shape = Shape::Percentage { zero: false };

const COUNT: Shape = Shape::Integer {
    least: 1,
    most: 1_000_000,
};

pub(super) static CONCURRENCY: Record = Record {
    name: "concurrency",
    about: "A bulkhead: one upstream cannot take all that the gateway has.",
    fields: &[
        field("limit", COUNT, "Requests under way in the whole process.").required(),
        field(
            "queue",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Requests that may wait for a place. Default: as many as `limit`.",
        ),
        field("wait", DEADLINE, "How long they may wait.").default("1s"),
    ],
};

pub(super) fn decode_breaker(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    timeouts: Option<&UpstreamTimeouts>,
) -> Option<Breaker> {
    cursor.switched(context, |context, object| {
        let slow_call = object.written("slow_call");
        if slow_call.is_none()
            && let Some(cursor) = object.written("slow_rate")
        {
            let finding = cursor
                .warning(
                    codes::WITHOUT_EFFECT,
                    "without `slow_call` no attempt is slow",
                )
                .help("write `slow_call` beside it, the time from which one is");
            context.report(finding);
        }
        Some(Breaker {
            error_rate_percent: object.get("error_rate")?.percentage(context),
            slow_call: slow_call.map(|cursor| {
                let slow = cursor.duration(context);
                let first_byte = timeouts.map(|timeouts| timeouts.first_byte);
                check_cut_short(context, &cursor, slow, first_byte, "`timeouts.first_byte`");
                slow
            }),
            slow_rate_percent: object.get("slow_rate")?.percentage(context),
            window: object.get("window")?.duration(context),
            minimum_requests: object.get("min_requests")?.number(context),
            open_for: object.get("open_for")?.duration(context),
            probes: object.get("probes")?.number(context),
        })
    })
}

pub(super) fn decode_concurrency(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    timeouts: Option<&UpstreamTimeouts>,
) -> Option<Concurrency> {
    let object = Object::open(context, cursor)?;
    let queue = object.written("queue").map(|cursor| cursor.number(context));
    let wait = object.get("wait")?.duration(context);
    let total = timeouts.and_then(|timeouts| timeouts.total);
    if let Some(cursor) = object.written("wait") {
        check_cut_short(context, &cursor, wait, total, "`timeouts.total`");
    }
    let limit = object.written("limit")?.number(context);
    Some(Concurrency {
        limit,
        queue: queue.unwrap_or(limit),
        wait,
    })
}
