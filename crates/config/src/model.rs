//! The resolved configuration: plain values, every reference settled, nothing left to look up.
//!
//! Values of this module are only made by the loader, so whoever reads them may rely on what each
//! field's comment states.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use ipnet::IpNet;
use weir_core::Secret;

use crate::section::IDENTIFYING;
use crate::template::Template;

mod access;
mod aggregate;
mod balance;
mod certificate;
mod discovery;
mod health;
mod leaked_keys;
mod listener;
mod mail;
mod matches;
mod overload;
mod reach;
mod resilience;
mod sessions;
mod shaping;
mod signed;
mod streams;
mod telemetry;
mod tokens;
mod traffic;
mod transform;
mod upstream;
mod validate;
mod websocket;

pub use access::{
    AnyOf, ApiKey, Basic, CertificateFact, CertificateName, ClaimNames, ClaimPath, ClaimRule,
    ClientAuthentication, Credential, IdentityFact, IdentityHeaders, InternalToken, Introspection,
    Issuer, Jwt, Keys, Mtls, OwnKeys, PublishedAt, PublishedKeys, Require, Session, TokenPlace,
};
pub use aggregate::{Aggregate, Part};
pub use balance::{Balance, HashKey, StickyCookie, Zones};
pub use certificate::NamedCertificate;
pub(crate) use certificate::name_of_own;
pub use discovery::{
    ConsulSource, Discovery, DiscoverySource, DnsRecord, DnsSource, KubernetesSource,
};
pub use health::{ActiveCheck, Health, PassiveCheck, Probe};
pub use leaked_keys::{GithubReports, LeakedKeys};
pub use listener::{
    Certificate, ClientCertificate, Hsts, Listener, ListenerTls, Material, Source, TlsVersion,
};
pub use mail::{Mail, MailTls};
pub use matches::{Match, ValueMatch};
pub use overload::{Bans, MinimumRate, Overload, Priority};
pub use reach::{Bounds, Reach};
pub use resilience::{Breaker, Concurrency, Hedge, Retry, RetryCondition, UpstreamTimeouts};
pub use sessions::Sessions;
pub use shaping::{
    Coding, Compress, Cors, CorsHeaders, MediaRange, Respond, SecurityHeaders, Subtype,
};
pub use signed::{Hmac, KeySource, Signature, SigningParty};
pub use streams::{Grpc, Sse, Streams};
pub use telemetry::{
    Log, LogFormat, LogLevel, LogOutput, LogRotation, Otlp, OtlpProtocol, Redaction, Share,
    Tracing, TrustedParent,
};
pub use tokens::{SigningAlgorithm, Tokens};
pub use traffic::{
    Backend, Destination, Guard, GuardAction, Mirror, Pin, PinBy, Split, Stickiness,
};
pub use transform::{Transform, TransformLimits, Transformation};
pub use upstream::{Pings, Pool, Target, Upstream, UpstreamHttp2, UpstreamTls};
pub use validate::{RequestCheck, Validate};
pub use websocket::WebSocket;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the environment whose overlay was applied, if any.
    pub environment: Option<String>,
    /// Data-plane threads, at least one.
    pub workers: usize,
    /// The admin listener.
    pub admin: Admin,
    /// Where revisions and, later, the lake are kept.
    pub data: PathBuf,
    /// Where records are kept.
    pub records: Records,
    /// How the installation's own tokens are issued.
    pub tokens: Tokens,
    /// How long people stay signed in.
    pub sessions: Sessions,
    /// Origins, as browsers write them, that the sign-in pages may lead to beside their own paths.
    pub return_origins: Vec<String>,
    /// Further names of the admin listener over https, as browsers write them, each with the slug of the
    /// organization that its pages show.
    pub sign_in_hosts: BTreeMap<String, String>,
    /// Who may report keys that were found where they do not belong.
    pub leaked_keys: LeakedKeys,
    /// How letters to people leave; without it, links are handed over by whoever asks for them.
    pub mail: Option<Mail>,
    /// Availability zone of this node.
    pub zone: Option<String>,
    /// Addresses that accept traffic; no two share an address.
    pub listeners: Vec<Listener>,
    /// Certificates that are no listener's own, in the order in which they are asked: those of the file
    /// before those of resources, each sorted by name.
    pub certificates: Vec<NamedCertificate>,
    /// Groups of servers, sorted by name.
    pub upstreams: Vec<Upstream>,
    /// Named policies, sorted by name.
    pub policies: Vec<Policy>,
    /// Routes in the file's order; names are unique.
    pub routes: Vec<Route>,
    /// Peers whose forwarding headers (`Forwarded`, `X-Forwarded-*`) are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Deadlines towards clients.
    pub timeouts: ClientTimeouts,
    /// Bounds on what a client may send or hold.
    pub limits: Limits,
    /// Bounds on the process as a whole.
    pub overload: Overload,
    /// What happens to `%2F` in a path.
    pub encoded_slash: EncodedSlash,
    /// Logs.
    pub log: Log,
    /// Distributed tracing; `None` leaves trace context alone.
    pub tracing: Option<Tracing>,
    /// Who is sent traces and logs.
    pub otlp: Option<Otlp>,
    /// How long a drain may last before what is left is cut.
    pub drain_timeout: Duration,
}

/// The admin listener: health, metrics and the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Loopback unless the operator says otherwise.
    pub address: SocketAddr,
    /// Where people reach it, without a slash at its end; `None` if that is its address.
    pub public_url: Option<String>,
    /// Peers that are believed when they say from where is asked.
    pub trusted_proxies: Vec<IpNet>,
    /// Which requests it can tell about one by one.
    pub requests: KeptRequests,
}

/// Where organizations, people, revisions and audit are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// A PostgreSQL database; `None` is SQLite in the data directory.
    pub url: Option<Secret<String>>,
    /// Connections at once, at least 2.
    pub connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// The installation's key; `None` if it is in the data directory.
    pub key: Option<Secret<[u8; 32]>>,
    /// Keys under which secrets may be sealed beside it.
    pub former_keys: Vec<Secret<[u8; 32]>>,
}

/// Requests that are kept in memory for the operator to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptRequests {
    /// How many of those in the access log, the latest.
    pub recent: usize,
    /// How many of those that failed, were refused or took long, the latest.
    pub noted: usize,
    /// What takes that long is noted; `None` if nothing is for that.
    pub slow: Option<Duration>,
}

/// A named policy: one kind each. The order in which policies act is fixed by the request's life,
/// not by the file.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Unique name.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
}

/// What a policy does.
#[derive(Clone, Debug)]
pub enum PolicyKind {
    /// Changes request and response headers.
    Headers(HeaderPolicy),
    /// Checks messages against a contract.
    Validate(Arc<Validate>),
    /// Lets scripts of other sites call.
    Cors(Box<Cors>),
    /// Tells browsers to be careful.
    SecurityHeaders(SecurityHeaders),
    /// Compresses answers.
    Compress(Compress),
    /// Changes bodies.
    Transform(Box<Transform>),
    /// Verifies tokens.
    Jwt(Box<Jwt>),
    /// Takes opaque tokens.
    Introspection(Arc<Introspection>),
    /// Takes API keys.
    ApiKey(ApiKey),
    /// Takes sessions of browsers.
    Session(Session),
    /// Takes names and passwords.
    Basic(Basic),
    /// Takes certificates.
    Mtls(Box<Mtls>),
    /// Takes signed requests.
    Signature(Box<Signature>),
    /// Takes requests with an HMAC of their body.
    Hmac(Box<Hmac>),
    /// Takes any of several ways to say who is calling.
    AnyOf(AnyOf),
    /// Lets only some of those pass who are known.
    Require(Require),
    /// Tells the upstream who is calling.
    Identity(IdentityHeaders),
}

impl PolicyKind {
    /// Whether it says who is calling.
    pub fn identifies(&self) -> bool {
        IDENTIFYING.contains(&self.name())
    }

    /// The key under which the file declares this kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Headers(_) => "headers",
            Self::Validate(_) => "validate",
            Self::Cors(_) => "cors",
            Self::SecurityHeaders(_) => "security_headers",
            Self::Compress(_) => "compress",
            Self::Transform(_) => "transform",
            Self::Jwt(_) => "jwt",
            Self::Introspection(_) => "introspection",
            Self::ApiKey(_) => "api_key",
            Self::Session(_) => "session",
            Self::Basic(_) => "basic",
            Self::Mtls(_) => "mtls",
            Self::Signature(_) => "signature",
            Self::Hmac(_) => "hmac",
            Self::AnyOf(_) => "any_of",
            Self::Require(_) => "require",
            Self::Identity(_) => "identity",
        }
    }
}

/// Header changes on the way in and on the way out.
#[derive(Clone, Debug, Default)]
pub struct HeaderPolicy {
    /// Applied to what is sent to the upstream.
    pub request: HeaderRules,
    /// Applied to what is sent to the client.
    pub response: HeaderRules,
}

/// Changes to one set of headers; `remove` acts first, then `set`, then `add`.
///
/// Values may be secrets, written out or referred to: `Debug` shows names only.
#[derive(Clone, Default)]
pub struct HeaderRules {
    /// Fields to remove.
    pub remove: Vec<HeaderName>,
    /// Fields to replace whatever was there.
    pub set: Vec<(HeaderName, Template)>,
    /// Fields to append.
    pub add: Vec<(HeaderName, Template)>,
}

impl HeaderRules {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

impl std::fmt::Debug for HeaderRules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |rules: &[(HeaderName, Template)]| {
            rules
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        formatter
            .debug_struct("HeaderRules")
            .field("remove", &self.remove)
            .field("set", &names(&self.set))
            .field("add", &names(&self.add))
            .finish()
    }
}

/// One way for a request to be answered.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique name.
    pub name: String,
    /// Which requests it takes.
    pub matcher: Match,
    /// Indices into [`Config::policies`], in the order written.
    pub policies: Vec<usize>,
    /// What is done with them.
    pub action: Action,
    /// Header changes of this route alone; they act after the policies'.
    pub headers: HeaderPolicy,
    /// Which requests are refused first under overload.
    pub priority: Priority,
    /// Slug of the organization whose traffic it is.
    pub organization: Option<String>,
    /// Share of its requests that are logged, if it has one of its own.
    pub log_sample: Option<Share>,
    /// Share of its requests that are traced, if it has one of its own.
    pub trace_sample: Option<Share>,
    /// gRPC calls and event streams.
    pub streams: Streams,
    /// WebSockets; without it requests for one are forwarded as any other.
    pub websocket: Option<WebSocket>,
}

/// What a route does with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends it to an upstream.
    Forward {
        /// Where to.
        to: Destination,
        /// Where copies go.
        mirror: Option<Mirror>,
        /// Change of the path.
        rewrite: Option<Rewrite>,
        /// What to send as `Host`.
        host: HostHeader,
    },
    /// Answers with a `Location`.
    Redirect {
        /// Target, absolute or relative.
        to: Template,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// Answers with what is written here.
    Respond(Box<Respond>),
    /// Answers with what several upstreams say.
    Aggregate(Box<Aggregate>),
}

/// Change of the path before forwarding. The query is kept unless the template writes its own.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// Replaces the literal part in front of the first capture or trailing `*` (the whole path of an
    /// exact pattern) with this text.
    Prefix(String),
    /// Writes the path anew.
    Path(Template),
}

/// What to send as `Host` to the upstream.
#[derive(Clone, Debug)]
pub enum HostHeader {
    /// What the client sent: the default.
    Preserve,
    /// The target's own host and port.
    Target,
    /// This text.
    Literal(String),
}

/// Deadlines towards clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// PROXY protocol header and TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a head to its end; also the time allowed before a new connection's first byte.
    pub head: Duration,
    /// Silence between requests on a kept connection.
    pub idle: Duration,
    /// Longest silence while a request body is expected.
    pub body: Duration,
    /// Longest time in which the client takes nothing of an answer.
    pub write: Duration,
}

/// Bounds on what a client may send or hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head: request line and fields together.
    pub head_bytes: usize,
    /// Number of header fields.
    pub headers: usize,
    /// Bytes of a request body; `None` is unbounded.
    pub body_bytes: Option<u64>,
    /// Open client connections of the whole process; more are refused at once.
    pub connections: usize,
    /// Open connections of one client address; `None` is unbounded.
    pub connections_per_address: Option<usize>,
    /// Slowest body or answer that is put up with; `None` puts up with every one.
    pub minimum_rate: Option<MinimumRate>,
    /// Concurrent HTTP/2 streams of one connection.
    pub streams: u32,
    /// Bytes of the whole process for credentials that were found to be good.
    pub credential_cache: u64,
}

/// What happens to a path with an encoded slash (`%2F`): back ends disagree on whether it separates
/// segments, so that a rule written for one reading can be passed by under the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    /// The request is refused: the default.
    Reject,
    /// It is part of its segment and forwarded as it came.
    Keep,
}
