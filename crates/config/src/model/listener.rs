//! Where traffic is accepted, and what proves who answers it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_core::Secret;

use super::NamedCertificate;

/// One address that accepts traffic.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where to listen.
    pub address: SocketAddr,
    /// TLS settings; without them the listener speaks plain HTTP/1.1 and HTTP/2 with prior knowledge.
    pub tls: Option<ListenerTls>,
    /// Whether each connection must begin with a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// TLS towards clients.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Its own; the first answers clients that send no server name, or one that no certificate is for. If
    /// there is none, such clients are refused.
    pub certificates: Vec<Certificate>,
    /// Those that are for this listener beside its own, and are asked after them.
    pub named: Vec<NamedCertificate>,
    /// Oldest protocol version accepted.
    pub minimum_version: TlsVersion,
    /// Whether clients present certificates.
    pub client_certificate: Option<ClientCertificate>,
    /// `Strict-Transport-Security` on every answer of this listener.
    pub hsts: Option<Hsts>,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Leaf first.
    pub chain: Material,
    /// PKCS #8, PKCS #1 or SEC 1.
    pub key: Material,
}

/// Bytes that a reference (`file:` or `env:`) led to, or that a resource has, and where from.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The content.
    pub bytes: Secret<Arc<[u8]>>,
    /// Where it came from.
    pub source: Source,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Material({})", self.source)
    }
}

/// Where a referenced value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file; the path is absolute or relative to the working directory.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A resource has it under this key.
    Resource(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "file:{}", path.display()),
            Self::Environment(name) => write!(formatter, "env:{name}"),
            Self::Resource(key) => write!(formatter, "`{key}`"),
        }
    }
}

/// TLS protocol versions that Weir speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, by option only.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// How clients prove who they are in the handshake.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// PEM bundle of the authorities that may sign client certificates.
    pub authorities: Material,
    /// `false`: a client without a certificate is served, a client with a bad one is not.
    pub required: bool,
}

/// `Strict-Transport-Security` (RFC 6797 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// `max-age`.
    pub max_age: Duration,
    /// `includeSubDomains`.
    pub include_subdomains: bool,
    /// `preload`.
    pub preload: bool,
}
