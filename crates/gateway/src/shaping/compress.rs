//! Which answers are compressed, and what that changes in their heads.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use weir_config::model::{self, Coding, MediaRange};

use super::encode::Encoded;
use super::negotiate::{self, Accepted};
use super::{Asked, add_vary, etag, has_member};
use crate::body::Body;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};
use crate::request::Answer;
use crate::worker::Worker;

/// Longest media type that is looked at.
const LONGEST_TYPE: usize = 128;

/// Digests of bytes that are not what is sent any more (RFC 9530; RFC 1864, obsolete but seen).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

pub(super) struct Compress {
    codings: Vec<(Coding, u32)>,
    minimum: u64,
    types: Vec<MediaRange>,
    event_streams: bool,
}

impl Compress {
    pub(super) fn compile(model: &model::Compress) -> Self {
        Self {
            codings: model.codings.clone(),
            minimum: model.minimum,
            types: model.types.clone(),
            event_streams: model.event_streams,
        }
    }

    pub(super) fn negotiate(&self, fields: &Fields) -> Accepted {
        negotiate::negotiate(fields, &self.codings)
    }

    pub(super) fn encode(
        &self,
        worker: &Worker,
        request: &RequestHead,
        asked: &Asked,
        answer: &mut Answer,
    ) {
        if answer.head.status == StatusCode::NOT_MODIFIED {
            return not_modified(asked, &mut answer.head);
        }
        let is_forced = asked.accepted.is_identity_refused;
        if !self.is_compressible(request, answer, is_forced) {
            return;
        }
        add_vary(&mut answer.head.fields, "Accept-Encoding");
        let Some((coding, level)) = asked.accepted.coding else {
            return;
        };
        // Parts stay as they are, but belong to what others get compressed (RFC 9110 §15.3.7).
        if is_part(&answer.head) {
            return;
        }
        let length = answer.head.content_length.or(answer.body.length());
        if request.method != Method::HEAD {
            let Some(encoder) = worker.encoders.take(coding, level, length) else {
                return;
            };
            let source = std::mem::replace(&mut answer.body, Body::Empty);
            let encoded = Encoded::new(source, encoder, worker, length.is_some());
            answer.body = Body::Encoded(Box::new(encoded));
        }
        answer.head.content_length = None;
        let fields = &mut answer.head.fields;
        fields.set(CONTENT_ENCODING, HeaderValue::from_static(name(coding)));
        etag::weaken(fields, coding);
        // Parts of the compressed form cannot be asked for.
        fields.remove(&ACCEPT_RANGES);
        remove_digests(fields);
    }

    /// Whether the answer, or what it is a part of, would be compressed for a client that reads it.
    /// `is_forced`: the client does not want it as it is, however small or unsuitable.
    fn is_compressible(&self, request: &RequestHead, answer: &Answer, is_forced: bool) -> bool {
        let fields = &answer.head.fields;
        let length = if request.method == Method::HEAD {
            answer.head.content_length
        } else {
            answer.head.content_length.or(answer.body.length())
        };
        let minimum = if is_forced { 1 } else { self.minimum.max(1) };
        let has_body = !matches!(answer.head.status.as_u16(), 100..=199 | 204 | 205);
        // What becomes of a `CONNECT` is a tunnel.
        has_body
            && request.method != Method::CONNECT
            && (is_part(&answer.head) || length.is_none_or(|length| length >= minimum))
            && !is_encoded(fields)
            && self.is_type_compressed(fields, is_forced)
            // RFC 9110 §7.7, RFC 9111 §5.2.1.6 and §5.2.2.6.
            && !has_member(fields, &CACHE_CONTROL, "no-transform")
            && !has_member(&request.fields, &CACHE_CONTROL, "no-transform")
    }

    fn is_type_compressed(&self, fields: &Fields, is_forced: bool) -> bool {
        let Some(value) = fields.get(&CONTENT_TYPE) else {
            return is_forced;
        };
        let value = value.as_bytes();
        let end = value.iter().position(|byte| *byte == b';');
        let essence = value[..end.unwrap_or(value.len())].trim_ascii();
        let mut lower = [0; LONGEST_TYPE];
        let Some(lower) = lower.get_mut(..essence.len()) else {
            return is_forced;
        };
        lower.copy_from_slice(essence);
        lower.make_ascii_lowercase();
        let Some((kind, subtype)) = std::str::from_utf8(lower)
            .ok()
            .and_then(|essence| essence.split_once('/'))
        else {
            return is_forced;
        };
        if (kind, subtype) == ("text", "event-stream") {
            return self.event_streams;
        }
        // Calls have a compression of their own, and nobody expects this one.
        if kind == "application" && subtype.starts_with("grpc") {
            return false;
        }
        is_forced || self.types.iter().any(|range| range.contains(kind, subtype))
    }
}

/// A 304 tells what the answer would have told (RFC 9110 §15.4.5), under the tag that the client has. A
/// length could be that of other bytes.
fn not_modified(asked: &Asked, head: &mut ResponseHead) {
    if asked.accepted.coding.is_some() {
        head.content_length = None;
    }
    let fields = &mut head.fields;
    add_vary(fields, "Accept-Encoding");
    if let Some(coding) = asked.revalidates
        && fields.contains(&ETAG)
    {
        etag::weaken(fields, coding);
    }
}

fn is_part(head: &ResponseHead) -> bool {
    head.status == StatusCode::PARTIAL_CONTENT || head.fields.contains(&CONTENT_RANGE)
}

/// Removes digests of other bytes than are sent.
pub(super) fn remove_digests(fields: &mut Fields) {
    fields.retain(|name, _| !DIGESTS.contains(name));
}

/// Whether it has a coding already. `identity` is none, though it should not be stated.
fn is_encoded(fields: &Fields) -> bool {
    fields.get_all(&CONTENT_ENCODING).any(|value| {
        !value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"identity")
    })
}

/// As in `Content-Encoding`.
pub(super) const fn name(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "gzip",
        Coding::Brotli => "br",
        Coding::Zstd => "zstd",
    }
}

#[cfg(test)]
mod tests;
