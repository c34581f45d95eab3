//! One request as logs, traces and operators are told of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use http::{HeaderName, HeaderValue, Method};
use weir_core::{GrpcStatus, RequestId};

use crate::altered::Altered;
use crate::message::Version;
use crate::trace::TraceIds;
use crate::websocket::WebSocketRecord;

/// One request, as the access log tells it.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// Whether it belongs in the access log, and is not only of interest to whoever looks on.
    pub is_logged: bool,
    /// Whether it failed, was refused or took long.
    pub is_noted: bool,
    /// When the request's head had arrived.
    pub time: SystemTime,
    /// Joins this record with the error answer and the upstream's logs.
    pub request_id: RequestId,
    /// The client; behind trusted proxies the one that they name.
    pub client: IpAddr,
    /// Version of HTTP spoken by the client.
    pub version: Version,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `Host` or `:authority`.
    pub host: ByteString,
    /// Method; `None` if the head could not be read.
    pub method: Option<Method>,
    /// Normalised path; as received if it could not be normalised.
    pub path: ByteString,
    /// The query, if it is wanted. It is where credentials end up: whoever writes it down hides them.
    pub query: Option<ByteString>,
    /// Request headers that are wanted.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
    /// Status of the answer, 499 if the client left before it; 0 if there was no request: the
    /// connection was refused, and only time, client, scheme and reason are known.
    pub status: u16,
    /// Bytes of the request's body.
    pub received: u64,
    /// Bytes of the response's body.
    pub sent: u64,
    /// Name of the route.
    pub route: Option<Arc<str>>,
    /// Name of the upstream.
    pub upstream: Option<Arc<str>>,
    /// `host:port` of the last target tried.
    pub target: Option<ByteString>,
    /// Attempts made.
    pub attempts: u32,
    /// From the head's arrival to the last byte of the answer.
    pub duration: Duration,
    /// What it took to connect to that target (name, TCP and TLS); `None` on a kept connection.
    pub upstream_connect: Option<Duration>,
    /// From the head's arrival to the response head from the target.
    pub upstream_head: Option<Duration>,
    /// Why the answer was made here or cut short.
    pub reason: Option<&'static str>,
    /// More about the reason, for the operator.
    pub cause: Option<&'static str>,
    /// Name of the route's policy that decided, if one did.
    pub policy: Option<Arc<str>>,
    /// The Cedar rule that refused the request, if one did.
    pub rule: Option<Arc<str>>,
    /// Who called, as their issuer knows them, if a policy found that out.
    pub user: Option<Arc<str>>,
    /// What was changed here of the request or its answer.
    pub altered: Altered,
    /// Its place in a trace, if requests are traced.
    pub trace: Option<TraceIds>,
    /// How a gRPC call ended; `None` for all other requests.
    pub grpc_status: Option<GrpcStatus>,
    /// Which part of the request breaks the route's contract, if that let it pass.
    pub fault: Option<&'static str>,
    /// What became of the WebSocket that it opened. Sizes are of the messages' payload then.
    pub websocket: Option<Box<WebSocketRecord>>,
}
