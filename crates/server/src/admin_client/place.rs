//! Where an admin listener is asked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// An address (`127.0.0.1:9900`), or a URL without a path (`https://weir.example`). What is written in two ways is
/// one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    is_tls: bool,
    /// A name in lower case, or an IP address without brackets.
    host: String,
    port: u16,
}

impl Place {
    pub(crate) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Name or address, as name servers, system calls and certificates have it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Whether nothing of it leaves this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }

    /// For the field `Host` (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.is_tls, self.port) {
            (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// A listener on every address is reached by the loopback.
impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            is_tls: false,
            host: ip.to_string(),
            port: address.port(),
        }
    }
}

/// As it is written shortest.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.is_tls, self.host.parse::<IpAddr>()) {
            (true, _) => "https://",
            (false, Err(_)) => "http://",
            (false, Ok(_)) => "",
        };
        write!(formatter, "{scheme}{}", self.authority())
    }
}

/// Text that names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an address such as 127.0.0.1:9900, or a URL without a path such as https://weir.example"
)]
pub(crate) struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let url: Uri = text.parse().map_err(|_| NoPlace)?;
        let (default, is_tls) = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => (443, true),
            Some(scheme) if *scheme == Scheme::HTTP => (80, false),
            _ => return Err(NoPlace),
        };
        let authority = url.authority().ok_or(NoPlace)?;
        let is_bare = url.path() == "/" && url.query().is_none();
        // A name of a user in front of the host is none of ours, and may deceive about what is the host.
        if !is_bare || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(NoPlace);
        }
        let behind = &authority.as_str()[authority.host().len()..];
        let port = match behind.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| NoPlace)?,
            None => default,
        };
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_ascii_lowercase();
        if let (false, Ok(ip)) = (is_tls, host.parse::<IpAddr>()) {
            return Ok(SocketAddr::new(ip, port).into());
        }
        Ok(Self { is_tls, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<Place, NoPlace> {
        text.parse()
    }

    #[test]
    fn what_is_written_in_two_ways_is_one_place() {
        for (text, shown) in [
            ("127.0.0.1:9900", "127.0.0.1:9900"),
            ("http://127.0.0.1:9900/", "127.0.0.1:9900"),
            ("http://[::1]:9900", "[::1]:9900"),
            ("http://10.0.0.1", "10.0.0.1:80"),
            ("http://LOCALHOST:9900", "http://localhost:9900"),
            ("https://Weir.example", "https://weir.example"),
            ("https://weir.example:443/", "https://weir.example"),
            ("https://weir.example:8443", "https://weir.example:8443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
            // A listener on every address is reached by the loopback.
            ("0.0.0.0:9900", "127.0.0.1:9900"),
            ("[::]:9900", "[::1]:9900"),
            ("http://0.0.0.0:9900", "127.0.0.1:9900"),
        ] {
            let place = place(text).unwrap();
            assert_eq!(place.to_string(), shown, "{text}");
            // What is shown leads there.
            assert_eq!(shown.parse(), Ok(place), "{text}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "9900",
            "localhost",
            "localhost:9900",
            "127.0.0.1",
            "ftp://weir.example",
            "https://",
            "https:///path",
            "https://weir.example/admin",
            "https://weir.example/?a=b",
            "https://weir.example@evil.example",
            "https://weir.example:99999",
            "https://weir.example:",
            "unix:/run/weir.sock",
        ] {
            assert_eq!(place(text), Err(NoPlace), "{text}");
        }
    }

    #[test]
    fn only_what_stays_on_this_machine_is_loopback() {
        for text in [
            "127.0.0.1:1",
            "127.8.9.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "http://localhost",
        ] {
            assert!(place(text).unwrap().is_loopback(), "{text}");
        }
        // A name may lead anywhere, whatever it looks like.
        for text in [
            "10.0.0.1:1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "[2001:db8::1]:1",
        ] {
            assert!(!place(text).unwrap().is_loopback(), "{text}");
        }
    }
}
