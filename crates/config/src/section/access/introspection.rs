//! `introspection` of a policy: tokens that only the server understands that issued them.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::credential::{self, FORWARD, REQUIRED};
use super::token::{
    self, ABOUT_AUDIENCE, AUDIENCE, COOKIE, HEADER, LEEWAY, ROLES, SCOPES, SUBJECT,
};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{ClientAuthentication, Introspection};
use crate::shape::{Choice, Record, Shape, Text, choice, field};
use crate::value::Fault;
use crate::value::address::{self, NETWORK};
use crate::value::quantity::spelled;
use crate::value::text::{self, FREE, MATERIAL, SECRET};

pub(in crate::section) static INTROSPECTION: Record = Record {
    name: "introspection",
    about: "Takes opaque tokens, and asks the server that issued them what they are worth (RFC 7662).",
    fields: &[
        field(
            "endpoint",
            Shape::Text(&ENDPOINT),
            "The server's introspection endpoint.",
        )
        .required(),
        field("client_id", Shape::Text(&FREE), "As whom the server is asked.").required(),
        field("client_secret", Shape::Text(&SECRET), "The secret of that client.").required(),
        field(
            "client_authentication",
            Shape::Choice(&AUTHENTICATIONS),
            "How id and secret are sent.",
        )
        .default("basic"),
        field(
            "issuer",
            Shape::Text(&FREE),
            "What the claim `iss` of an answer must be, to the letter. Default: it is not looked at.",
        ),
        field("audience", AUDIENCE, ABOUT_AUDIENCE).required(),
        field(
            "allow",
            Shape::List { items: &Shape::Text(&NETWORK), least: 0 },
            "Networks that the server may be in beside the public internet.",
        )
        .default("[]"),
        field(
            "authorities",
            Shape::Text(&MATERIAL),
            "PEM bundle of the authorities that its certificate is held against. Default: the system's.",
        ),
        field(
            "timeout",
            Shape::Duration { zero: false },
            "Longest time for one question, waiting for others included; at most 30 seconds.",
        )
        .default("3s"),
        field(
            "at_once",
            Shape::Integer { least: 1, most: 1024 },
            "Most questions under way at once. Sixteen times as many wait; tokens beyond that get 503.",
        )
        .default("32"),
        field(
            "cache",
            Shape::Duration { zero: true },
            "How long an answer is believed, and so how long a token may still be good that the server has taken back; at most 1 hour.",
        )
        .default("1m"),
        field(
            "stale",
            Shape::Duration { zero: true },
            "How much longer known tokens are good while the server cannot be asked, unless they end before; at most 1 day.",
        )
        .default("10m"),
        HEADER,
        COOKIE,
        LEEWAY,
        SUBJECT,
        SCOPES,
        ROLES,
        REQUIRED,
        FORWARD.default("true"),
    ],
};

static ENDPOINT: Text = Text {
    what: "the URL of an introspection endpoint",
    pattern: Some("^https?://.+$"),
    examples: &["https://login.example.com/oauth2/introspect"],
    loose: false,
};

static AUTHENTICATIONS: [Choice; 2] = [
    choice("basic", "`Authorization: Basic` (RFC 6749 §2.3.1)."),
    choice("post", "In the form, beside the token."),
];

const MOST_TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever believes an answer for longer might as well not ask.
const MOST_CACHE: Duration = Duration::from_secs(3600);
const MOST_STALE: Duration = Duration::from_secs(86_400);

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Arc<Introspection>> {
    let object = Object::open(context, cursor)?;
    if cursor.node.span.is_beside() {
        let message = "a resource cannot have tokens sent to a server";
        let finding = cursor.error(codes::OUT_OF_REACH, message);
        context.report(
            finding.help("write the policy into the file, where routes of resources can name it"),
        );
    }
    let allow = match object.get("allow") {
        Some(networks) => networks.networks(context),
        None => Vec::new(),
    };
    let endpoint = object
        .written("endpoint")
        .and_then(|cursor| decode_endpoint(context, &cursor, &allow));
    let client_id = object
        .written("client_id")
        .and_then(|cursor| cursor.parse(context, text::free));
    let client_secret = object
        .written("client_secret")
        .and_then(|cursor| cursor.secret(context));
    let authentication = object.get("client_authentication")?.choice(context);
    let issuer = match object.written("issuer") {
        Some(cursor) => Some(cursor.parse(context, text::free)?),
        None => None,
    };
    let audiences = object
        .written("audience")
        .and_then(|cursor| token::decode_audiences(context, &cursor));
    let authorities = match object.written("authorities") {
        Some(cursor) => Some(cursor.pem(context)?),
        None => None,
    };
    let timeout = decode_time(context, &object, "timeout", MOST_TIMEOUT);
    let cache = decode_time(context, &object, "cache", MOST_CACHE);
    let stale = decode_time(context, &object, "stale", MOST_STALE);
    let at_once = object.get("at_once")?.integer(context);
    let place = token::decode_place(context, &object);
    let leeway = token::decode_leeway(context, &object);
    let claims = token::decode_claims(context, &object);
    let credential = credential::decode(context, &object);
    Some(Arc::new(Introspection {
        endpoint: endpoint?,
        client_id: client_id?,
        client_secret: client_secret?,
        authentication: match authentication? {
            "post" => ClientAuthentication::Post,
            _ => ClientAuthentication::Basic,
        },
        issuer,
        audiences: audiences?,
        allow,
        authorities: authorities.map(|material| Arc::clone(material.bytes.expose())),
        timeout: timeout?,
        at_once: usize::try_from(at_once?).unwrap_or(usize::MAX),
        cache: cache?,
        stale: stale?,
        place: place?,
        leeway: leeway?,
        claims: claims?,
        credential: credential?,
    }))
}

/// Tokens and the secret go there: in the clear only to a network of one's own.
fn decode_endpoint(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    allow: &[IpNet],
) -> Option<String> {
    let url = cursor.parse(context, endpoint)?;
    if url.starts_with("http://") && allow.is_empty() {
        let message = "tokens and the secret would go over the internet in the clear";
        let finding = cursor.error(codes::BAD_ADDRESS, message);
        context.report(
            finding.help("write `https://…`; `http://` is for networks that `allow` names"),
        );
        return None;
    }
    Some(url)
}

fn endpoint(text: &str) -> Result<String, Fault> {
    let is_url = match text.split_once("://") {
        Some(("http" | "https", rest)) => {
            let origin = text.len() - rest.len() + rest.find(['/', '?']).unwrap_or(rest.len());
            let path = text[origin..].bytes();
            address::public_url(&text[..origin])?;
            path.into_iter()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        }
        _ => false,
    };
    match is_url {
        true => Ok(text.to_owned()),
        false => Err(
            Fault::new(codes::BAD_ADDRESS, "this is not the URL of an endpoint")
                .help("write `https://host/path`"),
        ),
    }
}

fn decode_time(
    context: &mut Context<'_>,
    object: &Object<'_>,
    key: &'static str,
    most: Duration,
) -> Option<Duration> {
    let cursor = object.get(key)?;
    let time = cursor.duration(context);
    if time > most {
        let message = format!("`{key}` is too long");
        let finding = cursor.error(codes::BAD_DURATION, message);
        context.report(finding.help(format!("write at most `{}`", spelled(most))));
    }
    Some(time)
}
