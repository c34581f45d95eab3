//! Key sets of issuers: written down, in a file, or where the issuer publishes them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use weir_jose::{Algorithm, KeySet};

use crate::codes;
use crate::contract::to_json;
use crate::decode::{Context, Cursor, Object};
use crate::model::{Keys, PublishedAt, PublishedKeys};
use crate::reference::Reference;
use crate::shape::{Record, Shape, Text, field};
use crate::value::address::NETWORK;
use crate::value::text::MATERIAL;

/// What `jwks` takes.
pub(super) const JWKS: Shape = Shape::Either(&[Shape::Text(&PLACE), Shape::Record(&KEY_SET)]);

static PLACE: Text = Text {
    what: "`file:PATH`, `env:NAME`, the URL of a key set, `discover` or `weir`",
    pattern: Some("^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*|https?://.+|discover|weir)$"),
    examples: &[
        "file:jwks.json",
        "https://issuer.example.com/jwks.json",
        "discover",
        OWN,
    ],
    loose: false,
};

/// This installation, as an issuer.
pub(super) const OWN: &str = "weir";

static KEY_SET: Record = Record {
    name: "jwks",
    about: "Keys of an issuer: written here, or where the issuer publishes them.",
    fields: &[
        field(
            "keys",
            Shape::List { items: &Shape::Anything, least: 0 },
            "The keys themselves (RFC 7517 §5).",
        ),
        field(
            "url",
            Shape::Text(&URL),
            "Where the issuer publishes them, or `discover` to find that in its metadata (RFC 8414, OpenID Connect Discovery).",
        ),
        field(
            "allow",
            Shape::List { items: &Shape::Text(&NETWORK), least: 0 },
            "Networks that the issuer may be in beside the public internet.",
        )
        .default("[]"),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of the authorities that its certificate is held against. Default: the system's.",
        ),
        field(
            "refresh",
            Shape::Duration { zero: false },
            "From one look to the next, at most. An answer whose `Cache-Control` says less is asked for again by then, though not within 30 s.",
        )
        .default("10m"),
        field(
            "stale",
            Shape::Duration { zero: false },
            "How long the last keys are used while the issuer cannot be reached.",
        )
        .default("1d"),
        field(
            "damping",
            Shape::Duration { zero: false },
            "Least time between two questions for keys that are not known, however many tokens name such.",
        )
        .default("30s"),
        field(
            "timeout",
            Shape::Duration { zero: false },
            "Longest time for one look.",
        )
        .default("10s"),
    ],
};

static URL: Text = Text {
    what: "the URL of a key set, or `discover`",
    pattern: Some("^(https?://.+|discover)$"),
    examples: &["https://issuer.example.com/jwks.json", "discover"],
    loose: false,
};

static REFERENCE: Shape = Shape::Text(&MATERIAL);

/// The keys of an issuer; `None` after a report, or if references are not resolved.
pub(super) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    issuer: Option<&str>,
    algorithms: &[Algorithm],
) -> Option<Keys> {
    let chosen = cursor.alternative(context)?;
    if let Shape::Record(_) = chosen.shape {
        return decode_record(context, &chosen, issuer, algorithms);
    }
    let text = chosen.text(context)?;
    if text == OWN {
        return Some(Keys::Own(None));
    }
    if Reference::parse(text).is_some() || !(text == "discover" || is_url(text)) {
        let material = chosen.with(chosen.node, &REFERENCE).material(context)?;
        return parse(context, cursor, material.bytes.expose(), algorithms);
    }
    let source = source(context, &chosen, text, issuer)?;
    Some(Keys::Published(Box::new(PublishedKeys::at(source))))
}

fn decode_record(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    issuer: Option<&str>,
    algorithms: &[Algorithm],
) -> Option<Keys> {
    let object = Object::open(context, cursor)?;
    match object.one_of(context, &["keys", "url"]) {
        Some("keys") => {
            let set = to_json(cursor.node).to_string();
            return parse(context, cursor, set.as_bytes(), algorithms);
        }
        Some(_) => {}
        None => {
            let finding = cursor
                .error(codes::NOTHING_CHOSEN, "there are no keys")
                .help("write `keys`, or the `url` where the issuer publishes them");
            context.report(finding);
            return None;
        }
    }
    let place = object.written("url")?;
    let text = place.text(context)?;
    let source = match text == "discover" || is_url(text) {
        true => source(context, &place, text, issuer),
        false => {
            let finding = place.error(codes::BAD_ADDRESS, "this is not the URL of a key set");
            context.report(finding.help("write `https://…`, or `discover`"));
            None
        }
    };
    let networks = object.get("allow")?;
    let allow = networks.networks(context);
    if cursor.node.span.is_beside() && !allow.is_empty() {
        let message = "a resource cannot open networks to itself";
        let finding = networks.error(codes::OUT_OF_REACH, message);
        context.report(
            finding.help("write the policy into the file, where routes of resources can name it"),
        );
    }
    decode_published(context, &object, source, allow).map(Keys::Published)
}

/// How keys are followed that somebody publishes. What is said of it is read also where they cannot be found.
pub(in crate::section) fn decode_published(
    context: &mut Context<'_>,
    object: &Object<'_>,
    source: Option<PublishedAt>,
    allow: Vec<IpNet>,
) -> Option<Box<PublishedKeys>> {
    let authorities = match object.written("authorities") {
        Some(cursor) => Some(cursor.pem(context)?),
        None => None,
    };
    let mut times = [Duration::ZERO; 4];
    for (time, key) in times
        .iter_mut()
        .zip(["refresh", "stale", "damping", "timeout"])
    {
        *time = object.get(key)?.duration(context);
    }
    let [refresh, stale, damping, timeout] = times;
    Some(Box::new(PublishedKeys {
        source: source?,
        allow,
        authorities: authorities.map(|material| Arc::clone(material.bytes.expose())),
        refresh,
        stale,
        damping,
        timeout,
        followed: None,
    }))
}

pub(in crate::section) fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// A URL, or the issuer's own.
fn source(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    text: &str,
    issuer: Option<&str>,
) -> Option<PublishedAt> {
    if text != "discover" {
        warn_of_open_net(context, cursor, text);
        return Some(PublishedAt::Url(text.to_owned()));
    }
    let issuer = issuer?;
    if is_url(issuer) {
        warn_of_open_net(context, cursor, issuer);
        return Some(PublishedAt::Issuer(issuer.to_owned()));
    }
    let finding = cursor.error(
        codes::CONFLICT,
        "the issuer is no URL, so that nothing can be found there",
    );
    context.report(finding.help("write the URL of its key set"));
    None
}

/// Whoever changes keys on their way signs tokens for everybody.
pub(in crate::section) fn warn_of_open_net(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    url: &str,
) {
    let Some(rest) = url.strip_prefix("http://") else {
        return;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if is_near(host) {
        return;
    }
    let finding = cursor.warning(codes::OPEN_KEYS, "the keys come without TLS");
    let help = "whoever is on the way can put their own keys in, and sign tokens for everybody: write `https://…`";
    context.report(finding.help(help));
}

/// Whether a host, perhaps with a port, is this machine or one of a network that is not the open one.
fn is_near(host: &str) -> bool {
    const ENDINGS: [&str; 5] = [".internal", ".local", ".localhost", ".svc", ".home.arpa"];
    let address = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let name = address.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.') || ENDINGS.iter().any(|ending| name.ends_with(ending))
        }
    }
}

fn parse(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    text: &[u8],
    algorithms: &[Algorithm],
) -> Option<Keys> {
    let (set, skipped) = match KeySet::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = format!("this is not a key set that can be used: {error}");
            let finding = cursor.error(codes::BAD_KEY_SET, message);
            context.report(
                finding
                    .help("it is what the issuer publishes at its `jwks_uri`: `{\"keys\": […]}`"),
            );
            return None;
        }
    };
    for one in &skipped {
        let message = format!(
            "the key at {} of the set is left out: {}",
            one.index, one.fault
        );
        let finding = cursor.warning(codes::KEY_LEFT_OUT, message);
        context.report(finding.help("tokens that were signed with it are refused"));
    }
    let is_usable = |algorithm: Algorithm| algorithms.is_empty() || algorithms.contains(&algorithm);
    if !set.keys().iter().any(|key| is_usable(key.algorithm())) {
        let finding = cursor
            .error(codes::BAD_KEY_SET, "no key of the set can be used here")
            .help(
                "every token would be refused: look at `algorithms`, and at the `alg` of the keys",
            );
        context.report(finding);
        return None;
    }
    Some(Keys::Set(Arc::new(set)))
}

/// Algorithms of JOSE whose key is a secret that issuer and gateway share (RFC 7518 §3.2).
const SHARED_SECRET: [&str; 3] = ["HS256", "HS384", "HS512"];

/// The algorithms of a list, each once.
pub(super) fn algorithms(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for item in cursor.items(context) {
        let name = item.choice_but(context, |text| {
            let is_of_secret = SHARED_SECRET.contains(&text);
            is_of_secret.then_some("shared secrets are not known here")
        });
        algorithms.extend(name.and_then(Algorithm::named));
    }
    algorithms.dedup();
    algorithms
}
