//! The whole configuration.

use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};

use super::access;
use super::check::{self, Declared};
use super::overload::{self, OVERLOAD};
use super::{
    beside, by_claims, certificate, clash, identity, lending, listener, log, mail, policy, records,
    route, settings, telemetry, upstream,
};
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object, Path};
use crate::diagnostic::Finding;
use crate::model::{Bounds, Config, EncodedSlash};
use crate::node::{Node, Value};
use crate::reference::Reference;
use crate::shape::{Record, Shape, field};
use crate::value::address;
use crate::value::text::{DIRECTORY, NAME, ZONE, free};

pub(crate) static ROOT: Record = Record {
    name: "configuration",
    about: "A Weir configuration.",
    fields: &[
        field(
            "workers",
            Shape::Integer { least: 1, most: 1024 },
            "Data-plane threads. Default: one per core that this process may use.",
        ),
        field("admin", Shape::Record(&settings::ADMIN), "The admin listener.").default("{}"),
        field(
            "data",
            Shape::Text(&DIRECTORY),
            "Directory for what Weir keeps. A relative path starts at the working directory. `--data-dir` and `WEIR_DATA` win over it.",
        )
        .default("./weir-data"),
        field(
            "records",
            Shape::Record(&records::RECORDS),
            "Where organizations, people, revisions and audit are kept.",
        )
        .default("{}"),
        field(
            "identity",
            Shape::Record(&identity::IDENTITY),
            "How people and programs are known.",
        )
        .default("{}"),
        field(
            "mail",
            Shape::Record(&mail::MAIL),
            "How letters to people leave. Default: not at all; whoever invites is handed the link.",
        ),
        field(
            "zone",
            Shape::Text(&ZONE),
            "Availability zone of this node, or a reference to it. Upstreams prefer servers of the same zone.",
        ),
        field(
            "listeners",
            Shape::List { items: &Shape::Record(&listener::LISTENER), least: 1 },
            "Addresses that accept traffic, at least one.",
        )
        .required(),
        field(
            "certificates",
            Shape::Map { names: &NAME, values: &Shape::Record(&certificate::NAMED_CERTIFICATE) },
            "Certificates for listeners with TLS, by name. A listener's own go before them.",
        )
        .default("{}"),
        field(
            "upstreams",
            Shape::Map { names: &NAME, values: &Shape::Record(&upstream::UPSTREAM) },
            "Groups of servers that answer alike, by name.",
        )
        .default("{}"),
        field(
            "policies",
            Shape::Map { names: &NAME, values: &Shape::Record(&policy::POLICY) },
            "Policies that routes list, by name. Each is of one kind.",
        )
        .default("{}"),
        field(
            "routes",
            Shape::List { items: &Shape::Record(&route::ROUTE), least: 0 },
            "Which requests go where. The most specific match wins, whatever the order.",
        )
        .default("[]"),
        field(
            "resources",
            Shape::Record(&beside::RESOURCES),
            "What may be kept beside the file, through the admin API.",
        )
        .default("{}"),
        field(
            "trusted_proxies",
            Shape::List { items: &Shape::Text(&address::NETWORK), least: 0 },
            "Peers whose `Forwarded` and `X-Forwarded-*` headers are believed.",
        )
        .default("[]"),
        field("timeouts", Shape::Record(&settings::TIMEOUTS), "Deadlines towards clients.")
            .default("{}"),
        field("limits", Shape::Record(&settings::LIMITS), "Bounds on what a client may send or hold.")
            .default("{}"),
        field("overload", Shape::Record(&OVERLOAD), "Bounds on the process as a whole.")
            .default("{}"),
        field("paths", Shape::Record(&settings::PATHS), "How request paths are read.").default("{}"),
        field("log", Shape::Record(&log::LOG), "Logs.").default("{}"),
        field(
            "tracing",
            Shape::Either(&[Shape::Boolean, Shape::Record(&telemetry::TRACING)]),
            "Distributed tracing. `true` takes the defaults of its settings. Default: trace context is left alone.",
        ),
        field(
            "otlp",
            Shape::Record(&telemetry::OTLP),
            "Who is sent traces, and logs if `log.output` says so. Default: nobody.",
        ),
        field(
            "drain_timeout",
            Shape::Duration { zero: true },
            "How long requests in flight may take when Weir stops or is replaced.",
        )
        .default("30s"),
        field(
            "environments",
            Shape::Map { names: &NAME, values: &Shape::Overlay },
            "Changes for one environment, selected with `--environment`. Mappings merge, lists and values replace, `null` removes a key.",
        )
        .default("{}"),
    ],
};

/// Reads a whole tree. The result is only good if the context has no errors afterwards.
pub(crate) fn decode(
    context: &mut Context<'_>,
    root: &Node,
    environment: Option<&str>,
    data: Option<&FilePath>,
) -> Option<Config> {
    static SHAPE: Shape = Shape::Record(&ROOT);
    let cursor = Cursor {
        node: root,
        shape: &SHAPE,
        path: Path::ROOT,
    };
    let object = Object::open(context, &cursor)?;

    let listeners_cursor = object.written("listeners");
    let mut listeners = match &listeners_cursor {
        Some(cursor) => listener::decode_all(context, cursor),
        None => Vec::new(),
    };
    let certificates_cursor = object.get("certificates")?;
    let certificate_entries = named(context, &certificates_cursor);
    let certificates = certificate::decode_all(context, &certificate_entries, &mut listeners);
    let upstreams_cursor = object.get("upstreams")?;
    let upstream_entries = named(context, &upstreams_cursor);
    let policies_cursor = object.get("policies")?;
    let policy_entries = named(context, &policies_cursor);

    let zone = decode_zone(context, &object);
    // One with a mistake is one.
    let has_zone = object.written("zone").is_some();

    let mut declared = Declared::new(&upstream_entries, &policy_entries);
    declared.is_incomplete = object.written("routes").is_none() && has_unknown_list(&object);
    let mut upstreams: Vec<_> = upstream_entries
        .iter()
        .filter_map(|entry| upstream::decode(context, entry, has_zone))
        .collect();
    declared.note_versions(&upstreams);
    let mut policies = Vec::with_capacity(policy_entries.len());
    for (index, entry) in policy_entries.iter().enumerate() {
        policies.extend(policy::decode(context, entry, index, &mut declared));
    }
    access::report_unasked(context, &policy_entries, &policies, &listeners);
    let routes_cursor = object.get("routes")?;
    let routes = route::decode_all(context, &routes_cursor, &mut declared);
    by_claims::report_other_verifiers(context, &routes_cursor, &routes, &declared);
    check::report_unused(context, &upstream_entries, &policy_entries, &declared);

    let admin = settings::decode_admin(context, &object.get("admin")?);
    if let Some(admin) = &admin {
        clash::report_shared_admin_address(context, &object, &listeners, admin.address);
    }
    let workers = decode_workers(context, &object);
    let data = decode_data(context, &object, data);
    let records = records::decode(context, &object.get("records")?);
    let identity = identity::decode(context, &object.get("identity")?);
    let mail = mail::decode(context, &object);
    let trusted_proxies =
        settings::decode_trusted_proxies(context, &object.get("trusted_proxies")?);
    let timeouts = settings::decode_timeouts(context, &object.get("timeouts")?);
    let limits = settings::decode_limits(context, &object.get("limits")?);
    let overload = overload::decode(context, &object.get("overload")?);
    let encoded_slash = settings::decode_paths(context, &object.get("paths")?);
    if encoded_slash == Some(EncodedSlash::Reject) {
        clash::report_refused_paths(context, &routes_cursor, &routes);
    }
    if policies.len() == policy_entries.len() {
        access::report_lent_sessions(context, &routes_cursor, &routes, &policies);
        let policies: Vec<_> = policy_entries.iter().zip(&policies).collect();
        beside::report_secrets(
            context,
            &routes_cursor,
            &routes,
            &upstream_entries,
            &policies,
        );
        // Indices hold only if none is left out.
        lending::note(
            context,
            &routes_cursor,
            &routes,
            &upstream_entries,
            &policy_entries,
        );
    }
    let networks = beside::decode_networks(context, &object.get("resources")?);
    // The same goes for upstreams.
    if upstreams.len() == upstream_entries.len() {
        clash::report_shared_cookies(context, &routes_cursor, &routes, &upstreams);
        clash::report_own_targets(context, &upstream_entries, &upstreams, &listeners);
        if let Some(admin) = &admin {
            clash::report_unbelieved_targets(context, &upstream_entries, &upstreams, admin);
        }
        if let (Some(networks), Some(admin)) = (networks, &admin) {
            let bounds = Bounds {
                networks,
                admin: admin.address,
            };
            beside::bound(context, &upstream_entries, &mut upstreams, bounds);
        }
    }
    let log = log::decode(context, &object.get("log")?);
    let tracing = telemetry::decode_tracing(context, &object);
    let otlp = telemetry::decode_otlp(context, &object);
    telemetry::check_use(context, &object, log.as_ref(), tracing);
    let drain_timeout = object.get("drain_timeout")?.duration(context);

    let identity = identity?;
    Some(Config {
        environment: environment.map(str::to_owned),
        workers,
        admin: admin?,
        data,
        records: records?,
        tokens: identity.tokens,
        sessions: identity.sessions,
        return_origins: identity.return_origins,
        sign_in_hosts: identity.sign_in_hosts,
        leaked_keys: identity.leaked_keys,
        mail,
        zone,
        listeners: listeners
            .into_iter()
            .map(|(listener, _)| listener)
            .collect(),
        certificates,
        upstreams,
        policies,
        routes,
        trusted_proxies,
        timeouts: timeouts?,
        limits: limits?,
        overload: overload?,
        encoded_slash: encoded_slash?,
        log: log?,
        tracing,
        otlp,
        drain_timeout,
    })
}

/// Whether there is a list under a key that means nothing: it may be the routes.
fn has_unknown_list(object: &Object<'_>) -> bool {
    let mut entries = object.node.entries().iter();
    entries.any(|entry| {
        matches!(entry.value.value, Value::Sequence(_)) && ROOT.field(&entry.key).is_none()
    })
}

/// Entries with usable names, sorted by them.
fn named<'a>(context: &mut Context<'_>, cursor: &'a Cursor<'a>) -> Vec<Named<'a>> {
    let mut entries = cursor.entries(context);
    entries.sort_by_key(|entry| entry.name);
    for entry in &entries {
        entry.check_name(context);
    }
    entries
}

fn decode_workers(context: &mut Context<'_>, object: &Object<'_>) -> usize {
    match object.written("workers") {
        Some(cursor) => cursor.number(context),
        None => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
    }
}

fn decode_zone(context: &mut Context<'_>, object: &Object<'_>) -> Option<String> {
    let cursor = object.written("zone")?;
    let text = cursor.text(context)?;
    match Reference::parse(text) {
        Some(Ok(reference)) => {
            cursor.referenced_text(context, &reference, "a zone", |text| free(text).ok())
        }
        Some(Err(fault)) => {
            cursor.report_fault(context, text, fault);
            None
        }
        None => cursor.parse(context, free),
    }
}

fn decode_data(
    context: &mut Context<'_>,
    object: &Object<'_>,
    given: Option<&FilePath>,
) -> PathBuf {
    let written = object.written("data");
    let text = object
        .get("data")
        .and_then(|cursor| cursor.parse(context, free));
    if let Some(given) = given {
        return given.to_owned();
    }
    let Some(path) = text.map(PathBuf::from) else {
        return PathBuf::new();
    };
    // The built-in default is relative so that a first try needs no preparation; whoever writes a
    // directory, or runs in production, should know where it is.
    if path.is_relative() && (written.is_some() || context.strict) {
        let finding = Finding::warning(
            codes::RELATIVE_DATA,
            "the data directory depends on the directory in which Weir is started",
        )
        .help("write an absolute path, or pass `--data-dir`");
        match &written {
            Some(cursor) => cursor.report_about(context, [finding]),
            None => context.report(finding.path("data")),
        }
    }
    path
}
