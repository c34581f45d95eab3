//! The heads of messages, in the form that every protocol version shares.

use bytestring::ByteString;
use http::{Method, StatusCode};

use crate::fields::Fields;
use crate::websocket::Upgrade;

/// Bytes of the largest response head that is read of a target.
pub(crate) const MOST_RESPONSE_HEAD: u32 = 64 * 1024;

/// HTTP version of one side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// Every version, in order.
    pub const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// `network.protocol.version` as OpenTelemetry names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl From<Version> for http::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::HTTP_10,
            Version::Http11 => Self::HTTP_11,
            Version::Http2 => Self::HTTP_2,
        }
    }
}

/// A request's head, as received.
///
/// Framing is not among the fields: `content-length` and `transfer-encoding` are taken out when the
/// head is read and written anew for the next hop, so that nothing can be smuggled in them.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// Method.
    pub(crate) method: Method,
    /// Version spoken by the client.
    pub(crate) version: Version,
    /// Host and port from the request target, `:authority` or `Host`; empty only in HTTP/1.0.
    pub(crate) authority: ByteString,
    /// Path, not normalised; `*` for a server-wide `OPTIONS`.
    pub(crate) path: ByteString,
    /// Query without `?`.
    pub(crate) query: Option<ByteString>,
    /// `Content-Length`, if the client stated one.
    pub(crate) content_length: Option<u64>,
    /// `Expect: 100-continue` (RFC 9110 §10.1.1).
    pub(crate) expects_continue: bool,
    /// All other fields, without `host`.
    pub(crate) fields: Fields,
    /// Whether another protocol is asked for.
    pub(crate) upgrade: Upgrade,
}

/// A response's head; framing is not among the fields, as in [`RequestHead`].
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// Status, 200 or above, or 101.
    pub(crate) status: StatusCode,
    /// `Content-Length`: of the body that follows, or for `HEAD` and 304 of the one that would.
    pub(crate) content_length: Option<u64>,
    /// All other fields.
    pub(crate) fields: Fields,
}

/// Whether a response to this method and with this status has a body at all (RFC 9110 §6.4.1).
pub(crate) fn has_body(method: &Method, status: StatusCode) -> bool {
    *method != Method::HEAD
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}
