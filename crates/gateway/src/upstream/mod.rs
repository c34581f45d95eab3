//! The way to targets: picking one, connecting, and exchanging a request for a response.

mod attempt;
pub(crate) mod breaker;
pub(crate) mod bulkhead;
mod cause;
pub(crate) mod cluster;
mod connect;
mod drain;
mod latency;
mod local;
mod member;
mod observation;
mod opening;
mod pick;
mod plan;
mod pool;
mod pools;
mod shared;
mod slots;
pub(crate) mod target;
#[cfg(test)]
mod testing;

use std::rc::Rc;
use std::time::Duration;

use http::{Method, StatusCode};
use rustls_pki_types::ServerName;

use crate::fields::Fields;
use crate::message::ResponseHead;
use crate::trace::Context;
use crate::websocket::Handshake;

pub(crate) use attempt::{Attempt, Attempted, Deadlines, Fate, Outcome, Timing, attempt};
pub use breaker::{BreakerReport, Phase};
pub use bulkhead::Load;
pub(crate) use connect::Connector;
pub(crate) use drain::{discard, let_go};
pub(crate) use local::{LocalUpstream, View, Wish};
pub use member::{Member, MemberState};
pub(crate) use observation::Observation;
pub(crate) use plan::stable_hash;
pub(crate) use pool::{InFlight, Pool};
pub(crate) use pools::Pools;
pub(crate) use shared::Share;
pub(crate) use slots::Slot;
pub use target::Target;
pub(crate) use target::Targets;

/// A request's head as it goes to a target.
#[derive(Debug)]
pub(crate) struct ForwardHead<'a> {
    pub(crate) method: &'a Method,
    /// Normalised and rewritten.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) scheme: &'static str,
    /// `Host` or `:authority`.
    pub(crate) authority: &'a str,
    /// Without framing, `host` and hop-by-hop fields.
    pub(crate) fields: &'a Fields,
    pub(crate) content_length: Option<u64>,
    pub(crate) expects_continue: bool,
    /// What the target is told about the trace.
    pub(crate) trace: Option<&'a Context>,
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
    /// Whether much of the response may be read before the client is known to take it. An HTTP/1
    /// client waits for one response at a time; an HTTP/2 client could leave a hundred lying.
    pub(crate) reads_ahead: bool,
    /// It asks for a WebSocket.
    pub(crate) upgrade: Option<&'a Rc<Handshake>>,
}

/// A head from a target.
#[derive(Debug)]
pub(crate) enum Received {
    /// 103 and other interim responses but 100, for the client; more follows.
    Interim(StatusCode, Fields),
    /// The response; its body is the exchange itself.
    Final(ResponseHead),
}

/// The name that a target's certificate must carry.
pub(crate) type TargetName = ServerName<'static>;

/// How long a resolved name is believed.
pub(crate) const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// How long a name that could not be resolved is not asked for again.
pub(crate) const UNRESOLVED_FOR: Duration = Duration::from_secs(1);
