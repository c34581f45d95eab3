//! `discovery` of an upstream: where its servers are found.

use std::time::Duration;

use super::registry::{self, CONSUL, KUBERNETES};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Discovery, DiscoverySource, DnsRecord, DnsSource};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::address::{self, DOMAIN, NETWORK, SERVER};
use crate::value::text::{FILE, SECRET};

pub(super) static DISCOVERY: Record = Record {
    name: "discovery",
    about: "Where servers are found: exactly one source, and what is accepted from it.",
    fields: &[
        field("dns", Shape::Record(&DNS), "Asks DNS."),
        field(
            "file",
            Shape::Either(&[Shape::Text(&FILE), Shape::Record(&FILE_RECORD)]),
            "Reads a YAML or JSON file that something else writes: a list as under `targets`, or a mapping with that key. A relative path starts at the configuration file's directory.",
        ),
        field("consul", Shape::Record(&CONSUL), "Asks Consul."),
        field(
            "kubernetes",
            Shape::Record(&KUBERNETES),
            "Watches the EndpointSlices of a service.",
        ),
        field(
            "registration",
            Shape::Record(&REGISTRATION),
            "Servers announce themselves through the admin API.",
        ),
        field(
            "networks",
            Shape::List {
                items: &Shape::Text(&NETWORK),
                least: 0,
            },
            "Networks that servers may be in; one outside is left out. Default: every network.",
        )
        .default("[]"),
        field(
            "max_targets",
            Shape::Integer {
                least: 1,
                most: 100_000,
            },
            "An answer with more servers than this is refused as a whole.",
        )
        .default("1000"),
    ],
};

const SOURCES: [&str; 5] = ["dns", "file", "consul", "kubernetes", "registration"];

static DNS: Record = Record {
    name: "dns",
    about: "Servers by DNS.",
    fields: &[
        field("name", Shape::Text(&DOMAIN), "The name to ask for.").required(),
        field("record", Shape::Choice(&RECORDS), "What is asked for.").default("addresses"),
        field(
            "port",
            Shape::Integer {
                least: 1,
                most: 65_535,
            },
            "Port of every server, needed with `addresses`.",
        ),
        field(
            "servers",
            Shape::List {
                items: &Shape::Text(&SERVER),
                least: 0,
            },
            "Servers of DNS to ask. Default: those of `/etc/resolv.conf`.",
        )
        .default("[]"),
        field(
            "min_ttl",
            LIFETIME,
            "Answers are believed for as long as they say, but at least this long.",
        )
        .default("1s"),
        field("max_ttl", LIFETIME, "And at most this long.").default("5m"),
    ],
};

const LIFETIME: Shape = Shape::Duration { zero: false };

static RECORDS: [Choice; 2] = [
    choice("addresses", "A and AAAA records."),
    choice(
        "srv",
        "SRV records (RFC 2782): ports and weights come with the answer.",
    ),
];

static FILE_RECORD: Record = Record {
    name: "discovery_file",
    about: "A file that lists servers.",
    fields: &[field(
        "path",
        Shape::Text(&FILE),
        "The file; it need not be there yet.",
    )
    .required()],
};

static REGISTRATION: Record = Record {
    name: "registration",
    about: "Servers that announce themselves.",
    fields: &[
        field(
            "expiry",
            LIFETIME,
            "A server that was not heard of for this long is gone.",
        )
        .default("30s"),
        field(
            "token",
            Shape::Text(&SECRET),
            "Reference to what a server must present as bearer token. Default: only the operator may register servers.",
        ),
    ],
};

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Discovery> {
    let object = Object::open(context, cursor)?;
    let chosen = object.one_of(context, &SOURCES);
    if chosen.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the discovery has no source")
            .help("write one of `dns`, `file`, `consul`, `kubernetes` and `registration`");
        object.report(context, object.node.head(), finding);
    }
    // Each that is there is read, so that its mistakes are found.
    let mut source = None;
    for key in SOURCES {
        let Some(cursor) = object.written(key) else {
            continue;
        };
        if cursor.node.span.is_beside() && matches!(key, "consul" | "kubernetes") {
            report_registry(context, &cursor, key);
        }
        let read = decode_source(context, key, &cursor);
        source = source.or(read);
    }
    let networks = object.get("networks")?.networks(context);
    let most_targets = object.get("max_targets")?.number(context);
    Some(Discovery {
        source: source?,
        networks,
        most_targets,
    })
}

/// A registry answers this machine what it would not answer everybody.
fn report_registry(context: &mut Context<'_>, cursor: &Cursor<'_>, key: &str) {
    let message = format!("a resource cannot have Weir ask `{key}`");
    let finding = cursor
        .error(codes::REFERENCE_IN_RESOURCE, message)
        .help("write the upstream into the file, where routes of resources can name it");
    context.report(finding);
}

fn decode_source(
    context: &mut Context<'_>,
    key: &str,
    cursor: &Cursor<'_>,
) -> Option<DiscoverySource> {
    match key {
        "dns" => decode_dns(context, cursor).map(DiscoverySource::Dns),
        "file" => decode_file(context, cursor),
        "consul" => registry::decode_consul(context, cursor).map(DiscoverySource::Consul),
        "kubernetes" => {
            registry::decode_kubernetes(context, cursor).map(DiscoverySource::Kubernetes)
        }
        _ => decode_registration(context, cursor),
    }
}

fn decode_dns(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<DnsSource> {
    let object = Object::open(context, cursor)?;
    let name = object
        .written("name")
        .and_then(|cursor| cursor.parse(context, address::domain));
    let record = decode_record(context, &object);
    let mut servers = Vec::new();
    for item in object.get("servers")?.items(context) {
        if item.node.span.is_beside() {
            let message = "a resource cannot choose who is asked for names";
            let finding = item
                .error(codes::REFERENCE_IN_RESOURCE, message)
                .help("leave out `servers`, or write the upstream into the file");
            context.report(finding);
        }
        servers.extend(item.parse(context, address::server));
    }
    let least_ttl = object.get("min_ttl")?.duration(context);
    let most_ttl = object.get("max_ttl")?.duration(context);
    if least_ttl > most_ttl && most_ttl > Duration::ZERO {
        let finding = Finding::error(codes::BAD_DURATION, "`min_ttl` is longer than `max_ttl`")
            .help("write both, `min_ttl` not longer than `max_ttl`");
        let written = object.written("min_ttl").or(object.written("max_ttl"));
        object.report(
            context,
            written.map_or(cursor.span(), |cursor| cursor.span()),
            finding,
        );
    }
    Some(DnsSource {
        name: name?,
        record: record?,
        servers,
        least_ttl,
        most_ttl,
    })
}

fn decode_record(context: &mut Context<'_>, object: &Object<'_>) -> Option<DnsRecord> {
    let port = object.written("port");
    let number = port.map(|cursor| cursor.number(context));
    match object.get("record")?.choice(context)? {
        "srv" => {
            if port.is_some() {
                let message = "`port` cannot stand beside `record: srv`";
                let finding = Finding::error(codes::CONFLICT, message)
                    .help("remove it: the records carry the ports");
                object.report(context, object.key_span("port"), finding);
            }
            Some(DnsRecord::Service)
        }
        _ if number.is_none() => {
            object.report_missing(context, "port", "Port of every server.");
            None
        }
        _ => number.map(|port| DnsRecord::Addresses { port }),
    }
}

fn decode_file(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<DiscoverySource> {
    let cursor = cursor.alternative(context)?;
    let path = if matches!(cursor.shape, Shape::Text(_)) {
        cursor.later_file(context)?
    } else {
        let object = Object::open(context, &cursor)?;
        object.written("path")?.later_file(context)?
    };
    Some(DiscoverySource::File { path })
}

fn decode_registration(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<DiscoverySource> {
    let object = Object::open(context, cursor)?;
    let token = object
        .written("token")
        .and_then(|cursor| cursor.secret(context));
    Some(DiscoverySource::Registration {
        expiry: object.get("expiry")?.duration(context),
        token,
    })
}
