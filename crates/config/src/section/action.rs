//! What a route does with its requests: forward, redirect or answer them.

use http::StatusCode;

use super::check::{self, Declared};
use super::headers::{VariableUse, note_variables};
use super::{aggregate, mirror, respond, split};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Action, Destination, HostHeader, Rewrite};
use crate::shape::{Record, Shape, field};
use crate::suggest::quote;
use crate::template::Template;
use crate::value::http::{self as grammar, PATH_PREFIX, TEMPLATE};

pub(super) static REDIRECT: Record = Record {
    name: "redirect",
    about: "A redirect.",
    fields: &[
        field(
            "to",
            Shape::Text(&TEMPLATE),
            "Where to, absolute or relative: a template.",
        )
        .required(),
        field("status", Shape::Number(&STATUSES), "Status code.").default("302"),
    ],
};

static STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) static REWRITE: Record = Record {
    name: "rewrite",
    about: "A change of the path: exactly one of these. The query is kept unless the template writes its own.",
    fields: &[
        field(
            "prefix",
            Shape::Text(&PATH_PREFIX),
            "Replaces the literal part of the path pattern in front of its first capture or `*`.",
        ),
        field(
            "path",
            Shape::Text(&TEMPLATE),
            "Writes the path anew: a template.",
        ),
    ],
};

/// Reads what a route does with its requests.
pub(super) fn decode(
    context: &mut Context<'_>,
    object: &Object<'_>,
    declared: &mut Declared,
    uses: &mut Vec<VariableUse>,
) -> Option<Action> {
    let chosen = object.one_of(
        context,
        &["upstream", "split", "aggregate", "redirect", "respond"],
    );
    if chosen.is_none() && !object.has_unknown() {
        let finding = Finding::error(codes::NOTHING_CHOSEN, "the route does not say what to do")
            .help(
                "write `upstream`, `split` or `aggregate` to forward, or `redirect` or `respond`",
            );
        object.report(context, object.node.head(), finding);
    }
    let upstream = object
        .written("upstream")
        .and_then(|cursor| check::decode_upstream(context, &cursor, declared));
    let split = object
        .written("split")
        .and_then(|cursor| split::decode(context, &cursor, declared));
    let mirror = object
        .written("mirror")
        .and_then(|cursor| mirror::decode(context, &cursor, declared));
    let redirect = object
        .written("redirect")
        .and_then(|cursor| decode_redirect(context, &cursor, uses));
    let respond = object
        .written("respond")
        .and_then(|cursor| respond::decode(context, &cursor));
    let aggregate = object
        .written("aggregate")
        .and_then(|cursor| aggregate::decode(context, &cursor, declared, uses));
    let rewrite = object
        .written("rewrite")
        .and_then(|cursor| decode_rewrite(context, &cursor, uses));
    let host = object
        .get("host")
        .and_then(|cursor| decode_host(context, &cursor));
    if let Some(chosen @ ("aggregate" | "redirect" | "respond")) = chosen {
        for key in ["mirror", "rewrite", "host", "grpc", "sse"] {
            if object.written(key).is_some() {
                object.report_conflict(context, chosen, key);
            }
        }
        if chosen == "aggregate" {
            return aggregate.map(|aggregate| Action::Aggregate(Box::new(aggregate)));
        }
        if chosen == "respond" {
            return respond.map(|respond| Action::Respond(Box::new(respond)));
        }
        let (to, status) = redirect?;
        return Some(Action::Redirect { to, status });
    }
    let to = match chosen {
        Some("split") => Destination::Split(Box::new(split?)),
        _ => Destination::Upstream(upstream?),
    };
    Some(Action::Forward {
        to,
        mirror,
        rewrite,
        host: host?,
    })
}

fn decode_redirect(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    uses: &mut Vec<VariableUse>,
) -> Option<(Template, StatusCode)> {
    let object = Object::open(context, cursor)?;
    let status = decode_status(context, &object.get("status")?);
    let to_cursor = object.written("to")?;
    let to = to_cursor.parse(context, grammar::location_template)?;
    note_variables(&to_cursor, &to, uses);
    Some((to, status?))
}

fn decode_status(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<StatusCode> {
    let text = cursor.text(context)?;
    let status = text
        .parse::<u16>()
        .ok()
        .filter(|status| STATUSES.contains(status));
    if status.is_none() {
        let message = format!("{} is not a status of a redirect", quote(text));
        let finding = cursor.error(codes::BAD_CHOICE, message).help(
            "301 and 308 are permanent, 302 and 307 are not; 307 and 308 keep the method; 303 makes it GET",
        );
        context.report(finding);
    }
    StatusCode::from_u16(status?).ok()
}

fn decode_rewrite(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    uses: &mut Vec<VariableUse>,
) -> Option<Rewrite> {
    let object = Object::open(context, cursor)?;
    let Some(kind) = object.one_of(context, &["prefix", "path"]) else {
        if object.node.entries().is_empty() {
            let finding = Finding::error(codes::NOTHING_CHOSEN, "the rewrite says nothing")
                .help("write `prefix` or `path`");
            object.report(context, cursor.span(), finding);
        }
        return None;
    };
    let value = object.written(kind)?;
    if kind == "prefix" {
        return value
            .parse(context, grammar::path_prefix)
            .map(Rewrite::Prefix);
    }
    let template = value.parse(context, grammar::path_template)?;
    note_variables(&value, &template, uses);
    Some(Rewrite::Path(template))
}

pub(super) fn decode_host(context: &mut Context<'_>, cursor: &Cursor<'_>) -> Option<HostHeader> {
    cursor.parse(context, |text| match text {
        "preserve" => Ok(HostHeader::Preserve),
        "target" => Ok(HostHeader::Target),
        _ => grammar::host_text(text).map(HostHeader::Literal),
    })
}
