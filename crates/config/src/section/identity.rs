//! `identity`: how the installation's own tokens are issued.

use std::time::Duration;

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{SigningAlgorithm, Tokens};
use crate::shape::{Choice, Record, Shape, choice, field};

/// Revocations are remembered for as long as a token can be good.
const LONGEST_ACCESS: Duration = Duration::from_secs(3_600);
/// The next key is published for a quarter of an hour before it signs.
const SHORTEST_ROTATION: Duration = Duration::from_secs(3_600);

pub(super) static IDENTITY: Record = Record {
    name: "identity",
    about: "How people and programs are known.",
    fields: &[field(
        "tokens",
        Shape::Record(&TOKENS),
        "The installation's own access and refresh tokens.",
    )
    .default("{}")],
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

static ALGORITHMS: [Choice; 3] = [
    choice(
        "ES256",
        "ECDSA on P-256: short, and known by all libraries.",
    ),
    choice("RS256", "RSA with 3072 bits: the quickest to verify."),
    choice("EdDSA", "Ed25519."),
];

pub(super) fn decode(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Tokens> {
    let object = Object::open(context, cursor)?;
    let object = Object::open(context, &object.get("tokens")?)?;
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
