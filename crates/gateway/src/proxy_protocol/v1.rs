//! Version 1: one line of text (`proxy-protocol.txt` §2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, Parsed, ProxyError};

pub(super) const PREFIX: &[u8] = b"PROXY ";

/// The longest line that the specification allows, its CR LF included.
const MAXIMUM_LENGTH: usize = 107;

/// Parses a line whose beginning agrees with [`PREFIX`].
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let window = &bytes[..bytes.len().min(MAXIMUM_LENGTH)];
    let incomplete = || {
        if window.len() < MAXIMUM_LENGTH {
            Ok(Parsed::NeedMore)
        } else {
            Err(ProxyError::TooLong(MAXIMUM_LENGTH))
        }
    };
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return incomplete();
    };
    match (window[end], window.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) => return incomplete(),
        _ => return Err(ProxyError::Malformed("the line does not end in CR LF")),
    }
    Ok(Parsed::Done {
        header: parse_line(&window[PREFIX.len()..end])?,
        length: end + 2,
    })
}

/// Parses what stands between the prefix and the line's end.
fn parse_line(line: &[u8]) -> Result<Header, ProxyError> {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        // The specification has receivers ignore whatever follows.
        return Ok(Header::default());
    }
    if let Some(rest) = line.strip_prefix(b"TCP4 ") {
        return parse_endpoints(rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4));
    }
    if let Some(rest) = line.strip_prefix(b"TCP6 ") {
        return parse_endpoints(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6));
    }
    Err(ProxyError::Malformed("neither TCP4 nor TCP6 nor UNKNOWN"))
}

/// Parses `source destination source-port destination-port`, one space between each.
fn parse_endpoints(
    text: &[u8],
    parse_address: fn(&str) -> Option<IpAddr>,
) -> Result<Header, ProxyError> {
    let text = str::from_utf8(text).map_err(|_| ProxyError::Malformed("not ASCII"))?;
    let mut parts = text.split(' ');
    let mut next = || parts.next().ok_or(ProxyError::Malformed("missing field"));
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if parts.next().is_some() {
        return Err(ProxyError::Malformed("surplus field"));
    }
    let endpoint = |address: &str, port: &str| {
        let address = parse_address(address).ok_or(ProxyError::Malformed("invalid address"))?;
        let port = parse_port(port).ok_or(ProxyError::Malformed("invalid port"))?;
        Ok::<_, ProxyError>(SocketAddr::new(address.to_canonical(), port))
    };
    Ok(Header {
        source: Some(endpoint(source, source_port)?),
        destination: Some(endpoint(destination, destination_port)?),
        ..Header::default()
    })
}

/// A port in its one canonical form: `u16::from_str` alone would take `+80` and `0080`.
fn parse_port(text: &str) -> Option<u16> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    if canonical { text.parse().ok() } else { None }
}
