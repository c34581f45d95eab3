//! `retry`, `hedge` and `timeouts` of an upstream: how long an attempt may take and what follows it.

use std::time::Duration;

use http::StatusCode;

use super::grpc;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Hedge, Retry, RetryCondition, UpstreamTimeouts};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::quantity;

const DEADLINE: Shape = Shape::Duration { zero: false };

pub(super) static RETRY: Record = Record {
    name: "retry",
    about: "Repeats of failed attempts.",
    fields: &[
        field(
            "attempts",
            Shape::Integer { least: 0, most: 10 },
            "Further attempts after the first. 0 turns repeats off.",
        )
        .default("1"),
        field(
            "when",
            Shape::List {
                items: &Shape::Either(&[
                    Shape::Choice(&CONDITIONS),
                    Shape::Integer {
                        least: 500,
                        most: 599,
                    },
                ]),
                least: 1,
            },
            "Failures worth another attempt: `connect`, `reset`, `timeout`, or a status from 500 to 599.",
        )
        .default("[connect, reset]"),
        field(
            "budget",
            Shape::Percentage { zero: true },
            "Repeats and hedges allowed as a share of all requests.",
        )
        .default("20%"),
        field(
            "backoff",
            Shape::Duration { zero: true },
            "Longest wait before the second repeat, and before one that goes to the same server; doubled for each further one, up to ten times this.",
        )
        .default("25ms"),
        field(
            "grpc",
            Shape::List {
                items: &Shape::Choice(&grpc::RETRIED),
                least: 0,
            },
            "Statuses of gRPC calls worth another attempt, if the status is all that came back.",
        )
        .default("[]"),
    ],
};

static CONDITIONS: [Choice; 3] = [
    choice("connect", "No connection could be made."),
    choice(
        "reset",
        "The connection ended before a response head arrived.",
    ),
    choice(
        "timeout",
        "The response head did not arrive within `first_byte`.",
    ),
];

pub(super) static HEDGE: Record = Record {
    name: "hedge",
    about: "Further attempts while the first one is under way, of idempotent requests without a body.",
    fields: &[
        field(
            "after",
            DEADLINE,
            "How long an attempt may take before the next one starts.",
        )
        .required(),
        field(
            "attempts",
            Shape::Integer { least: 1, most: 3 },
            "Most further attempts.",
        )
        .default("1"),
    ],
};

pub(super) static UPSTREAM_TIMEOUTS: Record = Record {
    name: "upstream_timeouts",
    about: "Deadlines towards the servers of an upstream.",
    fields: &[
        field("connect", DEADLINE, "For TCP and TLS handshake together.").default("2s"),
        field(
            "first_byte",
            DEADLINE,
            "From the request being sent to the response's head.",
        )
        .default("15s"),
        field("idle", DEADLINE, "Longest silence while a body is moving.").default("60s"),
        field(
            "total",
            DEADLINE,
            "From the request's arrival to the last byte of the answer, with all waits and repeats. Default: none.",
        ),
        field(
            "stream_idle",
            DEADLINE,
            "In place of `idle`: longest silence of an event stream, and of either side of a gRPC call.",
        )
        .default("10m"),
    ],
};

pub(super) fn decode_retry(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Retry> {
    let object = Object::open(context, cursor)?;
    let attempts = object.get("attempts")?.number(context);
    let when_cursor = object.get("when")?;
    let mut when = Vec::new();
    for item in when_cursor.items(context) {
        when.extend(decode_condition(context, &item));
    }
    let statuses = grpc::decode_retried(context, &object.get("grpc")?);
    when.extend(statuses.into_iter().map(RetryCondition::Grpc));
    let budget_percent = object.get("budget")?.percentage(context);
    Some(Retry {
        attempts,
        when,
        budget_percent,
        backoff: object.get("backoff")?.duration(context),
    })
}

fn decode_condition(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<RetryCondition> {
    let text = cursor.text(context)?;
    match text {
        "connect" => return Some(RetryCondition::Connect),
        "reset" => return Some(RetryCondition::Reset),
        "timeout" => return Some(RetryCondition::Timeout),
        _ => {}
    }
    let status = quantity::integer(text, 500, 599)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .and_then(|number| StatusCode::from_u16(number).ok());
    if status.is_none() {
        let known = CONDITIONS.iter().map(|choice| choice.text);
        let help = context.suggest(text, known, "conditions beside 500 to 599");
        let message = format!("{} is not a reason to repeat", quote(text));
        context.report(cursor.error(codes::BAD_CHOICE, message).help(help));
    }
    status.map(RetryCondition::Status)
}

pub(super) fn decode_timeouts(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<UpstreamTimeouts> {
    let object = Object::open(context, cursor)?;
    let timeouts = UpstreamTimeouts {
        connect: object.get("connect")?.duration(context),
        first_byte: object.get("first_byte")?.duration(context),
        idle: object.get("idle")?.duration(context),
        total: object
            .written("total")
            .map(|cursor| cursor.duration(context)),
        stream_idle: object.get("stream_idle")?.duration(context),
    };
    // What is not written may well be longer.
    let phases = [
        ("connect", timeouts.connect),
        ("first_byte", timeouts.first_byte),
    ];
    for (key, duration) in phases {
        let is_longer = timeouts.total.is_some_and(|total| duration > total);
        if let Some(cursor) = object.written(key).filter(|_| is_longer) {
            check_cut_short(context, &cursor, duration, timeouts.total, "`total`");
        }
    }
    Some(timeouts)
}

pub(super) fn decode_hedge(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    retry: Option<&Retry>,
    timeouts: Option<&UpstreamTimeouts>,
) -> Option<Hedge> {
    let object = Object::open(context, cursor)?;
    let attempts = object.get("attempts")?.number(context);
    let after_cursor = object.written("after")?;
    let after = after_cursor.duration(context);
    let first_byte = timeouts.map(|timeouts| timeouts.first_byte);
    check_cut_short(
        context,
        &after_cursor,
        after,
        first_byte,
        "`timeouts.first_byte`",
    );
    if retry.is_some_and(|retry| retry.budget_percent == 0) {
        let finding = cursor
            .warning(
                codes::WITHOUT_EFFECT,
                "no hedge is within a `retry.budget` of 0%",
            )
            .help("hedges count against the budget of repeats: give it a share, or remove `hedge`");
        context.report(finding);
    }
    Some(Hedge { after, attempts })
}

/// Warns of a duration that never passes because another one, if there is one, ends first.
pub(super) fn check_cut_short(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    duration: Duration,
    by: Option<Duration>,
    by_name: &str,
) {
    // A duration with a mistake stands in as zero.
    if by.is_none_or(|by| by.is_zero() || duration < by) {
        return;
    }
    let finding = cursor
        .warning(codes::CUT_SHORT, format!("{by_name} cuts this short"))
        .help("make this one shorter, or the other one longer");
    context.report(finding);
}
