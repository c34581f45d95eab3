//! The first step of a request's life: what of its head counts, in the one form in which every later
//! step sees it.

use std::borrow::Cow;

use bytestring::ByteString;

use crate::client::Client;
use crate::failure::Failure;
use crate::hop;
use crate::http1::split_authority;
use crate::message::RequestHead;
use crate::overload::admission;
use crate::path;
use crate::record::Recorder;
use crate::snapshot::LocalSnapshot;
use crate::transform;

/// What was asked for.
pub(crate) struct Understood {
    /// Normalised; `*` for a server-wide `OPTIONS`.
    pub(crate) path: ByteString,
    /// As routes are matched against it: see [`host_of`].
    pub(crate) host: ByteString,
    /// Whether the peer is a proxy whose word counts.
    pub(crate) is_trusted: bool,
}

/// Settles path, query, host and client address, and refuses what is too large or has two readings.
///
/// The protocol plays no part: what HTTP/1 and HTTP/2 clients ask for is read by the same rules.
pub(crate) fn understand(
    client: &Client,
    snapshot: &LocalSnapshot,
    head: &mut RequestHead,
    record: &mut Recorder,
) -> Result<Understood, Failure> {
    // Most often nobody is trusted, and nothing is to be looked at.
    let is_trusted = !snapshot.trusted_proxies.is_empty()
        && hop::is_trusted(client.peer.ip(), &snapshot.trusted_proxies);
    if is_trusted {
        record.client_address =
            hop::client_address(&head.fields, client.peer.ip(), &snapshot.trusted_proxies);
        if let Some(id) = transform::stated_request_id(&head.fields) {
            record.id = id;
        }
    }
    record.begin_trace(&head.fields, is_trusted);
    admission::check_ban(client, snapshot, record.client_address, is_trusted)?;
    let path = normalise(snapshot, head)?;
    record.path = path.clone();
    normalise_query(head)?;
    check_size(snapshot, head)?;
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

/// Puts the query into the form in which it is matched, rendered and forwarded.
fn normalise_query(head: &mut RequestHead) -> Result<(), Failure> {
    let Some(query) = &head.query else {
        return Ok(());
    };
    match weir_core::path::normalise_query(query) {
        Ok(Cow::Borrowed(_)) => {}
        Ok(Cow::Owned(query)) => head.query = Some(ByteString::from(query)),
        Err(error) => return Err(Failure::BadPath(error.reason())),
    }
    Ok(())
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
    use http::Method;

    use super::*;
    use crate::message::Version;

    #[test]
    fn a_query_has_one_spelling_whatever_the_protocol() {
        for version in [Version::Http11, Version::Http2] {
            let normalised = |query: Option<&str>| {
                let mut head = RequestHead {
                    method: Method::GET,
                    version,
                    authority: ByteString::new(),
                    path: ByteString::from("/"),
                    query: query.map(ByteString::from),
                    content_length: None,
                    expects_continue: false,
                    fields: crate::Fields::new(),
                    upgrade: crate::websocket::Upgrade::None,
                };
                normalise_query(&mut head).map(|()| head.query.map(|query| query.to_string()))
            };
            assert_eq!(normalised(None), Ok(None));
            assert_eq!(normalised(Some("a=b")), Ok(Some("a=b".to_owned())));
            assert_eq!(normalised(Some("q=é")), Ok(Some("q=%C3%A9".to_owned())));
            let refused = normalised(Some("q=é#"));
            assert_eq!(refused, Err(Failure::BadPath("path_delimiter")));
        }
    }

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
