//! Where calls may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::HttpError;

/// Which addresses may be connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// All: for what an operator named who may reach everything.
    Anywhere,
    /// Public addresses, and these networks. What answers on private addresses, loopback, this link, or as a cloud's
    /// source of metadata often trusts whoever comes from inside.
    Public {
        /// Networks that may be reached though they are not public.
        allow: Vec<IpNet>,
    },
}

/// What is not public of IPv4 (IANA's registry of special purposes, RFC 6890).
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    // A public address at which Azure serves the machine itself.
    v4([168, 63, 129, 16], 32),
];
/// What unicast addresses of the Internet are in (RFC 4291 §2.4).
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);
/// What is special in there: IETF protocols with Teredo, examples, 6to4. The first and the last lead to IPv4.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),
    v6([0x2001, 0xdb8], 32),
    v6([0x2002, 0], 16),
    v6([0x3fff, 0], 20),
];

impl Reach {
    /// The addresses that may be connected to.
    pub(crate) fn judge(
        &self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, HttpError> {
        let (mut found, mut allowed) = (false, Vec::new());
        for address in addresses {
            found = true;
            if self.allows(address.ip()) {
                allowed.push(address);
            }
        }
        if found && allowed.is_empty() {
            return Err(HttpError::Forbidden(host.to_owned()));
        }
        Ok(allowed)
    }

    /// Whether this address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let Self::Public { allow } = self else {
            return true;
        };
        // What is mapped into IPv6 is reached over IPv4.
        let address = address.to_canonical();
        is_public(address) || allow.iter().any(|network| network.contains(&address))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address)
                && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b]: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Reach {
        Reach::Public { allow: Vec::new() }
    }

    #[test]
    fn what_is_not_public_is_refused() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "100::1",
        ] {
            assert!(!public().allows(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "::ffff:1.1.1.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(public().allows(address.parse().unwrap()), "{address}");
        }
        assert!(Reach::Anywhere.allows("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn networks_can_be_allowed_one_by_one() {
        let reach = Reach::Public {
            allow: vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()],
        };
        for (address, is_allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
            ("::1", true),
        ] {
            assert_eq!(
                reach.allows(address.parse().unwrap()),
                is_allowed,
                "{address}"
            );
        }
    }

    #[test]
    fn of_a_name_only_what_may_be_reached_is_left() {
        let addresses = |list: &[&str]| {
            let parsed = list.iter().map(|one| one.parse().unwrap());
            public().judge("a.test", parsed.collect::<Vec<SocketAddr>>().into_iter())
        };
        let left = addresses(&["127.0.0.1:80", "1.1.1.1:80"]).unwrap();
        assert_eq!(left, ["1.1.1.1:80".parse().unwrap()]);
        assert!(matches!(
            addresses(&["127.0.0.1:80"]),
            Err(HttpError::Forbidden(_))
        ));
        assert!(addresses(&[]).unwrap().is_empty());
    }
}
