//! Where connections to an upstream's servers may lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use ipnet::IpNet;

/// Where connections to an upstream's servers may lead, whatever addresses their names have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Anywhere: whoever writes the file may use every network of the machine.
    #[default]
    Anywhere,
    /// Not everywhere: who keeps upstreams beside the file may be somebody else.
    Bounded(Arc<Bounds>),
}

/// Bounds of what is kept beside the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Only these networks; `None`: every one but where clouds tell a machine its credentials.
    pub networks: Option<Vec<IpNet>>,
    /// Never the admin listener.
    pub admin: SocketAddr,
}

impl Reach {
    /// Whether a connection to this address may be made.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let Self::Bounded(bounds) = self else {
            return true;
        };
        // One spelling: IPv4 in the dress of IPv6 (RFC 4291 §2.5.5.2) would pass by.
        let ip = address.ip().to_canonical();
        if address.port() == bounds.admin.port() && leads_to(ip, bounds.admin.ip()) {
            return false;
        }
        match &bounds.networks {
            None => !tells_credentials(ip),
            Some(networks) => networks.iter().any(|network| network.contains(&ip)),
        }
    }
}

/// Whether a connection to `ip` arrives at who listens on `listening`. To no address at all connects to
/// this machine.
fn leads_to(ip: IpAddr, listening: IpAddr) -> bool {
    let is_local = ip.is_loopback() || ip.is_unspecified();
    ip == listening
        || (is_local && (listening.is_loopback() || listening.is_unspecified()))
        || (listening.is_unspecified() && is_of_this_machine(ip))
}

/// Whether an address is one of this machine's own: then it is also where connections to it come from.
/// Nothing is sent.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    own.is_ok_and(|own| own.ip() == ip)
}

/// Where clouds answer every process of a machine: on the link (RFC 3927, RFC 4291 §2.5.6), also by way of
/// NAT64 (RFC 6052), and at addresses of their own: AWS over IPv6, Alibaba, Oracle, Azure.
fn tells_credentials(ip: IpAddr) -> bool {
    const OF_CLOUDS: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    const OF_AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || OF_CLOUDS.contains(&ip),
        IpAddr::V6(ip) => {
            let translated = match ip.octets() {
                [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
                    tells_credentials(Ipv4Addr::new(a, b, c, d).into())
                }
                _ => false,
            };
            ip.is_unicast_link_local() || ip == OF_AWS || translated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: Option<&[&str]>, admin: &str, address: &str) -> bool {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let reach = Reach::Bounded(Arc::new(Bounds {
            networks: networks.map(parse),
            admin: admin.parse().unwrap(),
        }));
        reach.allows(address.parse().unwrap())
    }

    #[test]
    fn the_admin_listener_and_what_is_of_a_link_are_out_of_reach() {
        let admin = "127.0.0.1:9900";
        for address in ["10.0.0.1:9900", "127.0.0.1:9901", "[2001:db8::1]:80"] {
            assert!(allows(None, admin, address), "{address}");
        }
        for address in [
            "127.0.0.1:9900",
            "0.0.0.0:9900",
            "[::]:9900",
            "[::1]:9900",
            "[::ffff:127.0.0.1]:9900",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fe80::1]:80",
            "[fd00:ec2::254]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "100.100.100.200:80",
            "168.63.129.16:80",
        ] {
            assert!(!allows(None, admin, address), "{address}");
        }
        assert!(!allows(None, "0.0.0.0:9900", "127.0.0.1:9900"));
        assert!(!allows(None, "10.0.0.1:9900", "10.0.0.1:9900"));
        assert!(allows(None, "10.0.0.1:9900", "127.0.0.1:9900"));
    }

    #[test]
    fn stated_networks_are_all_there_is() {
        let networks = Some(&["10.0.0.0/8", "169.254.1.0/24"][..]);
        assert!(allows(networks, "127.0.0.1:9900", "10.9.9.9:80"));
        assert!(allows(networks, "127.0.0.1:9900", "[::ffff:10.9.9.9]:80"));
        assert!(allows(networks, "127.0.0.1:9900", "169.254.1.1:80"));
        assert!(!allows(networks, "127.0.0.1:9900", "169.254.169.254:80"));
        assert!(!allows(networks, "127.0.0.1:9900", "192.0.2.1:80"));
        assert!(!allows(Some(&[]), "127.0.0.1:9900", "10.9.9.9:80"), "none");
        assert!(Reach::Anywhere.allows("169.254.169.254:80".parse().unwrap()));
    }
}
