//! `jwt` of a policy: tokens of which issuers are good here.

use super::credential::{self, FORWARD, REQUIRED};
use super::key_set::{self, OWN};
use super::token::{
    self, ABOUT_AUDIENCE, AUDIENCE, COOKIE, HEADER, LEEWAY, ROLES, SCOPES, SUBJECT,
};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Issuer, Jwt, Keys};
use crate::node::Value;
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
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
        HEADER,
        COOKIE,
        LEEWAY,
        field(
            "strict",
            Shape::Boolean,
            "Whether only tokens with `typ: at+jwt` count (RFC 9068). Many issuers do not write it.",
        )
        .default("false"),
        SUBJECT,
        SCOPES,
        ROLES,
        REQUIRED,
        FORWARD.default("true"),
    ],
};

static ISSUER: Record = Record {
    name: "jwt_issuer",
    about: "Somebody who issues tokens.",
    fields: &[
        field("issuer", Shape::Text(&FREE), ABOUT_ISSUER),
        field("audience", AUDIENCE, ABOUT_AUDIENCE).required(),
        field("jwks", key_set::JWKS, ABOUT_JWKS).required(),
        field("algorithms", ALGORITHMS_SHAPE, ABOUT_ALGORITHMS),
    ],
};

const ABOUT_ISSUER: &str =
    "What the claim `iss` must be, to the letter. Left out where `jwks` is `weir`.";
const ABOUT_JWKS: &str = "Keys of the issuer (RFC 7517): `file:PATH`, `env:NAME`, the URL where it publishes them, `discover`, these settings, or `weir`: this installation itself.";
const ABOUT_ALGORITHMS: &str =
    "The only algorithms that count. Default: that of each key, which is its `alg`.";

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

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Box<Jwt>> {
    let object = Object::open(context, cursor)?;
    let issuers = decode_issuers(context, &object);
    let place = token::decode_place(context, &object);
    let leeway = token::decode_leeway(context, &object);
    let is_strict = object.get("strict")?.boolean(context);
    let claims = token::decode_claims(context, &object);
    let credential = credential::decode(context, &object);
    Some(Box::new(Jwt {
        issuers: issuers?,
        place: place?,
        leeway: leeway?,
        is_strict: is_strict?,
        claims: claims?,
        credential: credential?,
    }))
}

/// One that is written at the top, or the list.
fn decode_issuers(context: &mut Context<'_>, object: &Object<'_>) -> Option<Vec<Issuer>> {
    const OF_ONE: [&str; 3] = ["issuer", "audience", "jwks"];
    let Some(list) = object.written("issuers") else {
        if object.has_unknown() && OF_ONE.iter().any(|key| object.written(key).is_none()) {
            return None; // perhaps it was meant to be that one
        }
        for (key, about) in [("audience", ABOUT_AUDIENCE), ("jwks", ABOUT_JWKS)] {
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
    let own = issuers
        .iter()
        .filter(|issuer| matches!(issuer.keys, Keys::Own(_)));
    if own.count() > 1 {
        let finding = list.error(codes::LISTED_TWICE, "`jwks: weir` is listed twice");
        context.report(finding.help("list all of its audiences in one place"));
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
    let issuer = decode_name(context, object);
    let audiences = object
        .written("audience")
        .and_then(|cursor| token::decode_audiences(context, &cursor));
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

/// What an issuer calls itself; this installation knows that itself, so that it is empty here.
fn decode_name(context: &mut Context<'_>, object: &Object<'_>) -> Option<String> {
    let jwks = object.written("jwks");
    let is_own = jwks.is_some_and(|cursor| is_own(&cursor));
    match object.written("issuer") {
        Some(cursor) if is_own => {
            let finding = cursor.error(codes::CONFLICT, "Weir knows by itself what it is called");
            context
                .report(finding.help("remove it: `admin.public_url` is the issuer of its tokens"));
            None
        }
        Some(cursor) => cursor.parse(context, text::free),
        None if is_own => Some(String::new()),
        None => {
            object.report_missing(context, "issuer", ABOUT_ISSUER);
            None
        }
    }
}

fn is_own(jwks: &Cursor<'_>) -> bool {
    matches!(&jwks.node.value, Value::Scalar { text, .. } if text.as_ref() == OWN)
}
