//! `upstreams`: groups of servers that answer alike.

use std::time::Duration;

use http::StatusCode;

use super::listener::{VERSIONS, decode_authorities, decode_certificate, decode_version};
use crate::codes;
use crate::decode::{Context, Cursor, Mode, Named, Object};
use crate::model::{
    Balance, Health, Pool, Retry, RetryCondition, Target, Upstream, UpstreamHttp2,
    UpstreamTimeouts, UpstreamTls, Zones,
};
use crate::node::Node;
use crate::reference::Reference;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::address::{self, TARGET};
use crate::value::quantity;
use crate::value::text::{self, FREE, MATERIAL, SERVER_NAME};

pub(super) static UPSTREAM: Record = Record {
    name: "upstream",
    about: "A group of servers that answer alike.",
    fields: &[
        field(
            "targets",
            Shape::List {
                items: &Shape::Either(&[Shape::Text(&TARGET), Shape::Record(&TARGET_RECORD)]),
                least: 1,
            },
            "The servers, as `host:port` or with settings of their own.",
        )
        .required(),
        field(
            "balance",
            Shape::Choice(&BALANCES),
            "How a server is picked.",
        )
        .default("round_robin"),
        field(
            "tls",
            Shape::Either(&[Shape::Boolean, Shape::Record(&UPSTREAM_TLS)]),
            "TLS towards the servers. `true` takes the defaults of its settings.",
        )
        .default("false"),
        field(
            "http2",
            Shape::Boolean,
            "`true`: only HTTP/2, on plain TCP with prior knowledge. `false`: only HTTP/1.1. Default: what TLS negotiates, HTTP/1.1 on plain TCP.",
        ),
        field(
            "retry",
            Shape::Record(&RETRY),
            "Repeats of failed attempts, of requests whose repetition is safe.",
        )
        .default("{}"),
        field(
            "timeouts",
            Shape::Record(&UPSTREAM_TIMEOUTS),
            "Deadlines towards the servers.",
        )
        .default("{}"),
        field("pool", Shape::Record(&POOL), "Idle connections.").default("{}"),
        field(
            "health",
            Shape::Anything,
            "Active and passive health checks.",
        )
        .refused(),
    ],
};

static TARGET_RECORD: Record = Record {
    name: "target",
    about: "One server of an upstream.",
    fields: &[
        field(
            "address",
            Shape::Text(&TARGET),
            "Host and port, or `env:NAME`.",
        )
        .required(),
        field(
            "weight",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Share of the traffic relative to the other servers. 0 takes none.",
        )
        .default("1"),
        field(
            "zone",
            Shape::Text(&FREE),
            "Availability zone, shown to the operator.",
        ),
    ],
};

static BALANCES: [Choice; 4] = [
    choice("round_robin", "Weighted round robin, spread smoothly."),
    choice(
        "least_request",
        "Fewest requests in flight of two random candidates, weighted.",
    ),
    Choice {
        text: "peak_ewma",
        about: "Lowest latency.",
        refused: true,
    },
    Choice {
        text: "consistent_hash",
        about: "By a key of the request.",
        refused: true,
    },
];

static UPSTREAM_TLS: Record = Record {
    name: "upstream_tls",
    about: "TLS towards the servers of an upstream.",
    fields: &[
        field(
            "server_name",
            Shape::Text(&SERVER_NAME),
            "Name to ask for and to verify. Default: the server's host.",
        ),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of authorities to trust. Default: the system's.",
        ),
        field(
            "certificate",
            Shape::Text(&MATERIAL),
            "PEM client certificate to present.",
        ),
        field(
            "key",
            Shape::Text(&MATERIAL),
            "PEM private key of the client certificate.",
        ),
        field(
            "min_version",
            Shape::Choice(&VERSIONS),
            "Oldest TLS version accepted.",
        )
        .default("'1.3'"),
    ],
};

static UPSTREAM_TLS_SHAPE: Shape = Shape::Record(&UPSTREAM_TLS);

static RETRY: Record = Record {
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
            "Failures worth another attempt: `connect`, `reset`, or a status from 500 to 599.",
        )
        .default("[connect, reset]"),
        field(
            "budget",
            Shape::Percentage,
            "Repeats allowed as a share of all requests.",
        )
        .default("20%"),
    ],
};

static CONDITIONS: [Choice; 2] = [
    choice("connect", "No connection could be made."),
    choice(
        "reset",
        "The connection ended before a response head arrived.",
    ),
];

const DEADLINE: Shape = Shape::Duration { zero: false };

static UPSTREAM_TIMEOUTS: Record = Record {
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
    ],
};

static POOL: Record = Record {
    name: "pool",
    about: "Idle connections kept per worker and server.",
    fields: &[
        field(
            "max_idle",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Most idle connections kept.",
        )
        .default("256"),
        // Node.js, Apache httpd and uvicorn close idle connections after 5 s. A shorter wait here
        // avoids sending into a connection that the server is just closing; it costs a handshake
        // only where requests are rarer than one in 4 s.
        field(
            "idle_timeout",
            DEADLINE,
            "How long an idle connection is kept. Keep it below the servers' own idle timeout.",
        )
        .default("4s"),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, entry: &Named<'_>) -> Option<Upstream> {
    let object = Object::open(context, &entry.value)?;
    let targets = object
        .written("targets")
        .map(|cursor| decode_targets(context, &cursor));
    let balance = match object.get("balance")?.choice(context) {
        Some("least_request") => Balance::LeastRequest,
        _ => Balance::RoundRobin,
    };
    let tls = decode_tls(context, &object.get("tls")?);
    let http2 = match object
        .written("http2")
        .and_then(|cursor| cursor.boolean(context))
    {
        Some(true) => UpstreamHttp2::Always,
        Some(false) => UpstreamHttp2::Never,
        None => UpstreamHttp2::Negotiate,
    };
    let retry = decode_retry(context, &object.get("retry")?);
    let timeouts = decode_timeouts(context, &object.get("timeouts")?);
    let pool = decode_pool(context, &object.get("pool")?);
    Some(Upstream {
        name: entry.name.to_owned(),
        targets: targets?,
        discovery: None,
        balance,
        sticky: None,
        zones: Zones {
            prefer_own: true,
            overflow_below_percent: 70,
        },
        health: Health {
            active: None,
            passive: None,
            slow_start: Duration::ZERO,
            panic_threshold_percent: 50,
        },
        breaker: None,
        concurrency: None,
        tls,
        http2,
        retry: retry?,
        hedge: None,
        timeouts: timeouts?,
        pool: pool?,
    })
}

fn decode_targets(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Target> {
    let items = cursor.items(context);
    let mut targets = Vec::with_capacity(items.len());
    for item in &items {
        targets.extend(decode_target(context, item));
    }
    let is_complete = !targets.is_empty() && targets.len() == items.len();
    if is_complete && targets.iter().all(|target| target.weight == 0) {
        let finding = cursor
            .error(
                codes::EMPTY_LIST,
                "no target takes traffic: every weight is 0",
            )
            .help("give at least one target a weight");
        context.report(finding);
    }
    targets
}

fn decode_target(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Target> {
    let cursor = cursor.alternative(context)?;
    if matches!(cursor.shape, Shape::Text(_)) {
        let (host, port) = decode_address(context, &cursor)?;
        return Some(Target {
            host,
            port,
            weight: 1,
            zone: None,
        });
    }
    let object = Object::open(context, &cursor)?;
    let address = object
        .written("address")
        .and_then(|cursor| decode_address(context, &cursor));
    let weight = object.get("weight")?.number(context);
    let zone = object
        .written("zone")
        .and_then(|cursor| cursor.parse(context, text::free));
    let (host, port) = address?;
    Some(Target {
        host,
        port,
        weight,
        zone,
    })
}

fn decode_address(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<(String, u16)> {
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        Some(Ok(reference @ Reference::Environment(_))) => {
            if context.mode == Mode::Form {
                return Some((String::new(), 0));
            }
            cursor.referenced_text(context, &reference, "a host and a port", |text| {
                address::target(text).ok()
            })
        }
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        Some(Ok(Reference::File(_))) | None => cursor.parse(context, address::target),
    }
}

fn decode_tls(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<UpstreamTls> {
    let cursor = cursor.alternative(context)?;
    let all_defaults = Node::mapping(cursor.node.span, Vec::new());
    let object = match cursor.shape {
        Shape::Boolean if !cursor.boolean(context)? => return None,
        Shape::Boolean => Object::open(context, &cursor.with(&all_defaults, &UPSTREAM_TLS_SHAPE))?,
        _ => Object::open(context, &cursor)?,
    };
    let presents = object.written("certificate").is_some() || object.written("key").is_some();
    Some(UpstreamTls {
        server_name: object
            .written("server_name")
            .and_then(|cursor| cursor.parse(context, text::server_name)),
        authorities: object
            .written("authorities")
            .and_then(|cursor| decode_authorities(context, &cursor)),
        certificate: if presents {
            decode_certificate(context, &object)
        } else {
            None
        },
        minimum_version: decode_version(context, &object.get("min_version")?),
    })
}

fn decode_retry(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Retry> {
    let object = Object::open(context, cursor)?;
    let attempts = object.get("attempts")?.number(context);
    let when_cursor = object.get("when")?;
    let mut when = Vec::new();
    for item in when_cursor.items(context) {
        when.extend(decode_condition(context, &item));
    }
    let budget_percent = object.get("budget")?.percentage(context);
    Some(Retry {
        attempts,
        when,
        budget_percent,
        backoff: Duration::from_millis(25),
    })
}

fn decode_condition(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<RetryCondition> {
    let text = cursor.text(context)?;
    match text {
        "connect" => return Some(RetryCondition::Connect),
        "reset" => return Some(RetryCondition::Reset),
        _ => {}
    }
    let status = quantity::integer(text, 500, 599)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .and_then(|number| StatusCode::from_u16(number).ok());
    if status.is_none() {
        let help = context.suggest(text, ["connect", "reset"], "conditions beside 500 to 599");
        let message = format!("{} is not a reason to repeat", crate::suggest::quote(text));
        context.report(cursor.error(codes::BAD_CHOICE, message).help(help));
    }
    status.map(RetryCondition::Status)
}

fn decode_timeouts(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<UpstreamTimeouts> {
    let object = Object::open(context, cursor)?;
    Some(UpstreamTimeouts {
        connect: object.get("connect")?.duration(context),
        first_byte: object.get("first_byte")?.duration(context),
        idle: object.get("idle")?.duration(context),
        total: None,
    })
}

fn decode_pool(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Pool> {
    let object = Object::open(context, cursor)?;
    Some(Pool {
        max_idle: object.get("max_idle")?.number(context),
        idle_timeout: object.get("idle_timeout")?.duration(context),
    })
}
