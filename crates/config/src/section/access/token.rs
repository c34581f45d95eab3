//! What policies that take tokens have in common: where a token is, and which claims of it count.

use std::time::Duration;

use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::model::{ClaimNames, ClaimPath, TokenPlace};
use crate::shape::{Field, Shape, field};
use crate::value::claim::{self, CLAIM};
use crate::value::http::{self as grammar, COOKIE_NAME, HEADER_NAME};
use crate::value::text::{self, FREE};

pub(super) const ABOUT_AUDIENCE: &str = "One of which must be in the claim `aud`. `*`: it is not looked at, so that a token for another service is good here.";
pub(super) const AUDIENCE: Shape = Shape::OneOrMany(&Shape::Text(&FREE));

pub(super) const HEADER: Field = field(
    "header",
    Shape::Text(&HEADER_NAME),
    "The field that holds the token, without a scheme. Default: `Authorization: Bearer`.",
);

pub(super) const COOKIE: Field = field(
    "cookie",
    Shape::Text(&COOKIE_NAME),
    "The cookie that holds the token, in place of a field.",
);

pub(super) const LEEWAY: Field = field(
    "leeway",
    Shape::Duration { zero: true },
    "How far the issuer's clock and this one may be apart; at most 5 minutes.",
)
.default("30s");

pub(super) const SUBJECT: Field = field(
    "subject",
    Shape::Text(&CLAIM),
    "The claim that says who it is.",
)
.default("sub");

const CLAIMS: Shape = Shape::OneOrMany(&Shape::Text(&CLAIM));

pub(super) const SCOPES: Field = field(
    "scopes",
    CLAIMS,
    "Claims that hold scopes: the first that is there counts.",
)
.default("[scope, scp]");

pub(super) const ROLES: Field = field(
    "roles",
    CLAIMS,
    "Claims that hold roles: the first that is there counts.",
)
.default("[roles, /realm_access/roles]");

/// Beyond that it is no difference of clocks.
const MOST_LEEWAY_SECONDS: u64 = 300;

/// Of a record with both fields.
pub(super) fn decode_place(context: &mut Context<'_>, object: &Object<'_>) -> Option<TokenPlace> {
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

pub(super) fn decode_leeway(context: &mut Context<'_>, object: &Object<'_>) -> Option<Duration> {
    let cursor = object.get("leeway")?;
    let leeway = cursor.duration(context);
    if leeway.as_secs() > MOST_LEEWAY_SECONDS {
        let finding = cursor
            .error(
                codes::BAD_DURATION,
                "more than 5 minutes are no difference of clocks",
            )
            .help("write at most `5m`, and have the clocks set by NTP");
        context.report(finding);
    }
    Some(leeway)
}

/// Of a record with all three fields.
pub(super) fn decode_claims(context: &mut Context<'_>, object: &Object<'_>) -> Option<ClaimNames> {
    let subject = object.get("subject")?.parse(context, claim::claim);
    Some(ClaimNames {
        subject: subject.unwrap_or_else(|| ClaimPath::top("sub")),
        scopes: paths(context, &object.get("scopes")?),
        roles: paths(context, &object.get("roles")?),
    })
}

fn paths(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Vec<ClaimPath> {
    let items = cursor.items(context).into_iter();
    items
        .filter_map(|item| item.parse(context, claim::claim))
        .collect()
}

/// `Some(None)`: any.
#[expect(
    clippy::option_option,
    reason = "any audience and no usable one are different"
)]
pub(super) fn decode_audiences(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Option<Vec<String>>> {
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
