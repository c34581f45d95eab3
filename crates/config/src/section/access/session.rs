//! `session` of a policy: people who signed in on the pages.

use super::credential::{self, FORWARD, REQUIRED};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Policy, PolicyKind, Route, Session};
use crate::section::clash::{below, placed};
use crate::shape::{Choice, Record, Shape, choice, field};
use crate::suggest::quote;
use crate::value::http::{self as grammar, REQUEST_TARGET};
use crate::value::text::{self, SLUG};

pub(in crate::section) static SESSION: Record = Record {
    name: "session",
    about: "Takes people who signed in on the sign-in pages, by the cookie of their browser.",
    fields: &[
        field(
            "sign_in",
            Shape::Text(&REQUEST_TARGET),
            "Where browsers are sent without a session: a path of the host that was asked. A route leads it to the admin listener.",
        )
        .default("/sign-in"),
        field(
            "redirect",
            Shape::Choice(&REDIRECTS),
            "Whether they are sent there.",
        )
        .default("auto"),
        field(
            "organization",
            Shape::Text(&SLUG),
            "Only members of this organization, with their role and its permissions there. Default: everybody who has an account.",
        ),
        field(
            "strength",
            Shape::Choice(&STRENGTHS),
            "How they must have signed in.",
        )
        .default("any"),
        REQUIRED,
        FORWARD.default("false"),
    ],
};

static REDIRECTS: [Choice; 2] = [
    choice("auto", "Whoever opens a page is; anything else gets 401."),
    choice("never", "Everything gets 401."),
];

static STRENGTHS: [Choice; 2] = [
    choice("any", "By a password at least."),
    choice("second_factor", "By a second factor as well."),
];

pub(in crate::section) fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Session> {
    let object = Object::open(context, cursor)?;
    let place = object.get("sign_in")?;
    let sign_in = place.parse(context, grammar::request_target);
    if let Some(text) = sign_in.as_deref().filter(|text| text.starts_with("//")) {
        let message = format!("{} is an address of another host", quote(text));
        let finding = place.error(codes::BAD_PATH, message);
        context.report(
            finding.help("write a path: the cookie is of the host on which people sign in"),
        );
    }
    let redirect = object.get("redirect")?.choice(context);
    let organization = match object.written("organization") {
        Some(cursor) => Some(cursor.parse(context, text::slug)?),
        None => None,
    };
    let strength = object.get("strength")?.choice(context);
    let credential = credential::decode(context, &object);
    Some(Session {
        sign_in: sign_in.filter(|_| redirect == Some("auto")),
        organization,
        needs_second_factor: strength? == "second_factor",
        credential: credential?,
    })
}

/// Whoever gets a session's token is its owner to the admin API: it is the file that says who does, and no route of a resource
/// takes part in that.
pub(in crate::section) fn report_lent(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
    policies: &[Policy],
) {
    let lends = |at: &usize| {
        let policy = policies.get(*at);
        policy.is_some_and(|policy| matches!(&policy.kind, PolicyKind::Session(session) if session.credential.is_forwarded))
    };
    let lends_in = |at: &usize| match policies.get(*at).map(|policy| &policy.kind) {
        Some(PolicyKind::AnyOf(any)) => any.policies.iter().any(lends),
        _ => lends(at),
    };
    for (index, (node, route)) in placed(cursor, routes).enumerate() {
        if node.span.is_beside() && route.policies.iter().any(lends_in) {
            let message = "a route of a resource cannot have sessions forwarded";
            let place = below(node, &["policies"]).unwrap_or(node);
            let finding = Finding::error(codes::OUT_OF_REACH, message)
                .at(place.head())
                .path(format!("routes[{index}].policies"))
                .help("leave out `forward`, or write the route into the file");
            context.report(finding);
        }
    }
}
