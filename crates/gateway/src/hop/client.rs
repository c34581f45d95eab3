//! The address of the client behind trusted proxies.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use http::header::FORWARDED;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::forwarding::X_FORWARDED_FOR;
use crate::Fields;

/// Whether an address belongs to one of the networks; an IPv4 address mapped into IPv6 counts as
/// what it is.
pub fn is_trusted(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// The client's address: the peer's, or, as far as proxies are trusted, the one that they state.
///
/// `X-Forwarded-For` is read from the right, or `Forwarded` (RFC 7239) if there is none. Each trusted
/// address vouches for the one on its left; the first that is not trusted is the client. What is not
/// an address ends the walk at the last that was good, so that a client behind a proxy cannot put an
/// address of its choosing in front of one that could not be read.
///
/// To be called before [`super::rebuild_forwarding`].
pub fn client_address(fields: &Fields, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    if fields.contains(&X_FORWARDED_FOR) {
        return walk(fields, &X_FORWARDED_FOR, peer, trusted, |value| {
            Some(value.split(|byte| *byte == b',').map(parse_node).collect())
        });
    }
    walk(fields, &FORWARDED, peer, trusted, forwarded_nodes)
}

/// The addresses of one field value from left to right; `None` for what is not an address.
type Nodes = SmallVec<[Option<IpAddr>; 4]>;

/// `read` returns `None` for a value that cannot be read at all.
fn walk(
    fields: &Fields,
    name: &HeaderName,
    peer: IpAddr,
    trusted: &[IpNet],
    read: impl Fn(&[u8]) -> Option<Nodes>,
) -> IpAddr {
    let values: SmallVec<[_; 4]> = fields.get_all(name).collect();
    let mut client = peer;
    for value in values.iter().rev() {
        let Some(nodes) = read(value.as_bytes()) else {
            return client;
        };
        for node in nodes.iter().rev() {
            let Some(address) = node else {
                return client;
            };
            client = *address;
            if !is_trusted(client, trusted) {
                return client;
            }
        }
    }
    client
}

/// An address, with a port if need be: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
pub(super) fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node.trim_ascii()).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let address = inner.parse::<std::net::Ipv6Addr>().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// The `for` of each element (RFC 7239 §4). An element without one, or with an obfuscated or unknown
/// one (§6.2, §6.3), is not an address.
fn forwarded_nodes(value: &[u8]) -> Option<Nodes> {
    let elements = read_elements(value)?;
    Some(elements.iter().map(Element::node).collect())
}

/// One element of `Forwarded` (RFC 7239 §4), without quotes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Element<'a> {
    node: Option<&'a [u8]>,
    pub(super) host: Option<&'a [u8]>,
    pub(super) proto: Option<&'a [u8]>,
}

impl Element<'_> {
    pub(super) fn node(&self) -> Option<IpAddr> {
        parse_node(self.node?)
    }
}

/// The elements of one `Forwarded` from left to right; `None` for a value that cannot be read.
pub(super) fn read_elements(value: &[u8]) -> Option<SmallVec<[Element<'_>; 2]>> {
    let mut elements = SmallVec::new();
    for text in split_unquoted(value, b',')? {
        let mut element = Element::default();
        for pair in split_unquoted(text, b';')? {
            let Some(equals) = memchr::memchr(b'=', pair) else {
                continue;
            };
            let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
            let place = if name.eq_ignore_ascii_case(b"for") {
                &mut element.node
            } else if name.eq_ignore_ascii_case(b"host") {
                &mut element.host
            } else if name.eq_ignore_ascii_case(b"proto") {
                &mut element.proto
            } else {
                continue;
            };
            // Twice in one element is no element (§4): two readers would take different ones.
            if place.replace(unquote(value)).is_some() {
                return None;
            }
        }
        elements.push(element);
    }
    Some(elements)
}

/// Splits outside of quoted strings; `None` if one is not closed. No address needs a backslash, so a
/// value with one is not read.
fn split_unquoted(text: &[u8], separator: u8) -> Option<SmallVec<[&[u8]; 4]>> {
    let mut pieces = SmallVec::new();
    let mut is_quoted = false;
    let mut start = 0;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\\' => return None,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return None;
    }
    pieces.push(&text[start..]);
    Some(pieces)
}

fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}
