//! `upstreams`: groups of servers that answer alike.

use super::balance::{self, BALANCES, STICKY, ZONES};
use super::breaker::{self, BREAKER, CONCURRENCY};
use super::discovery::{self, DISCOVERY};
use super::health::{self, HEALTH};
use super::listener::{VERSIONS, decode_authorities, decode_certificate, decode_version};
use super::retry::{self, HEDGE, RETRY, UPSTREAM_TIMEOUTS};
use super::target;
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{Pings, Pool, Probe, Reach, Upstream, UpstreamHttp2, UpstreamTls};
use crate::shape::{Record, Shape, field};
use crate::value::text::{self, MATERIAL, SERVER_NAME};

pub(super) static UPSTREAM: Record = Record {
    name: "upstream",
    about: "A group of servers that answer alike: either `targets` or `discovery` says which.",
    fields: &[
        field(
            "targets",
            target::TARGETS,
            "The servers, as `host:port` or with settings of their own.",
        ),
        field(
            "discovery",
            Shape::Record(&DISCOVERY),
            "Where the servers are found instead.",
        ),
        field(
            "balance",
            Shape::Choice(&BALANCES),
            "How a server is picked.",
        )
        .default("round_robin"),
        field(
            "hash",
            balance::HASH,
            "With `consistent_hash`: what decides where a request goes. Default: `address`.",
        ),
        field(
            "sticky",
            Shape::Record(&STICKY),
            "Brings a client back to its server by a cookie, whatever `balance` says.",
        ),
        field("zones", Shape::Record(&ZONES), "Which servers are near.").default("{}"),
        field(
            "health",
            Shape::Record(&HEALTH),
            "Which servers take traffic.",
        )
        .default("{}"),
        field(
            "breaker",
            Shape::Either(&[Shape::Boolean, Shape::Record(&BREAKER)]),
            "When the upstream as a whole is not asked. `true` takes the defaults of its settings.",
        )
        .default("false"),
        field(
            "concurrency",
            Shape::Record(&CONCURRENCY),
            "How much the upstream is asked at a time. Default: unbounded.",
        ),
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
            "hedge",
            Shape::Record(&HEDGE),
            "A second attempt before the first one failed. Default: none.",
        ),
        field(
            "timeouts",
            Shape::Record(&UPSTREAM_TIMEOUTS),
            "Deadlines towards the servers.",
        )
        .default("{}"),
        field("pool", Shape::Record(&POOL), "Connections.").default("{}"),
    ],
};

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

static POOL: Record = Record {
    name: "pool",
    about: "Connections per worker and server.",
    fields: &[
        // Far more than any server serves at a time, and few enough that a burst does not use up this
        // machine's ports: about 28,000 towards one address.
        field(
            "max_connections",
            Shape::Integer {
                least: 1,
                most: 1_000_000,
            },
            "Most HTTP/1.1 connections, in use or not. Further requests wait for one, at most as long as `timeouts.connect`. Requests whose body is still to come get three quarters of them.",
        )
        .default("4096"),
        // Room for all that was under way in a burst: a connection that is closed after it and made anew
        // in the next one costs more than the request. What is not used goes by `idle_timeout`.
        field(
            "max_idle",
            Shape::Integer {
                least: 0,
                most: 1_000_000,
            },
            "Most idle connections kept.",
        )
        .default("4096"),
        // Node.js, Apache httpd and uvicorn close idle connections after 5 s. A shorter wait here
        // avoids sending into a connection that the server is just closing; it costs a handshake
        // only where requests are rarer than one in 4 s.
        field(
            "idle_timeout",
            Shape::Duration { zero: false },
            "How long an idle connection is kept. Keep it below the servers' own idle timeout.",
        )
        .default("4s"),
        // Together less than the usual `first_byte`: requests to a server that is gone are sent again
        // before their clients are told that it took too long.
        field(
            "ping_interval",
            Shape::Either(&[Shape::Boolean, INTERVAL]),
            "Silence of an HTTP/2 connection, while something is under way, after which it gets a PING. `false`: none is sent.",
        )
        .default("8s"),
        field(
            "ping_timeout",
            INTERVAL,
            "Time for the answer. Without one the connection is over.",
        )
        .default("4s"),
    ],
};

const INTERVAL: Shape = Shape::Duration { zero: false };

/// Reads one entry of `upstreams`. `has_zone`: whether this node's zone is known.
pub(super) fn decode(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    has_zone: bool,
) -> Option<Upstream> {
    let object = Object::open(context, &entry.value)?;
    let chosen = object.one_of(context, &["targets", "discovery"]);
    if chosen.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the upstream has no servers")
            .help("write `targets` to list them, or `discovery` to find them");
        let has_keys = !object.node.entries().is_empty();
        let span = if has_keys {
            object.node.head()
        } else {
            entry.name_span
        };
        object.report(context, span, finding);
    }
    let targets = object
        .written("targets")
        .map(|cursor| target::decode(context, &cursor));
    let discovery = object
        .written("discovery")
        .and_then(|cursor| discovery::decode(context, &cursor));
    let balance = balance::decode(context, &object);
    let sticky = object
        .written("sticky")
        .and_then(|cursor| balance::decode_sticky(context, &cursor));
    let zones = balance::decode_zones(context, &object.get("zones")?, has_zone);
    let health = health::decode(context, &object.get("health")?);
    let tls = decode_tls(context, &object.get("tls")?);
    let http2 = match object
        .written("http2")
        .and_then(|cursor| cursor.boolean(context))
    {
        Some(true) => UpstreamHttp2::Always,
        Some(false) => UpstreamHttp2::Never,
        None => UpstreamHttp2::Negotiate,
    };
    let asks_grpc = health.as_ref().and_then(|health| health.active.as_ref());
    let asks_grpc = asks_grpc.is_some_and(|check| matches!(check.probe, Probe::Grpc { .. }));
    if asks_grpc && http2 == UpstreamHttp2::Never {
        let finding = Finding::error(codes::CONFLICT, "a check of kind `grpc` needs HTTP/2")
            .help("write `http2: true`, as gRPC calls need it, too");
        object.report(context, object.key_span("http2"), finding);
    }
    let findings_before = context.findings.len();
    let retry = retry::decode_retry(context, &object.get("retry")?);
    let has_mistakes = context.findings.len() > findings_before;
    let timeouts = retry::decode_timeouts(context, &object.get("timeouts")?);
    let hedge = object.written("hedge").and_then(|cursor| {
        // What could not be read says nothing about hedges.
        let retry = retry.as_ref().filter(|_| !has_mistakes);
        retry::decode_hedge(context, &cursor, retry, timeouts.as_ref())
    });
    let breaker = breaker::decode_breaker(context, &object.get("breaker")?, timeouts.as_ref());
    let concurrency = object
        .written("concurrency")
        .and_then(|cursor| breaker::decode_concurrency(context, &cursor, timeouts.as_ref()));
    let pool = decode_pool(context, &object.get("pool")?);
    Some(Upstream {
        name: entry.name.to_owned(),
        targets: targets.unwrap_or_default(),
        discovery,
        balance: balance?,
        sticky,
        zones: zones?,
        health: health?,
        breaker,
        concurrency,
        tls,
        http2,
        retry: retry?,
        hedge,
        timeouts: timeouts?,
        pool: pool?,
        // Of a resource, it is bounded when the whole is known.
        reach: Reach::Anywhere,
    })
}

fn decode_tls(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<UpstreamTls> {
    cursor.switched(context, |context, object| {
        let presents = object.written("certificate").is_some() || object.written("key").is_some();
        Some(UpstreamTls {
            server_name: object
                .written("server_name")
                .and_then(|cursor| cursor.parse(context, text::server_name)),
            authorities: object
                .written("authorities")
                .and_then(|cursor| decode_authorities(context, &cursor)),
            certificate: if presents {
                decode_certificate(context, object)
            } else {
                None
            },
            minimum_version: decode_version(context, &object.get("min_version")?),
        })
    })
}

fn decode_pool(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Pool> {
    let object = Object::open(context, cursor)?;
    Some(Pool {
        max_connections: object.get("max_connections")?.number(context),
        max_idle: object.get("max_idle")?.number(context),
        idle_timeout: object.get("idle_timeout")?.duration(context),
        pings: decode_pings(context, &object)?,
    })
}

fn decode_pings(context: &mut Context<'_>, pool: &Object<'_>) -> Option<Option<Pings>> {
    let timeout = pool.get("ping_timeout")?.duration(context);
    let interval = pool.get("ping_interval")?.duration_or_off(context);
    Some(interval.map(|interval| Pings { interval, timeout }))
}
