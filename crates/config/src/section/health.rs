//! `health` of an upstream: which of its servers take traffic.

use http::Method;

use super::retry::check_cut_short;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{ActiveCheck, Health, PassiveCheck, Probe};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::http::{self as grammar, HOST_HEADER, REQUEST_TARGET, STATUS_RANGE};
use crate::value::text::{self, NAME};

pub(super) static HEALTH: Record = Record {
    name: "health",
    about: "How the health of servers is found out and what follows from it.",
    fields: &[
        field(
            "active",
            Shape::Record(&ACTIVE),
            "Questions asked of each server. Default: none.",
        ),
        field(
            "passive",
            Shape::Either(&[Shape::Boolean, Shape::Record(&PASSIVE)]),
            "Ejection of servers that fail requests. `false` turns it off.",
        )
        .default("{}"),
        field(
            "slow_start",
            Shape::Duration { zero: true },
            "How long the share of a server that became healthy, or joined, grows to its whole.",
        )
        .default("0s"),
        field(
            "panic_threshold",
            Shape::Percentage { zero: true },
            "When less than this share of the weight is healthy, health is ignored; with `zones`, when that is so of the own zone and of all others together. 0% turns it off.",
        )
        .default("50%"),
    ],
};

static ACTIVE: Record = Record {
    name: "active_check",
    about: "A question asked of each server again and again: exactly one of `path`, `tcp` and `grpc`.",
    fields: &[
        field(
            "path",
            Shape::Text(&REQUEST_TARGET),
            "Asks for this path, perhaps with a query.",
        ),
        field(
            "tcp",
            Shape::Boolean,
            "`true`: asks only for a connection, TLS included.",
        ),
        field(
            "grpc",
            Shape::Boolean,
            "`true`: asks the health service of gRPC (`grpc.health.v1.Health`), over HTTP/2.",
        ),
        field(
            "service",
            Shape::Text(&NAME),
            "With `grpc`: whose health is asked for. Default: the server's as a whole.",
        ),
        field("method", Shape::Choice(&METHODS), "Method of the request.").default("GET"),
        field(
            "host",
            Shape::Text(&HOST_HEADER),
            "What to send as Host. Default: the server's own.",
        ),
        field(
            "status",
            Shape::List {
                items: &Shape::Text(&STATUS_RANGE),
                least: 1,
            },
            "Statuses that mean healthy: numbers and ranges.",
        )
        .default("[200-399]"),
        field(
            "port",
            Shape::Integer {
                least: 1,
                most: 65_535,
            },
            "Another port to ask. Default: the server's own.",
        ),
        field(
            "interval",
            DEADLINE,
            "From one question to the next, give or take a tenth.",
        )
        .default("2s"),
        field("timeout", DEADLINE, "How long an answer may take in all.").default("1s"),
        field(
            "unhealthy_after",
            ANSWERS,
            "Wrong answers in a row until a server is unhealthy.",
        )
        .default("3"),
        field(
            "healthy_after",
            ANSWERS,
            "Right answers in a row until a server is healthy again.",
        )
        .default("2"),
    ],
};

const DEADLINE: Shape = Shape::Duration { zero: false };

const ANSWERS: Shape = Shape::Integer {
    least: 1,
    most: 1000,
};

static METHODS: [Choice; 2] = [
    choice("GET", "The answer's body is not waited for."),
    choice("HEAD", "The answer has no body."),
];

static PASSIVE: Record = Record {
    name: "passive_check",
    about: "Ejection of servers that fail requests.",
    fields: &[
        field(
            "consecutive_failures",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Failures in a row that eject a server. 0 turns this off.",
        )
        .default("5"),
        field(
            "statuses",
            Shape::List {
                items: &Shape::Integer {
                    least: 400,
                    most: 599,
                },
                least: 0,
            },
            "Statuses that count as failures, beside connections, deadlines and responses that fail.",
        )
        .default("[]"),
        field(
            "failure_rate",
            Shape::Percentage { zero: false },
            "Share of failed requests over ten seconds that ejects a server. Default: none.",
        ),
        field(
            "min_requests",
            Shape::Integer {
                least: 1,
                most: 1_000_000,
            },
            "Requests in these ten seconds below which the share says nothing.",
        )
        .default("100"),
        field(
            "eject_for",
            DEADLINE,
            "First time without traffic; it grows by itself with each further ejection, up to ten times.",
        )
        .default("30s"),
        field(
            "max_ejected",
            Shape::Percentage { zero: false },
            "Largest share of the servers that is ejected at a time. The last one never is.",
        )
        .default("50%"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Health> {
    let object = Object::open(context, cursor)?;
    Some(Health {
        active: object
            .written("active")
            .and_then(|cursor| decode_active(context, &cursor)),
        passive: decode_passive(context, &object.get("passive")?),
        slow_start: object.get("slow_start")?.duration(context),
        panic_threshold_percent: object.get("panic_threshold")?.percentage(context),
    })
}

fn decode_active(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<ActiveCheck> {
    let object = Object::open(context, cursor)?;
    let probe = decode_probe(context, &object);
    let interval = object.get("interval")?.duration(context);
    let timeout = object.get("timeout")?.duration(context);
    if let Some(cursor) = object.written("timeout").filter(|_| timeout > interval) {
        check_cut_short(context, &cursor, timeout, Some(interval), "`interval`");
    }
    Some(ActiveCheck {
        probe: probe?,
        interval,
        timeout,
        unhealthy_after: object.get("unhealthy_after")?.number(context),
        healthy_after: object.get("healthy_after")?.number(context),
        port: object.written("port").map(|cursor| cursor.number(context)),
    })
}

fn decode_probe(context: &mut Context<'_>, object: &Object<'_>) -> Option<Probe> {
    let mut switch = |key| {
        let cursor = object.written(key)?;
        Some(cursor.boolean(context))
    };
    let (tcp, grpc) = (switch("tcp"), switch("grpc"));
    // A switch that is no boolean has been reported.
    let is_reported = tcp == Some(None) || grpc == Some(None);
    let (tcp, grpc) = (tcp == Some(Some(true)), grpc == Some(Some(true)));
    if object.written("path").is_none() && !tcp && !grpc {
        if !object.has_unknown() && !is_reported {
            let finding = Finding::error(codes::NOTHING_CHOSEN, "the check asks nothing").help(
                "write `path` to ask over HTTP, `grpc: true` for gRPC, or `tcp: true` to only connect",
            );
            object.report(context, object.node.head(), finding);
        }
        return None;
    }
    // Read even beside another one, for its own mistakes.
    let http = if grpc {
        None
    } else {
        decode_http(context, object)
    };
    let (chosen, excluded): (_, &[&str]) = if tcp {
        (
            "tcp",
            &["path", "method", "host", "status", "grpc", "service"],
        )
    } else if grpc {
        ("grpc", &["path", "method", "status"])
    } else {
        ("path", &["service"])
    };
    for key in excluded {
        if object.written(key).is_some() {
            object.report_conflict(context, chosen, key);
        }
    }
    match chosen {
        "tcp" => Some(Probe::Tcp),
        "grpc" => Some(decode_grpc(context, object)),
        _ => http,
    }
}

fn decode_grpc(context: &mut Context<'_>, object: &Object<'_>) -> Probe {
    let service = object
        .written("service")
        .and_then(|cursor| cursor.parse(context, text::name));
    let host = object
        .written("host")
        .and_then(|cursor| cursor.parse(context, grammar::host_text));
    Probe::Grpc {
        service: service.unwrap_or_default(),
        host,
    }
}

fn decode_http(context: &mut Context<'_>, object: &Object<'_>) -> Option<Probe> {
    let path = object
        .written("path")
        .and_then(|cursor| cursor.parse(context, grammar::request_target));
    let method = match object.get("method")?.choice(context) {
        Some("HEAD") => Method::HEAD,
        _ => Method::GET,
    };
    let host = object
        .written("host")
        .and_then(|cursor| cursor.parse(context, grammar::host_text));
    let mut statuses = Vec::new();
    for item in object.get("status")?.items(context) {
        statuses.extend(item.parse(context, grammar::status_range));
    }
    Some(Probe::Http {
        method,
        path: path?,
        host,
        statuses,
    })
}

fn decode_passive(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<PassiveCheck> {
    cursor.switched(context, |context, object| {
        let consecutive_failures = object.get("consecutive_failures")?.number(context);
        let rate = object.written("failure_rate");
        if rate.is_none()
            && let Some(cursor) = object.written("min_requests")
        {
            let finding = cursor
                .warning(
                    codes::WITHOUT_EFFECT,
                    "without `failure_rate` nothing is counted to it",
                )
                .help("write `failure_rate` beside it, or remove it");
            context.report(finding);
        }
        let failures = object.written("consecutive_failures");
        if let Some(cursor) = failures.filter(|_| rate.is_none() && consecutive_failures == 0) {
            let finding = cursor
                .warning(codes::WITHOUT_EFFECT, "nothing ejects a server")
                .help("write `passive: false` if that is meant, or a `failure_rate`");
            context.report(finding);
        }
        let mut statuses = Vec::new();
        for item in object.get("statuses")?.items(context) {
            statuses.push(item.number(context));
        }
        Some(PassiveCheck {
            consecutive_failures,
            statuses,
            failure_rate_percent: rate.map(|cursor| cursor.percentage(context)),
            minimum_requests: object.get("min_requests")?.number(context),
            eject_for: object.get("eject_for")?.duration(context),
            max_ejected_percent: object.get("max_ejected")?.percentage(context),
        })
    })
}
