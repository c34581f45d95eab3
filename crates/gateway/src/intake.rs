//! The first step of a request's life: what of its head counts, in the one form in which every later
//! step sees it.

use std::borrow::Cow;

use bytestring::ByteString;

use crate::client::Client;
use crate::failure::Failure;
use crate::hop;
use crate::http1::split_authority;
use crate::message::RequestHead;
use crate::path;
use crate::record::Recorder;
use crate::snapshot::LocalSnapshot;

/// What was asked for.
pub(crate) struct Understood {
    /// Normalised; `*` for a server-wide `OPTIONS`.
    pub(crate) path: ByteString,
    /// As routes are matched against it: see [`host_of`].
    pub(crate) host: ByteString,
    /// Whether the peer is a proxy whose word counts.
    pub(crate) is_trusted: bool,
}

/// Settles path, host and client address, and refuses what is too large or has two readings.
pub(crate) fn understand(
    client: &Client,
    snapshot: &LocalSnapshot,
    head: &RequestHead,
    record: &mut Recorder,
) -> Result<Understood, Failure> {
    let path = normalise(snapshot, head)?;
    record.path = path.clone();
    if let Some(query) = &head.query {
        weir_core::path::check_query(query).map_err(|error| Failure::BadPath(error.reason()))?;
    }
    check_size(snapshot, head)?;
    // Most often nobody is trusted, and nothing is to be looked at.
    let is_trusted = !snapshot.trusted_proxies.is_empty()
        && hop::is_trusted(client.peer.ip(), &snapshot.trusted_proxies);
    if is_trusted {
        record.client_address =
            hop::client_address(&head.fields, client.peer.ip(), &snapshot.trusted_proxies);
    }
    Ok(Understood {
        path,
        host: host_of(&head.authority),
        is_trusted,
    })
}

fn normalise(snapshot: &LocalSnapshot, head: &RequestHead) -> Result<ByteString, Failure> {
    if head.path == "*" {
        return Ok(head.path.clone());
    }
    match path::normalise(&head.path, snapshot.encoded_slash) {
        Ok(Cow::Borrowed(_)) => Ok(head.path.clone()),
        Ok(Cow::Owned(path)) => Ok(ByteString::from(path)),
        Err(error) => Err(Failure::BadPath(error.reason())),
    }
}

fn check_size(snapshot: &LocalSnapshot, head: &RequestHead) -> Result<(), Failure> {
    let allowed = snapshot.most_body_bytes();
    if head.content_length.is_some_and(|length| length > allowed) {
        return Err(Failure::BodyTooLarge);
    }
    Ok(())
}

/// The host without its port, in lower case, without the root's dot, and with an IPv6 address in its
/// canonical form (RFC 5952): the one spelling that routes are matched against.
fn host_of(authority: &ByteString) -> ByteString {
    let (host, _) = split_authority(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        && let Ok(address) = address.parse::<std::net::Ipv6Addr>()
    {
        return ByteString::from(format!("[{address}]"));
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return ByteString::from(host.to_ascii_lowercase());
    }
    authority.slice_ref(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_spelling() {
        let host = |authority: &str| host_of(&ByteString::from(authority)).to_string();
        assert_eq!(host("Example.COM:8080"), "example.com");
        assert_eq!(host("example.com."), "example.com");
        assert_eq!(host("example.com.:80"), "example.com");
        assert_eq!(host("[2001:DB8:0:0::1]:443"), "[2001:db8::1]");
        assert_eq!(host("192.0.2.1"), "192.0.2.1");
        assert_eq!(host(""), "");
    }
}
