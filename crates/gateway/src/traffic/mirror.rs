//! Copies of requests for another upstream.
//!
//! A copy never slows or fails its original: the original is on its way before the copy is, neither
//! waits for the other, and what a copy may take (bytes of a body, copies at a time, time in all) is
//! bounded. Beyond the bounds there is no copy; that is counted.

mod tee;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderName, HeaderValue, Method};
use weir_config::model::{HostHeader, Mirror, UpstreamTimeouts};

use super::counters::MirrorCounters;
use crate::affinity;
use crate::body::Body;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::RequestHead;
use crate::request::Interim;
use crate::snapshot::LocalSnapshot;
use crate::timer::Elapsed;
use crate::upstream::{Deadlines, Fate, ForwardHead, InFlight, Timing, Wish, attempt, discard};
use crate::worker::Worker;

pub(crate) use tee::Tee;

/// Tells a copy from its original. Clients cannot state it: see `hop/forwarding.rs`.
const MARK: HeaderName = HeaderName::from_static("x-weir-mirror");
/// Bytes of an answer that are read, so that the connection can be used again.
const MOST_ANSWER: usize = 256 * 1024;
/// How often a copy is sent anew because a kept connection turned out to have ended.
const MOST_STALE: u32 = 2;

/// A request whose copy may be wanted.
pub(crate) struct Original<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) snapshot: &'a Rc<LocalSnapshot>,
    /// Index of the route.
    pub(crate) route: usize,
    /// As it goes to the target: fields are changed already.
    pub(crate) head: &'a RequestHead,
    /// Path and query of a rewrite, in place of what was asked for.
    pub(crate) rewritten: Option<&'a str>,
    /// Normalised path that was asked for.
    pub(crate) path: &'a ByteString,
    pub(crate) host: &'a HostHeader,
}

/// Sends a copy if this request gets one, now or when its body was read. Returns the body to send on.
pub(crate) fn copy(mirror: &Mirror, original: &Original<'_>, body: Body) -> Body {
    // A copy is not copied again, or two gateways could keep one request alive between them.
    if !mirror.share.takes(fastrand::u64(..)) || original.head.fields.contains(&MARK) {
        return body;
    }
    let counters = &original.snapshot.routes[original.route].mirrored;
    let own = &counters[original.worker.index];
    if own.under_way.get() >= u64::from(mirror.limit) {
        own.over_limit.add(1);
        return body;
    }
    if body
        .length()
        .is_some_and(|length| length > mirror.body_bytes)
    {
        own.body_too_large.add(1);
        return body;
    }
    let copy = Box::new(Copy::of(mirror, original, counters));
    if body.is_end() {
        copy.start(Bytes::new());
        return body;
    }
    Body::Teed(Box::new(Tee::new(body, copy, mirror.body_bytes)))
}

/// A request of its own, which owns all it needs.
struct Copy {
    worker: Rc<Worker>,
    snapshot: Rc<LocalSnapshot>,
    /// Index of the upstream.
    upstream: usize,
    place: UnderWay,
    method: Method,
    path: ByteString,
    query: Option<ByteString>,
    /// `None`: the target's own.
    authority: Option<ByteString>,
    fields: Fields,
    content_length: Option<u64>,
}

/// What came of a copy.
enum Outcome {
    Answered,
    Failed,
    TimedOut,
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ConnectTimeout | Failure::UpstreamTimeout | Failure::UpstreamStalled => {
                Self::TimedOut
            }
            _ => Self::Failed,
        }
    }
}

impl Copy {
    fn of(mirror: &Mirror, original: &Original<'_>, counters: &Arc<[MirrorCounters]>) -> Self {
        let head = original.head;
        let mut fields = head.fields.clone();
        fields.set(MARK, HeaderValue::from_static("1"));
        // That of the original's upstream was taken out before.
        let upstream = original.snapshot.upstreams[mirror.upstream].model();
        affinity::strip(upstream, &mut fields);
        let (path, query) = match original.rewritten {
            Some(rewritten) => (ByteString::from(rewritten), None),
            None => (original.path.clone(), head.query.clone()),
        };
        let authority = match original.host {
            HostHeader::Preserve if !head.authority.is_empty() => Some(head.authority.clone()),
            HostHeader::Literal(text) => Some(ByteString::from(text.as_str())),
            HostHeader::Preserve | HostHeader::Target => None,
        };
        Self {
            worker: Rc::clone(original.worker),
            snapshot: Rc::clone(original.snapshot),
            upstream: mirror.upstream,
            place: UnderWay::begin(counters, original.worker.index),
            method: head.method.clone(),
            path,
            query,
            authority,
            fields,
            content_length: head.content_length,
        }
    }

    /// Sends it in a task of its own.
    fn start(self: Box<Self>, body: Bytes) {
        tokio::task::spawn_local(async move {
            let timers = &self.worker.timers;
            let whole = timers.register();
            let within = within(&self.snapshot.upstreams[self.upstream].model().timeouts);
            let outcome = whole.limit(within, self.exchange(&body)).await;
            let counters = self.place.counters();
            match outcome {
                Ok(Outcome::Answered) => counters.answered.add(1),
                Ok(Outcome::Failed) => counters.failed.add(1),
                Ok(Outcome::TimedOut) | Err(Elapsed) => counters.timed_out.add(1),
            }
        });
    }

    async fn exchange(&self, body: &Bytes) -> Outcome {
        let upstream = &self.snapshot.upstreams[self.upstream];
        let model = upstream.model();
        let timer = self.worker.timers.register();
        let deadlines = Deadlines {
            upstream: model.timeouts,
            body: model.timeouts.idle,
            is_brief: false,
        };
        let mut stale = 0;
        loop {
            let view = self.snapshot.view(self.upstream, &self.worker.pools);
            let local = &self.snapshot.local[self.upstream];
            let Some(at) = view.pick(local, &model.balance, &Wish::default()) else {
                return Outcome::Failed;
            };
            let pool = &view.pools[at];
            let authority = self.authority.as_deref();
            let head = ForwardHead {
                method: &self.method,
                path: &self.path,
                query: self.query.as_deref(),
                scheme: upstream.settings.speech.scheme(),
                authority: authority.unwrap_or(&pool.target.authority),
                fields: &self.fields,
                content_length: self.content_length,
                expects_continue: false,
                trace: None,
                attempt: 1,
                reads_ahead: false,
                upgrade: None,
            };
            let _in_flight = InFlight::begin(pool);
            pool.counters().requests.add(1);
            let body = match body.is_empty() {
                true => Body::Empty,
                false => Body::Full(body.clone()),
            };
            let timing = Timing {
                connecting: &mut None,
                sent: None,
            };
            let interim = Interim::Nowhere;
            let sent = attempt(pool, &head, body, &interim, &timer, &deadlines, timing);
            match sent.await {
                Ok((_, exchange)) => {
                    return match discard(exchange.into_body(), MOST_ANSWER).await {
                        Ok(()) => Outcome::Answered,
                        Err(failure) => failure.into(),
                    };
                }
                Err(attempted) => {
                    let is_stale = attempted.fate == Fate::Stale && self.method.is_idempotent();
                    if !is_stale || stale == MOST_STALE {
                        pool.counters().failed.add(1);
                        return attempted.failure.into();
                    }
                    stale += 1;
                }
            }
        }
    }
}

/// Time for a whole copy.
fn within(timeouts: &UpstreamTimeouts) -> std::time::Duration {
    let usual = timeouts.connect.saturating_add(timeouts.first_byte);
    timeouts.total.unwrap_or(usual)
}

/// A place among the copies of a route that are under way.
struct UnderWay {
    counters: Arc<[MirrorCounters]>,
    worker: usize,
}

impl UnderWay {
    fn begin(counters: &Arc<[MirrorCounters]>, worker: usize) -> Self {
        let under_way = &counters[worker].under_way;
        under_way.set(under_way.get() + 1);
        Self {
            counters: Arc::clone(counters),
            worker,
        }
    }

    fn counters(&self) -> &MirrorCounters {
        &self.counters[self.worker]
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let under_way = &self.counters().under_way;
        under_way.set(under_way.get() - 1);
    }
}
