//! `jwt` of a policy: tokens of which issuers are good here.

use super::credential::{self, FORWARD, REQUIRED};
use super::key_set;
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{ClaimNames, ClaimPath, Issuer, Jwt, TokenPlace};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::claim::{self, CLAIM};
use crate::value::http::{self as grammar, COOKIE_NAME, HEADER_NAME};
use crate::value::text::{self, FREE};

pub(in crate::section) static JWT: Record = Record {
    name: "jwt",
    about: "Verifies JSON Web Tokens (RFC 7519, RFC 8725) of one issuer or several.",
    fields: &[
        field("issuer", Shape::Text(&FREE), ABOUT_ISSUER),
        field("audience", AUDIENCE, ABOUT_AUDIENCE),
        field("jwks", key_set::JWKS, ABOUT_JWKS),
        field("algorithms", ALGORITHMS_SHAPE, ABOUT_ALGORITHMS),
        field(
            "issuers",
            Shape::List { items: &Shape::Record(&ISSUER), least: 1 },
            "Several issuers, in place of the four keys above.",
        ),
        field(
            "header",
            Shape::Text(&HEADER_NAME),
            "The field that holds the token, without a scheme. Default: `Authorization: Bearer`.",
        ),
        field(
            "cookie",
            Shape::Text(&COOKIE_NAME),
            "The cookie that holds the token, in place of a field.",
        ),
        field(
            "leeway",
            Shape::Duration { zero: true },
            "How far the issuer's clock and this one may be apart; at most 5 minutes.",
        )
        .default("30s"),
        field(
            "strict",
            Shape::Boolean,
            "Whether only tokens with `typ: at+jwt` count (RFC 9068). Many issuers do not write it.",
        )
        .default("false"),
        field("subject", Shape::Text(&CLAIM), "The claim that says who it is.").default("sub"),
        field(
            "scopes",
            Shape::OneOrMany(&Shape::Text(&CLAIM)),
            "Claims that hold scopes: the first that is there counts.",
        )
        .default("[scope, scp]"),
        field(
            "roles",
            Shape::OneOrMany(&Shape::Text(&CLAIM)),
            "Claims that hold roles: the first that is there counts.",
        )
        .default("[roles, /realm_access/roles]"),
        REQUIRED,
        FORWARD.default("true"),
    ],
};

static ISSUER: Record = Record {
    name: "jwt_issuer",
    about: "Somebody who issues tokens.",
    fields: &[
        field("issuer", Shape::Text(&FREE), ABOUT_ISSUER).required(),
        field("audience", AUDIENCE, ABOUT_AUDIENCE).required(),
        field("jwks", key_set::JWKS, ABOUT_JWKS).required(),
        field("algorithms", ALGORITHMS_SHAPE, ABOUT_ALGORITHMS),
    ],
};

const ABOUT_ISSUER: &str = "What the claim `iss` must be, to the letter.";
const ABOUT_AUDIENCE: &str = "One of which must be in the claim `aud`. `*`: it is not looked at, so that a token for another service is good here.";
const ABOUT_JWKS: &str = "Keys of the issuer (RFC 7517): `file:PATH`, `env:NAME`, the URL where it publishes them, `discover`, or these settings.";
const ABOUT_ALGORITHMS: &str =
    "The only algorithms that count. Default: that of each key, which is its `alg`.";

const AUDIENCE: Shape = Shape::OneOrMany(&Shape::Text(&FREE));
const ALGORITHMS_SHAPE: Shape = Shape::OneOrMany(&Shape::Choice(&ALGORITHMS));

static ALGORITHMS: [Choice; 9] = [
    choice("RS256", "RSA PKCS #1 v1.5 with SHA-256."),
    choice("RS384", "The same with SHA-384."),
    choice("RS512", "The same with SHA-512."),
    choice("PS256", "RSA PSS with SHA-256."),
    choice("PS384", "The same with SHA-384."),
    choice("PS512", "The same with SHA-512."),
    choice("ES256", "ECDSA on P-256."),
    choice("ES384", "ECDSA on P-384."),
    choice("EdDSA", "Ed25519."),
];

/// Beyond that it is no difference of clocks.
const MOST_LEEWAY_SECONDS: u64 = 300;

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Box<Jwt>> {
    let object = Object::open(context, cursor)?;
    let issuers = decode_issuers(context, &object);
    let place = decode_place(context, &object);
    let leeway_cursor = object.get("leeway")?;
    let leeway = leeway_cursor.duration(context);
    if leeway.as_secs() > MOST_LEEWAY_SECONDS {
        let finding = leeway_cursor
            .error(
                codes::BAD_DURATION,
                "more than 5 minutes are no difference of clocks",
            )
            .help("write at most `5m`, and have the clocks set by NTP");
        context.report(finding);
    }
    let is_strict = object.get("strict")?.boolean(context);
    let subject = object.get("subject")?.parse(context, claim::claim);
    let claims = ClaimNames {
        subject: subject.unwrap_or_else(|| ClaimPath::top("sub")),
        scopes: paths(context, &object.get("scopes")?),
        roles: paths(context, &object.get("roles")?),
    };
    let credential = credential::decode(context, &object);
    Some(Box::new(Jwt {
        issuers: issuers?,
        place: place?,
        leeway,
        is_strict: is_strict?,
        claims,
        credential: credential?,
    }))
}

fn paths(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<ClaimPath> {
    let items = cursor.items(context).into_iter();
    items
        .filter_map(|item| item.parse(context, claim::claim))
        .collect()
}

/// One that is written at the top, or the list.
fn decode_issuers(context: &mut Context<'_>, object: &Object<'_>) -> Option<Vec<Issuer>> {
    const OF_ONE: [&str; 3] = ["issuer", "audience", "jwks"];
    let Some(list) = object.written("issuers") else {
        if object.has_unknown() && OF_ONE.iter().any(|key| object.written(key).is_none()) {
            return None; // perhaps it was meant to be that one
        }
        for (key, about) in OF_ONE
            .into_iter()
            .zip([ABOUT_ISSUER, ABOUT_AUDIENCE, ABOUT_JWKS])
        {
            if object.written(key).is_none() {
                object.report_missing(context, key, about);
            }
        }
        return Some(vec![decode_issuer(context, object)?]);
    };
    for key in OF_ONE.into_iter().chain(["algorithms"]) {
        if object.written(key).is_some() {
            object.report_conflict(context, "issuers", key);
        }
    }
    let mut issuers = Vec::new();
    let mut places = Vec::new();
    let mut is_whole = true;
    for item in list.items(context) {
        let issuer = Object::open(context, &item).and_then(|object| {
            places.extend(
                object
                    .written("issuer")
                    .and_then(|cursor| Some((cursor.text(context)?.to_owned(), cursor.span()))),
            );
            decode_issuer(context, &object)
        });
        is_whole &= issuer.is_some();
        issuers.extend(issuer);
    }
    context.report_repeated(places, |name, first| {
        Finding::error(
            codes::LISTED_TWICE,
            format!("{} is listed twice", quote(name)),
        )
        .help(format!(
            "the first is at {first}; list all of its audiences there"
        ))
    });
    is_whole.then_some(issuers)
}

fn decode_issuer(context: &mut Context<'_>, object: &Object<'_>) -> Option<Issuer> {
    let issuer = object
        .written("issuer")
        .and_then(|cursor| cursor.parse(context, text::free));
    let audiences = object
        .written("audience")
        .and_then(|cursor| decode_audiences(context, &cursor));
    let algorithms = object
        .written("algorithms")
        .map(|cursor| key_set::algorithms(context, &cursor))
        .unwrap_or_default();
    let keys = object
        .written("jwks")
        .and_then(|cursor| key_set::decode(context, &cursor, issuer.as_deref(), &algorithms));
    Some(Issuer {
        issuer: issuer?,
        audiences: audiences?,
        keys: keys?,
        algorithms,
    })
}

/// `Some(None)`: any.
#[expect(
    clippy::option_option,
    reason = "any audience and no usable one are different"
)]
fn decode_audiences(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<Option<Vec<String>>> {
    let mut audiences = Vec::new();
    for item in cursor.items(context) {
        audiences.push(item.parse(context, text::free)?);
    }
    if audiences.iter().any(|audience| audience == "*") {
        if audiences.len() > 1 {
            let finding = cursor
                .error(codes::CONFLICT, "`*` stands for any audience")
                .help("write `*` alone, or only the audiences that count");
            context.report(finding);
        }
        return Some(None);
    }
    Some(Some(audiences))
}

fn decode_place(context: &mut Context<'_>, object: &Object<'_>) -> Option<TokenPlace> {
    if let (Some(_), Some(_)) = (object.written("header"), object.written("cookie")) {
        object.report_conflict(context, "header", "cookie");
    }
    if let Some(cursor) = object.written("header") {
        return cursor
            .parse(context, grammar::header_name)
            .map(TokenPlace::Header);
    }
    match object.written("cookie") {
        Some(cursor) => cursor
            .parse(context, grammar::cookie_name)
            .map(TokenPlace::Cookie),
        None => Some(TokenPlace::Bearer),
    }
}
