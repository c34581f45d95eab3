//! Whether cookies can be kept safely where a request arrives.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::{HOST, HeaderName};
use axum::http::request::Parts;

use super::Site;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a browser reaches us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// By the name of `admin.public_url`, or that of an organization's own pages, over `https`.
    Secure,
    /// In plain text on this very machine, for development: cookies cannot be `Secure` there.
    Loopback,
}

impl Channel {
    /// None where a cookie could be read on its way, or is of a name that is not ours.
    pub(crate) fn of(site: &Site, parts: &Parts) -> Option<Self> {
        let host = parts.headers.get(HOST)?.to_str().ok()?;
        let public = site.public_url().strip_prefix("https://");
        let is_public = public.is_some_and(|public| public.eq_ignore_ascii_case(host));
        if is_public || site.organization_of(host).is_some() {
            return Some(Self::Secure);
        }
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        let is_here = peer.ip().to_canonical().is_loopback() && is_loopback(host);
        (is_here && comes_from_here(parts)).then_some(Self::Loopback)
    }

    /// What the name of a cookie begins with: `__Host-` has browsers refuse it unless it is `Secure`, of this
    /// host alone and of all paths (RFC 6265bis §4.1.3.2).
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Secure => "__Host-",
            Self::Loopback => "",
        }
    }

    pub(super) const fn attributes(self) -> &'static str {
        match self {
            Self::Secure => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            Self::Loopback => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

/// Whether no proxy says that somebody elsewhere asks. Nobody need be trusted for that: whoever says so without need is told
/// that it is not safe here. The gateway takes a plain cookie of this machine only, and would send them here again, for ever.
fn comes_from_here(parts: &Parts) -> bool {
    let fields = parts.headers.get_all(X_FORWARDED_FOR).iter();
    let addresses = fields.flat_map(|field| field.to_str().unwrap_or_default().split(','));
    addresses
        .map(|address| address.trim().parse::<IpAddr>())
        .all(|address| address.is_ok_and(|address| address.to_canonical().is_loopback()))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn channel(public_url: &str, host: &str, peer: &str) -> Option<Channel> {
        forwarded(public_url, host, peer, &[])
    }

    /// With what a proxy says of whom it asks for.
    fn forwarded(public_url: &str, host: &str, peer: &str, clients: &[&str]) -> Option<Channel> {
        let hosts = [("login.acme.example".to_owned(), "acme".to_owned())];
        let site = Site::new(public_url, Vec::new(), &[0; 32]).under(hosts.into());
        let request = Request::builder().header(HOST, host);
        let request = { clients.iter() }.fold(request, |request, client| {
            request.header(X_FORWARDED_FOR, *client)
        });
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let peer: SocketAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        Channel::of(&site, &parts)
    }

    #[test]
    fn cookies_are_kept_over_https_and_on_this_machine_only() {
        let here = "127.0.0.1:4000";
        let there = "203.0.113.7:4000";
        let public = "https://weir.example";
        assert_eq!(
            channel(public, "Weir.Example", there),
            Some(Channel::Secure)
        );
        assert_eq!(channel(public, "weir.example", here), Some(Channel::Secure));
        assert_eq!(
            channel(public, "Login.acme.example", there),
            Some(Channel::Secure)
        );
        for host in ["localhost:9900", "127.0.0.1:9900", "[::1]:9900", "[::1]"] {
            assert_eq!(
                channel(public, host, here),
                Some(Channel::Loopback),
                "{host}"
            );
            assert_eq!(channel(public, host, there), None, "{host}");
        }
        for host in [
            "10.0.0.1:9900",
            "weir.example:9900",
            "evil.example",
            "login.acme.example:9900",
            "login.acme.example.",
            "x.login.acme.example",
            "login.acme.example.evil.example",
            "localhost.evil.example",
            "",
        ] {
            assert_eq!(channel(public, host, here), None, "{host}");
        }
        let behind = |clients: &[&str]| forwarded(public, "localhost:8080", here, clients);
        for clients in [&["127.0.0.1"][..], &["::1, ::ffff:127.0.0.1"]] {
            assert_eq!(behind(clients), Some(Channel::Loopback), "{clients:?}");
        }
        for clients in [
            &["172.17.0.1"][..],
            &["127.0.0.1, 172.17.0.1"],
            &["127.0.0.1", "172.17.0.1"],
            &["unknown"],
            &[""],
        ] {
            assert_eq!(behind(clients), None, "{clients:?}");
        }
        let proxied = forwarded(public, "weir.example", here, &["203.0.113.7"]);
        assert_eq!(proxied, Some(Channel::Secure));
        // Stated without TLS, a name is no reason for a cookie.
        assert_eq!(channel("http://weir.example", "weir.example", there), None);
    }
}
