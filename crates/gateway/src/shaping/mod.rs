//! What shapes answers for their clients: CORS, security headers, compression, fixed answers.
//!
//! Routes without such a policy pay for one look at an `Option`. What the request says about it is
//! kept in its record ([`Asked`]), because answers that are made elsewhere, errors above all, need it.

use http::header::VARY;
use http::{HeaderName, HeaderValue};
use weir_config::model::{self, Config, PolicyKind};

use crate::altered::Alteration;
use crate::body::Body;
use crate::fields::Fields;
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::request::Answer;
use crate::router::{Found, Missed, RouteRequest};
use crate::snapshot::{LocalSnapshot, Route};
use crate::worker::Worker;

mod compress;
mod cors;
mod encode;
mod encoder;
mod etag;
mod local;
mod negotiate;
pub mod preflight;
mod security;

pub(crate) use encode::Encoded;
pub(crate) use encoder::Encoders;

use compress::Compress;
use cors::Cors;
use security::SecurityHeaders;

/// The policies of a route that shape its answers.
#[derive(Default)]
pub(crate) struct Shaping {
    cors: Option<Cors>,
    security: Option<SecurityHeaders>,
    compress: Option<Compress>,
}

/// What a request says about its answer's shape.
#[derive(Default)]
pub(crate) struct Asked {
    /// `Access-Control-Allow-Origin` of every answer to it.
    origin: Option<HeaderValue>,
    accepted: negotiate::Accepted,
    /// The coding of an answer that the client has and asks about.
    revalidates: Option<model::Coding>,
}

impl Shaping {
    /// `None` if no policy of the route is of that sort.
    pub(crate) fn compile(config: &Config, route: &model::Route) -> Option<Box<Self>> {
        let mut shaping = Self::default();
        let mut is_any = false;
        for policy in &route.policies {
            match &config.policies[*policy].kind {
                PolicyKind::Cors(cors) => shaping.cors = Some(Cors::compile(cors)),
                PolicyKind::SecurityHeaders(headers) => {
                    shaping.security = Some(SecurityHeaders::compile(headers));
                }
                PolicyKind::Compress(compress) => {
                    shaping.compress = Some(Compress::compile(compress));
                }
                _ => continue,
            }
            is_any = true;
        }
        is_any.then(|| Box::new(shaping))
    }

    /// Whether preflights are answered.
    pub(crate) fn has_cors(&self) -> bool {
        self.cors.is_some()
    }
}

/// Finds a request's route; for a preflight that of the request which it asks about.
pub(crate) fn find(snapshot: &LocalSnapshot, wanted: &RouteRequest<'_>) -> Result<Found, Missed> {
    if snapshot.has_cors
        && let Some(method) = cors::asked_method(wanted.method, wanted.fields)
    {
        let asked = RouteRequest {
            method: &method,
            ..*wanted
        };
        if let Ok(found) = snapshot.router.find(&asked)
            && shaping(&snapshot.routes[found.route]).is_some_and(Shaping::has_cors)
        {
            return Ok(found);
        }
    }
    snapshot.router.find(wanted)
}

/// Whether the route answers this request as a preflight.
pub(crate) fn is_preflight(route: &Route, head: &RequestHead) -> bool {
    shaping(route).is_some_and(Shaping::has_cors)
        && cors::asked_method(&head.method, &head.fields).is_some()
}

fn shaping(route: &Route) -> Option<&Shaping> {
    route.shaping.as_deref()
}

/// Notes what the request says, before rules change its fields.
pub(crate) fn begin(route: &Route, head: &mut RequestHead, record: &mut Recorder) {
    let Some(shaping) = shaping(route) else {
        return;
    };
    note_origin(route, head, record);
    if let Some(compress) = &shaping.compress {
        record.asked.accepted = compress.negotiate(&head.fields);
        record.asked.revalidates = etag::restore(&mut head.fields);
    }
}

/// Notes whether scripts may read answers, refusals as well.
pub(crate) fn note_origin(route: &Route, head: &RequestHead, record: &mut Recorder) {
    if let Some(cors) = shaping(route).and_then(|shaping| shaping.cors.as_ref()) {
        record.asked.origin = cors.allowed_origin(&head.fields);
    }
}

/// Writes the fields of policies into an answer.
pub(crate) fn mark(route: &Route, record: &Recorder, fields: &mut Fields) {
    let Some(shaping) = shaping(route) else {
        return;
    };
    if let Some(security) = &shaping.security {
        security.apply(fields);
        record.altered(Alteration::SecurityHeaders);
    }
    if let Some(cors) = &shaping.cors {
        cors.mark(record.asked.origin.as_ref(), fields);
        if record.asked.origin.is_some() {
            record.altered(Alteration::Cors);
        }
    }
}

/// The same for an answer that says no.
pub(crate) fn mark_denial(record: &Recorder, fields: &mut Fields) {
    if let Some(route) = record.route {
        mark(&record.snapshot.routes[route], record, fields);
    }
}

/// Compresses an answer, where that is wanted and right; nothing changes its fields afterwards.
pub(crate) fn encode(
    worker: &Worker,
    route: &Route,
    head: &RequestHead,
    record: &Recorder,
    answer: &mut Answer,
) {
    if let Some(compress) = shaping(route).and_then(|shaping| shaping.compress.as_ref()) {
        compress.encode(worker, head, &record.asked, answer);
        if matches!(answer.body, Body::Encoded(_)) {
            record.altered(Alteration::Compress);
        }
    }
}

/// Adds a name to `Vary` (RFC 9110 §12.5.5), unless it is there.
fn add_vary(fields: &mut Fields, name: &'static str) {
    let is_there = fields.get_all(&VARY).any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|member| {
            let member = member.trim_ascii();
            member == b"*" || member.eq_ignore_ascii_case(name.as_bytes())
        })
    });
    if !is_there {
        fields.append(VARY, HeaderValue::from_static(name));
    }
}

/// `a, b, c` as a field's value; `None` of an empty list.
fn joined<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Option<HeaderValue> {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(item.as_ref());
    }
    HeaderValue::from_str(&text)
        .ok()
        .filter(|value| !value.is_empty())
}

/// Whether a comma-separated field has this member, whatever its parameters or argument.
fn has_member(fields: &Fields, name: &HeaderName, wanted: &str) -> bool {
    fields.get_all(name).any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|member| {
            let end = member.iter().position(|byte| matches!(byte, b';' | b'='));
            let word = &member[..end.unwrap_or(member.len())];
            word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_names_a_field_once() {
        let vary = |values: &[&'static str]| {
            let mut fields = Fields::new();
            for value in values {
                fields.append(VARY, HeaderValue::from_static(value));
            }
            add_vary(&mut fields, "Origin");
            fields.get_all(&VARY).count()
        };
        assert_eq!(vary(&[]), 1);
        assert_eq!(vary(&["accept, ORIGIN"]), 1);
        assert_eq!(vary(&["*"]), 1);
        assert_eq!(vary(&["accept", "x-origin"]), 3);
    }
}
