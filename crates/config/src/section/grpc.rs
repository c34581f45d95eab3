//! `grpc` and `sse` of a route, and the statuses of gRPC in other places.

use weir_core::GrpcStatus;

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Grpc, Sse, Streams};
use crate::shape::{Choice, Record, Shape, choice, field};

pub(super) static GRPC: Record = Record {
    name: "grpc",
    about: "gRPC calls of a route. They are known by their content type and need no switch.",
    fields: &[
        field(
            "web",
            Shape::Boolean,
            "Whether gRPC-Web is translated to gRPC for the upstream. `false`: it passes as it is.",
        )
        .default("false"),
        field(
            "max_timeout",
            Shape::Duration { zero: false },
            "Longest deadline that a call may state; a later one is shortened. Default: none.",
        ),
    ],
};

pub(super) static SSE: Record = Record {
    name: "sse",
    about: "Event streams (`text/event-stream`) of a route. They pass unbuffered without it, too.",
    fields: &[
        field(
            "heartbeat",
            Shape::Duration { zero: false },
            "After this long without an event, a comment is sent, which clients ignore. Default: none.",
        ),
        field(
            "hints",
            Shape::Boolean,
            "Whether proxies in front are told not to buffer or change the stream.",
        )
        .default("true"),
    ],
};

/// Statuses that can mean that the same call would go better elsewhere. The others are about the call.
pub(super) static RETRIED: [Choice; 7] = [
    choice("cancelled", "The server gave the call up."),
    choice("unknown", "An error that the server has no word for."),
    choice("deadline_exceeded", "The server ran out of time."),
    choice("resource_exhausted", "The server has no room for the call."),
    choice("aborted", "Another call came in between."),
    choice("internal", "Something in the server is broken."),
    choice("unavailable", "The server takes no calls now."),
];

const RETRIED_STATUSES: [GrpcStatus; 7] = [
    GrpcStatus::Cancelled,
    GrpcStatus::Unknown,
    GrpcStatus::DeadlineExceeded,
    GrpcStatus::ResourceExhausted,
    GrpcStatus::Aborted,
    GrpcStatus::Internal,
    GrpcStatus::Unavailable,
];

pub(super) fn decode_retried(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<GrpcStatus> {
    let mut statuses = Vec::new();
    for item in cursor.items(context) {
        let chosen = item.choice(context);
        let at = RETRIED.iter().position(|known| Some(known.text) == chosen);
        statuses.extend(at.map(|at| RETRIED_STATUSES[at]));
    }
    statuses
}

/// Reads what a route says about calls and streams. `None` if that has mistakes.
pub(super) fn decode(context: &mut Context<'_>, object: &Object<'_>) -> Option<Streams> {
    let grpc = decode_grpc(context, &object.get("grpc")?);
    let sse = match object.written("sse") {
        Some(cursor) => Some(decode_sse(context, &cursor)?),
        None => None,
    };
    Some(Streams { grpc: grpc?, sse })
}

fn decode_grpc(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Grpc> {
    let object = Object::open(context, cursor)?;
    Some(Grpc {
        web: object.get("web")?.boolean(context)?,
        longest_timeout: object
            .written("max_timeout")
            .map(|cursor| cursor.duration(context)),
    })
}

fn decode_sse(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Sse> {
    let object = Object::open(context, cursor)?;
    let heartbeat = object
        .written("heartbeat")
        .map(|cursor| cursor.duration(context));
    let hints = object.get("hints")?.boolean(context)?;
    if heartbeat.is_none() && !hints {
        let finding = cursor
            .warning(
                codes::WITHOUT_EFFECT,
                "event streams pass as they are without `sse`, too",
            )
            .help("write a `heartbeat`, leave `hints` on, or remove `sse`");
        context.report(finding);
    }
    Some(Sse { heartbeat, hints })
}
