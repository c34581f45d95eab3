//! What shapes answers for their clients: CORS, security headers, compression, fixed answers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::origin::Origins;

/// Which sites' scripts may read a route's answers (Fetch §3.2).
#[derive(Clone, Debug)]
pub struct Cors {
    /// Sites that may.
    pub origins: Origins,
    /// Methods that they may use; at least one.
    pub methods: Vec<Method>,
    /// Request fields that they may send.
    pub headers: CorsHeaders,
    /// Response fields that they may read, beside those that all may.
    pub expose: Vec<HeaderName>,
    /// Whether they may send cookies and the like; never with [`Origins::Any`].
    pub credentials: bool,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
    /// Whether sites of the public internet may call although this server is in a private network.
    pub private_network: bool,
}

/// Request fields that scripts of other sites may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsHeaders {
    /// Whatever they ask for.
    Any,
    /// These.
    These(Vec<HeaderName>),
}

/// Fields that tell browsers to be careful, a preset with its changes applied.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    /// What is sent.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Whether they replace what the upstream says.
    pub overrides: bool,
}

/// Compression of answers.
#[derive(Clone, Debug)]
pub struct Compress {
    /// Codings on offer with their levels, the favourite first; each once, at least one.
    pub codings: Vec<(Coding, u32)>,
    /// Shorter answers are left alone.
    pub minimum: u64,
    /// Content that is worth it; at least one.
    pub types: Vec<MediaRange>,
    /// Whether event streams are compressed, too.
    pub event_streams: bool,
}

/// A content coding (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952
    Gzip,
    /// RFC 7932
    Brotli,
    /// RFC 8878
    Zstd,
}

/// Media types, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// `application`
    pub kind: String,
    /// What follows the slash.
    pub subtype: Subtype,
}

/// What follows a media type's slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtype {
    /// `*`
    Any,
    /// `json`
    Exact(String),
    /// `*+json`; here `+json`.
    Suffix(String),
}

impl MediaRange {
    /// Whether it takes a type, given in lower case without parameters.
    pub fn contains(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind
            && match &self.subtype {
                Subtype::Any => true,
                Subtype::Exact(exact) => exact == subtype,
                Subtype::Suffix(suffix) => subtype.ends_with(suffix),
            }
    }
}

/// An answer that is written in the configuration.
#[derive(Clone, Debug)]
pub struct Respond {
    /// 200 to 599.
    pub status: StatusCode,
    /// With the body's type, if there is a body.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Up to 1 MiB; empty for statuses that have none.
    pub body: Bytes,
    /// Of the body, if wanted.
    pub etag: Option<HeaderValue>,
}
