//! `identity`: how the installation's own tokens are issued, and how long people stay signed in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leaked_keys::{self, LEAKED_KEYS};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{LeakedKeys, Sessions, SigningAlgorithm, Tokens};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::value::Fault;
use crate::value::address::{self, ORIGIN, PAGE_HOST};
use crate::value::text::{self, SLUG};

/// Revocations are remembered for as long as a token can be good.
const LONGEST_ACCESS: Duration = Duration::from_secs(3_600);
/// The next key is published for a quarter of an hour before it signs.
const SHORTEST_ROTATION: Duration = Duration::from_secs(3_600);
/// What sessions were used is written down every few seconds.
const SHORTEST_IDLE: Duration = Duration::from_secs(60);
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 86_400);
/// Each replacement is written, and told to the audit.
const SHORTEST_SESSION_ROTATION: Duration = Duration::from_secs(60);
/// Whoever has a copy of a former token may use it for that long.
const LONGEST_OVERLAP: Duration = Duration::from_secs(300);

pub(super) static IDENTITY: Record = Record {
    name: "identity",
    about: "How people and programs are known.",
    fields: &[
        field(
            "tokens",
            Shape::Record(&TOKENS),
            "The installation's own access and refresh tokens.",
        )
        .default("{}"),
        field(
            "sessions",
            Shape::Record(&SESSIONS),
            "How long people stay signed in.",
        )
        .default("{}"),
        field(
            "return_origins",
            Shape::List {
                items: &Shape::Text(&ORIGIN),
                least: 0,
            },
            "Where `return_to` of the sign-in pages may lead beside their own paths.",
        )
        .default("[]"),
        field(
            "sign_in_hosts",
            Shape::Map { names: &PAGE_HOST, values: &Shape::Text(&SLUG) },
            "Further names of the admin listener, over https, each with the organization that its pages show.",
        )
        .default("{}"),
        field(
            "leaked_keys",
            Shape::Record(&LEAKED_KEYS),
            "Who may report API keys that were found where they do not belong.",
        )
        .default("{}"),
    ],
};

static TOKENS: Record = Record {
    name: "tokens",
    about: "The installation's own access and refresh tokens.",
    fields: &[
        field(
            "algorithm",
            Shape::Choice(&ALGORITHMS),
            "By which access tokens are signed. Another one takes effect with the next key.",
        )
        .default("ES256"),
        field(
            "access_lifetime",
            Shape::Duration { zero: false },
            "How long an access token is good for, an hour at most.",
        )
        .default("5m"),
        field(
            "refresh_lifetime",
            Shape::Duration { zero: false },
            "When refresh tokens end at the latest that do not end with their session.",
        )
        .default("30d"),
        field(
            "rotate_every",
            Shape::Duration { zero: false },
            "For how long one key signs, an hour at least.",
        )
        .default("90d"),
    ],
};

static SESSIONS: Record = Record {
    name: "sessions",
    about: "How long people stay signed in.",
    fields: &[
        field(
            "idle",
            Shape::Duration { zero: false },
            "How long without a request, a minute at least.",
        )
        .default("15m"),
        field(
            "absolute",
            Shape::Duration { zero: false },
            "How long from the sign-in, whatever happens: `idle` at least, 30 days at most.",
        )
        .default("24h"),
        field(
            "rotate_every",
            Shape::Duration { zero: false },
            "For how long one token is the session's: from a minute to `absolute`.",
        )
        .default("1h"),
        field(
            "overlap",
            Shape::Duration { zero: false },
            "How long a token still works that was replaced, 5 minutes at most.",
        )
        .default("30s"),
    ],
};

static ALGORITHMS: [Choice; 3] = [
    choice(
        "ES256",
        "ECDSA on P-256: short, and known by all libraries.",
    ),
    choice("RS256", "RSA with 3072 bits: the quickest to verify."),
    choice("EdDSA", "Ed25519."),
];

/// What the section says.
pub(super) struct Identity {
    pub(super) tokens: Tokens,
    pub(super) sessions: Sessions,
    pub(super) return_origins: Vec<String>,
    pub(super) sign_in_hosts: BTreeMap<String, String>,
    pub(super) leaked_keys: LeakedKeys,
}

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Identity> {
    let object = Object::open(context, cursor)?;
    let tokens = decode_tokens(context, &object.get("tokens")?);
    let sessions = decode_sessions(context, &object.get("sessions")?);
    let origins = object.get("return_origins")?;
    let origins = origins.items(context);
    let return_origins = origins
        .iter()
        .filter_map(|origin| origin.parse(context, address::browsers_origin))
        .collect();
    let sign_in_hosts = decode_hosts(context, &object.get("sign_in_hosts")?);
    let leaked_keys = leaked_keys::decode(context, &object.get("leaked_keys")?);
    Some(Identity {
        tokens: tokens?,
        sessions: sessions?,
        return_origins,
        sign_in_hosts,
        leaked_keys: leaked_keys?,
    })
}

/// Two ways to write one host would be two organizations for one page.
fn decode_hosts(context: &mut Context<'_>, cursor: &Cursor<'_>) -> BTreeMap<String, String> {
    let mut hosts = BTreeMap::new();
    for entry in cursor.entries(context) {
        let slug = entry.value.parse(context, text::slug);
        let host = match address::https_host(entry.name) {
            Ok(host) => host,
            Err(fault) => {
                context.report(entry.fault(fault));
                continue;
            }
        };
        if hosts.contains_key(&host) {
            let fault = Fault::new(codes::BAD_HOST, format!("{host} stands here twice"));
            context.report(entry.fault(fault.help("name it once, in lower case")));
            continue;
        }
        hosts.extend(slug.map(|slug| (host, slug)));
    }
    hosts
}

fn decode_tokens(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Tokens> {
    let object = Object::open(context, cursor)?;
    let access = object.get("access_lifetime")?;
    let access_lifetime = access.duration(context);
    if access_lifetime > LONGEST_ACCESS {
        let message = "access tokens would be good for longer than an hour";
        let finding = access
            .error(codes::BAD_DURATION, message)
            .help("write `1h` or less: a refresh token gets the next one");
        context.report(finding);
    }
    let rotation = object.get("rotate_every")?;
    let rotate_every = rotation.duration(context);
    if rotate_every < SHORTEST_ROTATION && rotate_every > Duration::ZERO {
        let message = "keys would be replaced more often than verifiers read of them";
        let finding = rotation
            .error(codes::BAD_DURATION, message)
            .help("write `1h` or more");
        context.report(finding);
    }
    Some(Tokens {
        algorithm: match object.get("algorithm")?.choice(context) {
            Some("RS256") => SigningAlgorithm::Rs256,
            Some("EdDSA") => SigningAlgorithm::EdDsa,
            _ => SigningAlgorithm::Es256,
        },
        access_lifetime,
        refresh_lifetime: object.get("refresh_lifetime")?.duration(context),
        rotate_every,
    })
}

fn decode_sessions(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Sessions> {
    let object = Object::open(context, cursor)?;
    let mut read = |name| {
        let cursor = object.get(name)?;
        let duration = cursor.duration(context);
        Some((cursor, duration))
    };
    let (absolute_at, absolute) = read("absolute")?;
    let (idle_at, idle) = read("idle")?;
    let (rotation_at, rotate_every) = read("rotate_every")?;
    let (overlap_at, overlap) = read("overlap")?;
    // What is no duration was reported, and is zero.
    let faults = [
        (
            &absolute_at,
            absolute > LONGEST_SESSION,
            "sessions would last for longer than 30 days",
            "write `30d` or less: people sign in again",
        ),
        (
            &idle_at,
            !idle.is_zero() && idle < SHORTEST_IDLE,
            "sessions would end between two requests of a person",
            "write `1m` or more",
        ),
        (
            &idle_at,
            !absolute.is_zero() && idle > absolute,
            "sessions would end before they are idle for so long",
            "write at most what `absolute` says, or raise that",
        ),
        (
            &rotation_at,
            !rotate_every.is_zero() && rotate_every < SHORTEST_SESSION_ROTATION,
            "tokens of sessions would be replaced with nearly every request",
            "write `1m` or more",
        ),
        (
            &rotation_at,
            !absolute.is_zero() && rotate_every > absolute,
            "sessions would end before their token is replaced",
            "write at most what `absolute` says, `1h` is usual",
        ),
        (
            &overlap_at,
            overlap > LONGEST_OVERLAP,
            "tokens that were replaced would work for longer than 5 minutes",
            "write `5m` or less: it is for requests that are under way",
        ),
        (
            &overlap_at,
            !rotate_every.is_zero() && overlap >= rotate_every,
            "tokens would be replaced again before the former ones end",
            "write less than what `rotate_every` says",
        ),
    ];
    for (cursor, is_fault, message, help) in faults {
        if is_fault {
            let finding = cursor.error(codes::BAD_DURATION, message).help(help);
            context.report(finding);
        }
    }
    Some(Sessions {
        idle,
        absolute,
        rotate_every,
        overlap,
    })
}
