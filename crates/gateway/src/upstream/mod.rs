//! The way to targets: picking one, connecting, and exchanging a request for a response.

mod attempt;
mod balance;
mod connect;
mod pool;
mod shared;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use http::{Method, StatusCode};
use rustls_pki_types::ServerName;

use crate::fields::Fields;
use crate::message::ResponseHead;
use crate::metrics::TargetCounters;

pub(crate) use attempt::{Attempted, Deadlines, Fate, attempt};
pub(crate) use balance::{LocalUpstream, schedule};
pub(crate) use connect::Connector;
pub(crate) use pool::{InFlight, Pool};
pub(crate) use shared::Share;

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
    /// Whether much of the response may be read before the client is known to take it. An HTTP/1
    /// client waits for one response at a time; an HTTP/2 client could leave a hundred lying.
    pub(crate) reads_ahead: bool,
}

/// A head from a target.
#[derive(Debug)]
pub(crate) enum Received {
    /// 103 and other interim responses but 100, for the client; more follows.
    Interim(StatusCode, Fields),
    /// The response; its body is the exchange itself.
    Final(ResponseHead),
}

/// One server, as the whole process knows it; it outlives the revision that named it first.
#[derive(Debug)]
pub struct Target {
    /// Number that no other combination of address and protocol settings has in this process.
    pub identity: u64,
    /// Address, if the configuration states one rather than a name.
    pub address: Option<SocketAddr>,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `host:port`, as it stands in `Host` and in logs.
    pub authority: ByteString,
    /// Availability zone.
    pub zone: Option<String>,
    /// Counters, one set per worker.
    pub counters: Arc<[TargetCounters]>,
    /// TLS and protocol towards it.
    pub(crate) connector: Connector,
}

/// The name that a target's certificate must carry.
pub(crate) type TargetName = ServerName<'static>;

/// How long a resolved name is believed.
pub(crate) const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// How long a name that could not be resolved is not asked for again.
pub(crate) const UNRESOLVED_FOR: Duration = Duration::from_secs(1);
