//! One part of an aggregate: a request to an upstream, and what comes of it.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use weir_config::model::Part;

use crate::affinity;
use crate::body::Body;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::forward::{self, Forward};
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::request::Interim;
use crate::reshape::is_json;
use crate::timer::Elapsed;
use crate::trace::Context;
use crate::transform::Matched;
use crate::websocket::Upgrade;
use crate::whole::{Codings, Pool, Room, Unread, Whole, gather};

/// Answers that are longer are looked through on another thread.
const SHORT: usize = 64 * 1024;

/// What is passed on of every request, as proxies in front have written it: whoever is not trusted has
/// none of it by then, and trace and id are those of the request.
const PASSED_ON: [HeaderName; 8] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("via"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// A part that is to be asked for.
pub(super) struct Asked<'a> {
    at: usize,
    part: &'a Part,
    head: RequestHead,
    rewritten: String,
    trace: Option<Rc<Context>>,
    record: Box<Recorder>,
}

/// A part that was asked for.
pub(super) struct Done {
    pub(super) at: usize,
    /// The value, in the room that it takes.
    pub(super) outcome: Result<Whole, Missing>,
    pub(super) record: Box<Recorder>,
}

/// Why a part is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// For the client: a word of Weir's, or `status`.
    pub(super) reason: &'static str,
    /// If the upstream answered.
    pub(super) status: Option<u16>,
    pub(super) is_late: bool,
    /// For the trace.
    pub(super) failure: Failure,
}

impl Missing {
    /// What it means for the whole, if that is nothing without the part. What is there and may not be
    /// seen, or is not there at all, is so for the client, too.
    pub(super) fn fails_all(&self) -> Failure {
        match self.status {
            Some(status @ (401 | 403 | 404 | 410)) => Failure::AggregateFailed(self.reason, status),
            _ => Failure::AggregateFailed(self.reason, 502),
        }
    }
}

impl From<Failure> for Missing {
    fn from(failure: Failure) -> Self {
        Self {
            reason: failure.reason(),
            status: None,
            is_late: failure.status() == StatusCode::GATEWAY_TIMEOUT,
            failure,
        }
    }
}

fn unusable(reason: &'static str, status: StatusCode) -> Missing {
    Missing {
        reason,
        status: Some(status.as_u16()),
        is_late: false,
        failure: Failure::UpstreamMalformed(reason),
    }
}

impl<'a> Asked<'a> {
    /// The request for a part.
    pub(super) fn new(
        at: usize,
        part: &'a Part,
        matched: &Matched<'_>,
        head: &RequestHead,
        is_trusted: bool,
        record: &mut Recorder,
    ) -> Result<Self, Failure> {
        // A template may ask for the upstream's name.
        record.upstream = Some(part.upstream);
        let rewritten = matched.path_of_part(&part.path, head, record);
        let mut fields = Fields::with_capacity(12);
        for (name, value) in head.fields.iter() {
            if part.headers.contains(name) || PASSED_ON.contains(name) {
                fields.append(name.clone(), value.clone());
            }
        }
        fields.set(ACCEPT, HeaderValue::from_static("application/json"));
        fields.set(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut own = RequestHead {
            method: Method::GET,
            version: head.version,
            authority: head.authority.clone(),
            path: head.path.clone(),
            query: None,
            content_length: None,
            expects_continue: false,
            fields,
            upgrade: Upgrade::default(),
        };
        let transformed = matched.transform_request(&mut own, record, is_trusted);
        record.upstream = None;
        transformed?;
        Ok(Self {
            at,
            part,
            head: own,
            rewritten: rewritten?,
            trace: record.outgoing(),
            record: record.part(at, part.upstream),
        })
    }

    /// Asks for it, for as long as it may take.
    pub(super) async fn run(mut self, matched: &Matched<'_>, pool: &Pool, most: usize) -> Done {
        let whole = matched.client.worker.timers.register();
        let limit = self.part.timeout;
        let outcome = whole.limit(limit, self.exchange(matched, pool, most)).await;
        let outcome =
            outcome.unwrap_or_else(|Elapsed| Err(Missing::from(Failure::UpstreamTimeout)));
        Done {
            at: self.at,
            outcome,
            record: self.record,
        }
    }

    async fn exchange(
        &mut self,
        matched: &Matched<'_>,
        pool: &Pool,
        most: usize,
    ) -> Result<Whole, Missing> {
        let worker = &matched.client.worker;
        // Another one than that of the whole: forwarding sets it anew for each of its phases.
        let timer = worker.timers.register();
        let forward = Forward {
            client: matched.client,
            snapshot: matched.snapshot,
            upstream: self.part.upstream,
            rewritten: Some(&self.rewritten),
            path: matched.path,
            host: &self.part.host,
            trace: self.trace.clone(),
        };
        let (head, record) = (&mut self.head, &mut self.record);
        let wish = affinity::wish(
            forward.upstream().model(),
            head,
            matched.path,
            record.client_address,
        );
        let nowhere = Interim::Nowhere;
        let answer =
            forward::forward(&forward, wish, head, Body::Empty, &nowhere, &timer, record).await?;
        let status = answer.head.status;
        if status == StatusCode::NO_CONTENT {
            return Ok(Whole {
                bytes: Bytes::from_static(b"null"),
                room: Room::new(worker),
            });
        }
        if !status.is_success() || status == StatusCode::PARTIAL_CONTENT {
            return Err(unusable("status", status));
        }
        let codings = match Codings::of(&answer.head.fields) {
            Some(codings) if is_json(&answer.head.fields) => codings,
            _ => return Err(unusable("not_json", status)),
        };
        let whole = gather(worker, answer.body, most, answer.idle, &timer).await;
        let mut whole = whole.map_err(|unread| match unread {
            Unread::TooLarge => unusable("too_large", status),
            Unread::NoRoom => Failure::MemoryPressure.into(),
            Unread::Silent => Failure::UpstreamStalled.into(),
            Unread::Failed(failure) => Missing::from(failure),
        })?;
        let bytes = whole.bytes.clone();
        let is_short = bytes.len() <= SHORT && codings.is_empty();
        let read = move || {
            let body = codings.undo(bytes, most).ok()?;
            weir_transform::is_json(&body).then_some(body)
        };
        let body = if is_short {
            read()
        } else {
            let reading = pool.submit(read);
            let reading = reading.ok_or(Missing::from(Failure::TransformBusy))?;
            reading.await.unwrap_or(None)
        };
        whole.bytes = body.ok_or_else(|| unusable("not_json", status))?;
        whole.room.resize(whole.bytes.len());
        Ok(whole)
    }
}
