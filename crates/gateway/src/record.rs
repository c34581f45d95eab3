//! What is kept of a request when it is over: counters and, if wanted, an access record.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue, Method};
use weir_core::{GrpcStatus, RequestId};

use crate::altered::{Alteration, Altered};
use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::grpc;
use crate::identify::Known;
use crate::message::Version;
use crate::shaping::Asked;
use crate::snapshot::LocalSnapshot;
use crate::trace::{Current, Trace};
use crate::upstream::InFlight;
use crate::upstream::bulkhead::Place;
use crate::validate::Fault;
use crate::websocket::WebSocketRecord;

mod access;
mod ended;
mod part;
mod traced;

pub use access::AccessRecord;

/// Bytes of a request's body that were read so far; the body and the recorder share it.
pub(crate) type Meter = Rc<Cell<u64>>;

/// Follows a request and records it when dropped, however it ends.
pub(crate) struct Recorder {
    pub(crate) client: Rc<Client>,
    pub(crate) snapshot: Rc<LocalSnapshot>,
    started: Instant,
    /// When the last attempt began.
    attempted: Instant,
    /// Whether it waited here before it was sent: that is not the target's time.
    pub(crate) has_waited: bool,
    pub(crate) id: RequestId,
    pub(crate) client_address: IpAddr,
    version: Version,
    host: ByteString,
    method: Option<Method>,
    pub(crate) path: ByteString,
    user_agent: Option<HeaderValue>,
    query: Option<ByteString>,
    headers: Vec<(HeaderName, HeaderValue)>,
    status: Option<u16>,
    received: Option<Meter>,
    sent: u64,
    pub(crate) route: Option<usize>,
    pub(crate) upstream: Option<usize>,
    /// The side of the route's split.
    pub(crate) backend: Option<usize>,
    /// Its place among the upstream's requests, if those are bounded.
    pub(crate) place: Option<Place>,
    /// The attempt under way, or the one that answered.
    in_flight: Option<InFlight>,
    attempts: u32,
    /// What the last attempt's new connection took, if it made one.
    pub(crate) connecting: Option<Duration>,
    upstream_head: Option<Duration>,
    reason: Option<&'static str>,
    cause: Option<&'static str>,
    altered: Cell<Altered>,
    /// What the request says about its answer's shape.
    pub(crate) asked: Asked,
    /// Who is calling, if a policy of the route found that out.
    pub(crate) known: Option<Rc<Known>>,
    /// Whom its other policies found: the request needs all of them.
    pub(crate) besides: Vec<Rc<Known>>,
    /// The cookie that takes the place of the one that came with the request.
    pub(crate) successor: Option<HeaderValue>,
    /// The policy that refused it, if that is not told by the reason.
    pub(crate) decided_by: Option<usize>,
    /// The Cedar rule that refused it.
    pub(crate) rule: Option<Arc<str>>,
    /// Why the answer was made here.
    pub(crate) failure: Option<Failure>,
    /// The answer was cut short, and not because of the client.
    is_cut: bool,
    /// If it is a gRPC call.
    pub(crate) call: Option<Rc<grpc::Call>>,
    /// What a program that changes the response wants to know of the request.
    pub(crate) facts: Option<Bytes>,
    /// What is wrong with the request and let pass.
    pub(crate) fault: Option<Fault>,
    /// Of the route's contract.
    pub(crate) operation: Option<usize>,
    websocket: Option<Box<WebSocketRecord>>,
    completed: bool,
    pub(crate) trace: Option<Box<Trace>>,
    /// Of a part of an aggregate, the number that its attempts begin with.
    part: Option<u32>,
}

impl Recorder {
    pub(crate) fn start(
        client: &Rc<Client>,
        snapshot: &Rc<LocalSnapshot>,
        version: Version,
        host: ByteString,
        method: Option<Method>,
        path: ByteString,
    ) -> Box<Self> {
        let started = Instant::now();
        // Boxed: it travels with the request through a dozen hands.
        Box::new(Self {
            client: Rc::clone(client),
            snapshot: Rc::clone(snapshot),
            started,
            attempted: started,
            has_waited: false,
            id: RequestId::generate(),
            client_address: client.peer.ip(),
            version,
            host,
            method,
            path,
            user_agent: None,
            query: None,
            headers: Vec::new(),
            status: None,
            received: None,
            sent: 0,
            route: None,
            upstream: None,
            backend: None,
            place: None,
            in_flight: None,
            attempts: 0,
            connecting: None,
            upstream_head: None,
            reason: None,
            cause: None,
            altered: Cell::default(),
            asked: Asked::default(),
            known: None,
            besides: Vec::new(),
            successor: None,
            decided_by: None,
            rule: None,
            failure: None,
            is_cut: false,
            call: None,
            facts: None,
            fault: None,
            operation: None,
            websocket: None,
            completed: false,
            trace: None,
            part: None,
        })
    }

    /// Keeps what only logs and traces need.
    pub(crate) fn keep(&mut self, query: Option<&ByteString>, fields: &Fields) {
        let wanted = &self.snapshot.recorded;
        if !wanted.anything && !self.client.worker.is_watched() {
            return;
        }
        self.user_agent = fields.get(&USER_AGENT).cloned();
        if wanted.query {
            self.query = query.cloned();
        }
        for name in &wanted.headers {
            let values = fields.get_all(name);
            self.headers
                .extend(values.map(|value| (name.clone(), value.clone())));
        }
    }

    /// Everybody whom the route's policies found: who calls first.
    pub(crate) fn callers(&self) -> impl Iterator<Item = &Rc<Known>> {
        self.known.iter().chain(&self.besides)
    }

    /// Counts the request's body.
    pub(crate) fn meter(&mut self, meter: Option<Meter>) {
        self.received = meter;
    }

    /// Another attempt begins; tells since when.
    pub(crate) fn attempt(&mut self, in_flight: InFlight) -> Instant {
        self.in_flight = Some(in_flight);
        self.connecting = None;
        // The first one begins with the request, near enough, unless it had to wait: the clock is not
        // asked again.
        if self.attempts > 0 || self.has_waited {
            self.attempted = Instant::now();
        }
        self.attempts += 1;
        if let Some(trace) = &mut self.trace {
            trace.current = Current {
                number: self.attempts,
                began: self.attempted,
                answered: None,
            };
        }
        self.attempted
    }

    /// Another attempt begins beside the one that is under way.
    pub(crate) fn hedged(&mut self) {
        self.attempts += 1;
    }

    /// Of attempts side by side, the first one is over, and others are not.
    pub(crate) fn first_is_over(&mut self) {
        self.in_flight = None;
    }

    /// Of attempts side by side, this one counts; nothing stands for the first.
    pub(crate) fn raced(&mut self, in_flight: Option<InFlight>, connecting: Option<Duration>) {
        if in_flight.is_some() {
            self.in_flight = in_flight;
        }
        self.connecting = connecting;
    }

    /// Attempts made so far, the one under way included.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long ago the request's head arrived.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long ago the last attempt began.
    pub(crate) fn since_attempt(&self) -> Duration {
        self.attempted.elapsed()
    }

    /// The attempt that follows is a repeat.
    pub(crate) fn retried(&self) {
        self.client.worker.counters.retries.add(1);
    }

    /// The response's head came back from the target; tells how long the attempt took.
    pub(crate) fn upstream_answered(&mut self) -> Duration {
        let now = Instant::now();
        self.upstream_head = Some(now.duration_since(self.started));
        if let Some(trace) = &mut self.trace {
            trace.current.answered = Some(now);
        }
        now.duration_since(self.attempted)
    }

    /// The answer's status is settled.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = Some(status);
        self.count_for_split(self.judged(status));
    }

    /// By which status an answer is judged: that of a gRPC call hides behind 200.
    fn judged(&self, status: u16) -> u16 {
        match (&self.call, self.failure) {
            (Some(_), Some(failure)) => failure.status().as_u16(),
            (Some(call), None) => call.status().map_or(status, GrpcStatus::http),
            (None, _) => status,
        }
    }

    /// Splits are judged by the answers' heads: a body may go on for hours.
    fn count_for_split(&self, status: u16) {
        let (Some(route), Some(backend)) = (self.route, self.backend) else {
            return;
        };
        if let Some(split) = &self.snapshot.routes[route].split {
            // Without a head from the target: as long as the client has waited.
            let took = self.upstream_head.unwrap_or_else(|| self.started.elapsed());
            split.count(backend, self.client.worker.index, status, took);
        }
    }

    /// Name of its route, empty if it has none.
    pub(crate) fn route_name(&self) -> Arc<str> {
        let route = self.route.map(|at| &self.snapshot.routes[at].name);
        route.map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Whether there is a body to send again.
    pub(crate) fn has_body_again(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.has_body_again())
    }

    /// The body once more, if it was kept.
    pub(crate) fn body_again(&self) -> Option<Body> {
        self.call.as_ref()?.body_again()
    }

    /// The answer is made here, for this reason.
    pub(crate) fn decided(&mut self, reason: &'static str, cause: Option<&'static str>) {
        self.reason = Some(reason);
        self.cause = cause;
    }

    /// Something of the request or its answer is changed here.
    pub(crate) fn altered(&self, alteration: Alteration) {
        self.altered.set(self.altered.get().with(alteration));
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// It opened a WebSocket, which has ended.
    pub(crate) fn upgraded(&mut self, websocket: WebSocketRecord, received: u64, sent: u64) {
        self.websocket = Some(Box::new(websocket));
        self.received = Some(Rc::new(Cell::new(received)));
        self.sent = sent;
    }

    /// The answer was handed over entirely.
    pub(crate) fn complete(mut self: Box<Self>) {
        // A call is told why it is cut short, and has its proper end then.
        if let Some(failure) = self.call.as_ref().and_then(|call| call.cut()) {
            return self.fail(failure);
        }
        self.completed = true;
    }

    /// The answer was cut short. Why it was made here, if so, is the better reason.
    pub(crate) fn fail(mut self: Box<Self>, failure: Failure) {
        // The head counted as a success, so that this is no failure in a row; it is one in the rate.
        if let Some(in_flight) = &self.in_flight
            && failure.is_the_targets()
        {
            in_flight.pool().counters().faults.add(1);
            in_flight.pool().counters().cut.add(1);
        }
        if self.reason.is_none() {
            self.decided(failure.reason(), failure.cause());
        }
        self.is_cut = failure.status().is_server_error();
        if let Some(call) = &self.call {
            call.failed(failure);
        }
        self.completed = true;
    }
}
