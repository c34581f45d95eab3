//! What a proxy does to a message's fields because it is a proxy: hop-by-hop fields end here,
//! forwarding fields are written anew.
//!
//! # Nominated fields
//!
//! `Connection` names fields that end with the connection (RFC 9110 §7.6.1), and they are removed.
//! But a sender must not name fields that are meant for every recipient, and who does usually wants a
//! proxy to drop a field that the back end relies on: the framing, the host, the address that a
//! proxy in front has stated, or the identity. Such options are ignored: the field stays and is
//! counted. Keeping a field is the safe side, since `Connection` itself is never forwarded and no
//! party behind Weir can read the list.

use http::header::{CONNECTION, TE};
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::Fields;
use crate::identify;

mod client;
mod forwarding;

pub use client::{client_address, is_trusted};
pub(crate) use forwarding::states_https;
pub use forwarding::{
    ForwardingCache, ForwardingInfo, ViaLoop, append_via, check_via_loop, rebuild_forwarding,
};

/// What the removed fields said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// The value of `Upgrade`, if `Connection` announces it (RFC 9110 §7.8).
    pub upgrade: Option<HeaderValue>,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// The sender takes trailers: `TE: trailers` was written back.
    pub trailers: bool,
    /// Options of `Connection` that were ignored because the field is meant for every recipient.
    pub protected: usize,
}

/// `Connection` lists more options than a message has reason to: an answer of 400, or 502 for a
/// response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection names more than {MAX_OPTIONS} fields")]
pub struct TooManyOptions;

/// Each option is compared with each field: the bound keeps that cheap.
const MAX_OPTIONS: usize = 32;

/// Removes the fields that belong to the connection (RFC 9110 §7.6.1) from a request or response,
/// and those that `Connection` nominates; see the module's text for the exceptions.
///
/// `TE` is reduced to `trailers`, which HTTP/2 permits (RFC 9113 §8.2.2) and gRPC asks for; an HTTP/1
/// connection that carries it on has to nominate it. `Trailer` stays. `Proxy` goes because CGI turns
/// it into a variable that chooses a proxy (CVE-2016-5385). `Transfer-Encoding` goes: whoever sends
/// the body on frames it anew.
pub fn strip_hop_by_hop(fields: &mut Fields) -> Result<Stripped, TooManyOptions> {
    let mut stripped = Stripped::default();
    let mut nominated: SmallVec<[HeaderName; 4]> = SmallVec::new();
    let mut announces_upgrade = false;
    let mut options = 0;
    for value in fields.get_all(&CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.is_empty() {
                continue;
            }
            options += 1;
            if options > MAX_OPTIONS {
                return Err(TooManyOptions);
            }
            if option.eq_ignore_ascii_case(b"keep-alive") {
                stripped.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                stripped.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                announces_upgrade = true;
            } else if let Ok(name) = HeaderName::from_bytes(option) {
                if is_end_to_end(name.as_str()) {
                    stripped.protected += 1;
                } else {
                    nominated.push(name);
                }
            }
        }
    }
    fields.retain(|name, value| {
        match name.as_str() {
            "te" => stripped.trailers |= takes_trailers(value),
            "upgrade" if announces_upgrade => stripped.upgrade = Some(value.clone()),
            name if is_hop_by_hop(name) => {}
            _ => return !nominated.contains(name),
        }
        false
    });
    if stripped.trailers {
        fields.append(TE, HeaderValue::from_static("trailers"));
    }
    Ok(stripped)
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a field ends with the connection or claims what only a proxy may say, in any spelling:
/// such a field has no place behind a body.
pub(crate) fn is_for_heads_only(name: &str) -> bool {
    is_hop_by_hop(name)
        || forwarding::is_claim(name)
        || forwarding::is_alias_of_claim(name)
        || identify::is_own(name)
}

/// `TE: trailers`, perhaps in a list (RFC 9110 §10.1.4).
fn takes_trailers(value: &HeaderValue) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Fields that a `Connection` option never removes: framing and content, routing, conditions and
/// caching, cookies, credentials, and whatever states who the client is.
fn is_end_to_end(name: &str) -> bool {
    const PREFIXES: [&str; 12] = [
        "accept",
        "access-control-",
        "content-",
        "if-",
        "sec-",
        "x-auth",
        "x-client-",
        "x-forwarded",
        "x-original-",
        "x-remote-",
        "x-request-",
        "x-user",
    ];
    matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "cookie"
            | "date"
            | "etag"
            | "expect"
            | "expires"
            | "forwarded"
            | "host"
            | "last-modified"
            | "location"
            | "origin"
            | "pragma"
            | "range"
            | "referer"
            | "server"
            | "set-cookie"
            | "strict-transport-security"
            | "trailer"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "vary"
            | "via"
            | "www-authenticate"
            | "x-api-key"
            | "x-real-ip"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || forwarding::is_claim(name)
}

#[cfg(test)]
mod tests;
