//! Settings of the process: admin, deadlines, limits, paths and trusted proxies.

use ipnet::IpNet;

use super::overload::{MINIMUM_RATE, decode_minimum_rate};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Admin, ClientTimeouts, EncodedSlash, KeptRequests, Limits};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::address::{self, LISTEN, ORIGIN};

pub(super) static ADMIN: Record = Record {
    name: "admin",
    about: "The admin listener: health, metrics and the API.",
    fields: &[
        field(
            "address",
            Shape::Text(&LISTEN),
            "Where to listen. Keep it on loopback.",
        )
        .default("127.0.0.1:9900"),
        field(
            "public_url",
            Shape::Text(&ORIGIN),
            "Where people reach it, which links in mail begin with. Default: `http://` and `address`.",
        ),
        field(
            "trusted_proxies",
            Shape::List { items: &Shape::Text(&address::NETWORK), least: 0 },
            "Peers of the admin listener whose `Forwarded` and `X-Forwarded-For` headers say who asks.",
        )
        .default("[]"),
        field(
            "requests",
            Shape::Record(&REQUESTS),
            "Requests kept in memory for `weir requests`.",
        )
        .default("{}"),
    ],
};

static REQUESTS: Record = Record {
    name: "kept_requests",
    about: "How many requests are kept in memory, to be looked at one by one.",
    fields: &[
        field(
            "recent",
            KEPT,
            "The latest of those in the access log.",
        )
        .default("1000"),
        field(
            "noted",
            KEPT,
            "The latest of those that failed, were refused or took long, whatever the access log has.",
        )
        .default("10000"),
        field(
            "slow",
            Shape::Either(&[Shape::Boolean, DEADLINE]),
            "What takes this long is noted. `false` notes none for that.",
        )
        .default("1s"),
    ],
};

/// About 600 bytes each.
const KEPT: Shape = Shape::Integer {
    least: 0,
    most: 1_000_000,
};

const DEADLINE: Shape = Shape::Duration { zero: false };

pub(super) static TIMEOUTS: Record = Record {
    name: "timeouts",
    about: "Deadlines towards clients.",
    fields: &[
        field(
            "handshake",
            DEADLINE,
            "For the PROXY protocol header and the TLS handshake.",
        )
        .default("10s"),
        field(
            "head",
            DEADLINE,
            "For a request's head, and for a new connection's first byte.",
        )
        .default("10s"),
        field("idle", DEADLINE, "Between requests on a kept connection.").default("75s"),
        field(
            "body",
            DEADLINE,
            "Longest silence while a request body is expected.",
        )
        .default("30s"),
        field(
            "write",
            DEADLINE,
            "Longest time in which the client takes nothing of an answer.",
        )
        .default("30s"),
    ],
};

pub(super) static LIMITS: Record = Record {
    name: "limits",
    about: "Bounds on what a client may send or hold.",
    fields: &[
        field(
            "head_bytes",
            Shape::Size {
                least: 1024,
                most: 16 << 20,
            },
            "Bytes of a request's head: request line and header fields together.",
        )
        .default("32KiB"),
        field(
            "headers",
            Shape::Integer {
                least: 1,
                most: 256,
            },
            "Number of header fields.",
        )
        .default("100"),
        field(
            "body_bytes",
            Shape::Size {
                least: 0,
                most: u64::MAX,
            },
            "Bytes of a request body. Default: unbounded.",
        ),
        field(
            "connections",
            Shape::Integer {
                least: 1,
                most: 10_000_000,
            },
            "Open client connections of the whole process. More are refused at once.",
        )
        .default("65536"),
        field(
            "connections_per_address",
            Shape::Integer {
                least: 1,
                most: 10_000_000,
            },
            "Open connections of one client address. Default: unbounded.",
        ),
        field(
            "minimum_rate",
            MINIMUM_RATE,
            "Slowest body or answer that is put up with. `false` puts up with every one.",
        )
        .default("{}"),
        field(
            "streams",
            Shape::Integer {
                least: 1,
                most: 2_147_483_647,
            },
            "Concurrent HTTP/2 streams of one connection.",
        )
        .default("128"),
        field(
            "credential_cache",
            Shape::Size {
                least: 0,
                most: 1 << 40,
            },
            "Memory of the whole process for credentials that were found to be good, so that they are not verified again.",
        )
        .default("64MiB"),
    ],
};

pub(super) static PATHS: Record = Record {
    name: "paths",
    about: "How request paths are read.",
    fields: &[field(
        "encoded_slash",
        Shape::Choice(&ENCODED_SLASH),
        "What happens to a path with `%2F`. Back ends disagree on whether it separates segments.",
    )
    .default("reject")],
};

static ENCODED_SLASH: [Choice; 2] = [
    choice("reject", "The request is refused."),
    choice(
        "keep",
        "It is part of its segment and forwarded as it came.",
    ),
];

pub(super) fn decode_admin(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Admin> {
    let object = Object::open(context, cursor)?;
    let cursor = object.get("address")?;
    let address = cursor.parse(context, address::listen)?;
    if !address.ip().to_canonical().is_loopback() {
        let message = "the admin listener is reachable from other machines";
        let finding = cursor
            .warning(codes::ADMIN_EXPOSED, message)
            .help("listen on 127.0.0.1 and reach it through a tunnel");
        context.report(finding);
    }
    let requests = decode_requests(context, &object.get("requests")?);
    let public_url = object
        .written("public_url")
        .and_then(|cursor| cursor.parse(context, address::public_url));
    let trusted_proxies = decode_trusted_proxies(context, &object.get("trusted_proxies")?);
    Some(Admin {
        address,
        public_url,
        trusted_proxies,
        requests: requests?,
    })
}

fn decode_requests(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<KeptRequests> {
    let object = Object::open(context, cursor)?;
    Some(KeptRequests {
        recent: object.get("recent")?.number(context),
        noted: object.get("noted")?.number(context),
        slow: object.get("slow")?.duration_or_off(context),
    })
}

pub(super) fn decode_trusted_proxies(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for item in cursor.items(context) {
        let Some(network) = item.parse(context, address::network) else {
            continue;
        };
        if network.prefix_len() == 0 {
            let finding = item
                .warning(
                    codes::TRUSTS_EVERYONE,
                    format!("{network} is every address there is"),
                )
                .help("anybody could state any client address: list your proxies' networks");
            context.report(finding);
        }
        networks.push(network);
    }
    networks
}

pub(super) fn decode_timeouts(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<ClientTimeouts> {
    let object = Object::open(context, cursor)?;
    Some(ClientTimeouts {
        handshake: object.get("handshake")?.duration(context),
        head: object.get("head")?.duration(context),
        idle: object.get("idle")?.duration(context),
        body: object.get("body")?.duration(context),
        write: object.get("write")?.duration(context),
    })
}

pub(super) fn decode_limits(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Limits> {
    let object = Object::open(context, cursor)?;
    Some(Limits {
        head_bytes: usize::try_from(object.get("head_bytes")?.size(context)).unwrap_or(usize::MAX),
        headers: object.get("headers")?.number(context),
        body_bytes: object.get("body_bytes").map(|cursor| cursor.size(context)),
        connections: object.get("connections")?.number(context),
        connections_per_address: object
            .written("connections_per_address")
            .map(|cursor| cursor.number(context)),
        minimum_rate: decode_minimum_rate(context, &object.get("minimum_rate")?),
        streams: object.get("streams")?.number(context),
        credential_cache: object.get("credential_cache")?.size(context),
    })
}

pub(super) fn decode_paths(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<EncodedSlash> {
    let object = Object::open(context, cursor)?;
    Some(match object.get("encoded_slash")?.choice(context) {
        Some("keep") => EncodedSlash::Keep,
        _ => EncodedSlash::Reject,
    })
}
