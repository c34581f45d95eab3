//! Sessions of people who signed in on the pages, by the cookie of their browser.
//!
//! A browser sends a cookie along with whatever any page makes it ask for, so that the cookie alone is nobody's word: what
//! changes something must come from a page of the very host that is asked. And it goes on to send one that is worth nothing
//! any more, so that a session that is over is like none.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderName, ORIGIN, SET_COOKIE};
use http::{HeaderValue, Method};
use weir_config::model::Session;
use weir_config::origin::Origin;
use weir_core::session_cookie::{PLAIN, SECURE};
use weir_core::{Secret, principal};

use super::known::Known;
use super::lookup::{Answer, Good, Question};
use super::rules::Asked;
use super::{Bad, Verdict, Wanted};
use crate::cookies;
use crate::fields::Fields;
use crate::tls::TlsFacts;

/// What no token is longer than.
const LONGEST: usize = 128;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The token of a session. Of two, one may have been put there by somebody else: neither counts then.
pub(super) fn presented<'a>(fields: &'a Fields, asked: &Asked<'_>) -> Option<&'a [u8]> {
    sole(fields, SECURE).or_else(|| match is_here(asked) {
        true => sole(fields, PLAIN),
        false => None,
    })
}

/// Takes it out, in either form.
pub(crate) fn remove(fields: &mut Fields) {
    cookies::remove(fields, SECURE);
    cookies::remove(fields, PLAIN);
}

/// Why a request may not use a session, if another site may have made the browser send it.
pub(super) fn forbids(fields: &Fields, asked: &Asked<'_>, tls: Option<&TlsFacts>) -> Option<Bad> {
    // Scripts of any page can open a WebSocket, and read what comes.
    let changes_nothing = is_safe(asked.method) && !asked.is_upgrade;
    if changes_nothing || is_from_own_page(fields, asked, tls) {
        return None;
    }
    Some(Bad {
        word: "cross_site",
        sentence: "With a session, what changes something must come from a page of this very host."
            .to_owned(),
    })
}

/// Who it is must be asked.
pub(super) fn verify(credential: &[u8]) -> Verdict {
    match std::str::from_utf8(credential) {
        Ok(text) if text.len() <= LONGEST => {
            let token = Secret::new(text.to_owned());
            Verdict::Ask(Wanted::Lookup(Question::Session(token)))
        }
        _ => Verdict::Nobody,
    }
}

/// Whether a session is enough for a policy, and what somebody is by it.
pub(super) fn read(model: &Session, mut good: Good, since: u64, now: u64) -> Verdict {
    let not_enough = |word, sentence: &str| {
        let sentence = sentence.to_owned();
        Verdict::NotEnough(Bad { word, sentence })
    };
    if model.needs_second_factor && good.principal.method != principal::Method::TwoFactor {
        return not_enough(
            "second_factor_missing",
            "This needs a sign-in with a second factor: set one up for your account, and sign in with it.",
        );
    }
    let person = good.person.take().unwrap_or_default();
    let organizations = person.memberships.iter();
    let organizations = organizations.map(|one| one.organization.clone()).collect();
    if let Some(organization) = &model.organization {
        let mut memberships = person.memberships.into_iter();
        let Some(membership) = memberships.find(|one| *one.organization == **organization) else {
            return not_enough(
                "not_a_member",
                "This is for members of an organization to which the account does not belong.",
            );
        };
        good.principal.organization = Some(membership.organization);
        good.principal.roles = vec![membership.role];
        good.principal.scopes = membership.scopes;
    }
    if person.successor.is_some() {
        // Its token is one of yesterday: nothing is remembered of it.
        good.fresh_for = Duration::ZERO;
    }
    Verdict::Good(Known::person(good, organizations, since, now))
}

/// The cookie that takes the place of the one that was shown.
pub(super) fn successor(answer: &Answer, fields: &Fields) -> Option<HeaderValue> {
    let Answer::Good(good) = answer else {
        return None;
    };
    let person = good.person.as_ref()?;
    // Under the name of the one that was shown: the browser has that one.
    let is_plain = sole(fields, SECURE).is_none();
    set(person.successor.as_ref()?, is_plain)
}

/// Has the browser keep a successor, unless the answer says something of the cookie itself: signing in and out does.
pub(crate) fn hand_over(cookie: &HeaderValue, fields: &mut Fields) {
    let name = |field: &HeaderValue| {
        let mut parts = field.as_bytes().splitn(2, |byte| *byte == b'=');
        parts.next().map(<[u8]>::to_vec)
    };
    let own = name(cookie);
    if fields.get_all(&SET_COOKIE).any(|field| name(field) == own) {
        return;
    }
    fields.append(SET_COOKIE, cookie.clone());
    // Whoever keeps the answer for others would hand the session out to them.
    fields.set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// As the pages set it.
fn set(token: &Secret<String>, is_plain: bool) -> Option<HeaderValue> {
    let name = if is_plain { PLAIN } else { SECURE };
    let mut cookie = cookies::set_cookie(name, token.expose(), None, !is_plain)?;
    cookie.set_sensitive(true);
    Some(cookie)
}

fn sole<'a>(fields: &'a Fields, name: &'static str) -> Option<&'a [u8]> {
    let mut values = cookies::values(fields, name);
    let first = values.next();
    match values.next() {
        None => first.filter(|value| !value.is_empty()),
        Some(_) => None,
    }
}

/// Whether both ends are this very machine, under a name that says so: nobody else can have set a cookie there.
fn is_here(asked: &Asked<'_>) -> bool {
    let host = asked.host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    is_loopback(asked.client)
        && (host == "localhost" || host.parse::<IpAddr>().is_ok_and(is_loopback))
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the browser itself says that a page of this origin sends the request, or the person by the address bar. Who says nothing is
/// no browser of today, or has something to hide.
fn is_from_own_page(fields: &Fields, asked: &Asked<'_>, tls: Option<&TlsFacts>) -> bool {
    let is_own_origin = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(Origin::parse);
        origin.is_some_and(|origin| {
            // Pages that came without TLS can be anybody's.
            let is_safe = tls.is_none() || origin.scheme.eq_ignore_ascii_case("https");
            is_safe && origin.is_of(asked.authority)
        })
    };
    let is_own_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    let is_said = fields.contains(&ORIGIN) || fields.contains(&SEC_FETCH_SITE);
    is_said
        && fields.get_all(&ORIGIN).all(is_own_origin)
        && fields.get_all(&SEC_FETCH_SITE).all(is_own_site)
}

#[cfg(test)]
mod tests;
