//! Answers that the gateway gives by itself: to preflights, and those of the configuration.

use std::time::Duration;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use weir_config::model::Respond;

use super::{cors, shaping};
use crate::body::Body;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};
use crate::record::Recorder;
use crate::request::Answer;
use crate::transform::Matched;

/// The body is there; it is never waited for.
const IDLE: Duration = Duration::from_secs(60);

impl Matched<'_> {
    /// The answer to a preflight (Fetch §4.8); `None` if the request is none, or another's to answer.
    pub(crate) fn preflight(
        &self,
        head: &RequestHead,
        record: &mut Recorder,
    ) -> Result<Option<Answer>, Failure> {
        let Some(cors) = shaping(self.route).and_then(|shaping| shaping.cors.as_ref()) else {
            return Ok(None);
        };
        let Some(asked) = cors::asked_method(&head.method, &head.fields) else {
            return Ok(None);
        };
        // Taken: a refusal has no field that allows something.
        let origin = record.asked.origin.take();
        let fields = cors.preflight(&asked, origin.as_ref(), &head.fields)?;
        record.decided("preflight", None);
        let head = ResponseHead {
            status: StatusCode::NO_CONTENT,
            content_length: None,
            fields,
        };
        Ok(Some(Answer {
            head,
            body: Body::Empty,
            idle: IDLE,
        }))
    }

    /// The answer of a route that has one written down.
    pub(crate) fn respond(
        &self,
        respond: &Respond,
        head: &RequestHead,
        record: &mut Recorder,
    ) -> Result<Answer, Failure> {
        record.decided("respond", None);
        let mut fields = Fields::with_capacity(respond.fields.len() + 4);
        for (name, value) in &respond.fields {
            fields.append(name.clone(), value.clone());
        }
        let is_safe = matches!(head.method, Method::GET | Method::HEAD);
        let mut status = respond.status;
        if let Some(tag) = &respond.etag {
            fields.set(ETAG, tag.clone());
            if is_safe && status == StatusCode::OK && has_tag(&head.fields, tag) {
                status = StatusCode::NOT_MODIFIED;
            }
        }
        let is_bodiless = matches!(status.as_u16(), 204 | 304);
        let mut answer = ResponseHead {
            status,
            content_length: (!is_bodiless).then_some(respond.body.len() as u64),
            fields,
        };
        self.transform_response(&mut answer, head, record)?;
        let body = if is_bodiless || head.method == Method::HEAD {
            Body::Empty
        } else {
            Body::Full(respond.body.clone())
        };
        Ok(Answer {
            head: answer,
            body,
            idle: IDLE,
        })
    }
}

/// Whether `If-None-Match` names the tag (RFC 9110 §13.1.2), weakly compared. Tags here have no comma.
fn has_tag(fields: &Fields, tag: &HeaderValue) -> bool {
    fields.get_all(&IF_NONE_MATCH).any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|member| {
            let member = member.trim_ascii();
            member == b"*" || member.strip_prefix(b"W/").unwrap_or(member) == tag.as_bytes()
        })
    })
}
