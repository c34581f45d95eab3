//! Addresses of this machine, of targets and of networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::Fault;
use crate::codes;
use crate::shape::Text;
use crate::suggest::quote;

/// Where to listen.
pub(crate) static LISTEN: Text = Text {
    what: "an IP address and a port such as `127.0.0.1:8080`",
    pattern: Some(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$"),
    examples: &["127.0.0.1:8080", "0.0.0.0:8443", "[::]:8443"],
    loose: false,
};

/// A server to forward to.
pub(crate) static TARGET: Text = Text {
    what: "a host and a port such as `127.0.0.1:9001`",
    pattern: Some(
        r"^(env:[A-Za-z_][A-Za-z0-9_]*|([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})$",
    ),
    examples: &[
        "127.0.0.1:9001",
        "catalog.internal:8080",
        "[::1]:9001",
        "env:CATALOG_ADDRESS",
    ],
    loose: false,
};

/// A network or a single address.
pub(crate) static NETWORK: Text = Text {
    what: "an address or a network such as `10.0.0.0/8`",
    pattern: Some(r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"),
    examples: &["10.0.0.0/8", "192.0.2.7", "fd00::/8"],
    loose: false,
};

/// A server of DNS.
pub(crate) static SERVER: Text = Text {
    what: "an IP address and a port such as `127.0.0.1:53`",
    pattern: Some(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$"),
    examples: &["127.0.0.1:53", "[::1]:53"],
    loose: false,
};

/// A server that takes letters.
pub(crate) static MAIL_SERVER: Text = Text {
    what: "a host and a port such as `mail.example.com:587`",
    pattern: Some(r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"),
    examples: &["mail.example.com:587", "127.0.0.1:25"],
    loose: false,
};

/// A name that DNS is asked for.
pub(crate) static DOMAIN: Text = Text {
    what: "a name such as `catalog.example.com`",
    pattern: Some("^[A-Za-z0-9._-]+$"),
    examples: &["catalog.example.com", "_http._tcp.catalog.internal"],
    loose: false,
};

/// A host by which pages are reached.
pub(crate) static PAGE_HOST: Text = Text {
    what: "the name of a host",
    pattern: Some(r"^[A-Za-z0-9._-]+(:[0-9]{1,5})?$"),
    examples: &["login.acme.example"],
    loose: false,
};

/// The scheme, host and port of an HTTP server.
pub(crate) static ORIGIN: Text = Text {
    what: "`http://host:port` or `https://host:port`",
    pattern: Some(r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"),
    examples: &["http://127.0.0.1:8500", "https://10.0.0.1:6443"],
    loose: false,
};

pub(crate) fn listen(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let fault = Fault::new(
        codes::BAD_ADDRESS,
        format!("{} is not an IP address and a port", quote(text)),
    );
    let Some((host, port)) = text.rsplit_once(':') else {
        let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if all_digits {
            fault.help(format!("write the address as well: `127.0.0.1:{text}`"))
        } else {
            fault.help("add a port: `127.0.0.1:8080`")
        });
    };
    let host_help = match host {
        "" | "*" => Some(format!(
            "write `0.0.0.0:{port}` for every IPv4 address of this machine"
        )),
        "localhost" => Some(format!(
            "write `127.0.0.1:{port}`; names are not looked up here"
        )),
        _ if host.parse::<Ipv6Addr>().is_ok() => Some(format!("write `[{host}]:{port}`")),
        _ => None,
    };
    let port_at = host.len() + 1;
    match host_help {
        Some(help) => Err(fault.help(help)),
        None if !is_port(port) => Err(fault.help("a port is a number up to 65535").at(port_at)),
        None => Err(fault.help("names are not looked up here: write the IP address")),
    }
}

/// Host (IPv6 without brackets) and port.
pub(crate) fn target(text: &str) -> Result<(String, u16), Fault> {
    let fault = || {
        Fault::new(
            codes::BAD_ADDRESS,
            format!("{} is not a host and a port", quote(text)),
        )
    };
    if text.contains("://") {
        let help = "write only host and port; `tls: true` on the upstream speaks HTTPS to it";
        return Err(fault().help(help));
    }
    if text.contains('/') {
        return Err(fault().help("write only host and port; `rewrite` on a route changes paths"));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once("]:")
                .ok_or_else(|| fault().help("add a port: `[::1]:9001`"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(fault().help("between brackets stands an IPv6 address"));
            }
            (host, port)
        }
        None => {
            let (host, port) = text
                .rsplit_once(':')
                .ok_or_else(|| fault().help(format!("add a port: `{text}:80`")))?;
            if host.contains(':') {
                return Err(fault().help(format!("write an IPv6 address as `[{host}]:{port}`")));
            }
            (host, port)
        }
    };
    let number = port
        .parse::<u16>()
        .ok()
        .filter(|number| *number > 0 && is_port(port));
    let Some(number) = number else {
        return Err(fault()
            .help("a port is a number from 1 to 65535")
            .at(text.len() - port.len()));
    };
    if !is_host(host) {
        return Err(
            fault().help("a host is an IP address or a name of letters, digits, `-` and `.`")
        );
    }
    Ok((host.to_ascii_lowercase(), number))
}

/// A server to ask: names would have to be looked up to look up names.
pub(crate) fn server(text: &str) -> Result<SocketAddr, Fault> {
    let address = text.parse::<SocketAddr>().ok();
    if let Some(address) = address.filter(|address| address.port() > 0) {
        return Ok(address);
    }
    let message = format!("{} is not an IP address and a port", quote(text));
    let fault = Fault::new(codes::BAD_ADDRESS, message);
    Err(match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => fault.help(format!("add a port: `{address}:53`")),
        Ok(IpAddr::V6(address)) => fault.help(format!("add a port: `[{address}]:53`")),
        Err(_) => fault.help("write it as `127.0.0.1:53` or `[::1]:53`"),
    })
}

/// A name of DNS, in lowercase; a dot at its end says that it is complete.
pub(crate) fn domain(text: &str) -> Result<String, Fault> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if is_host(name) && name.parse::<IpAddr>().is_err() {
        return Ok(text.to_ascii_lowercase());
    }
    let message = format!("{} is not a name that DNS is asked for", quote(text));
    Err(Fault::new(codes::BAD_HOST, message)
        .help("write the name alone; addresses stand under `targets`"))
}

/// `scheme://host:port`, in lowercase and with its port.
pub(crate) fn origin(text: &str) -> Result<String, Fault> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
    let authority = if has_port {
        rest.to_owned()
    } else {
        format!("{rest}:{default_port}")
    };
    match target(&authority) {
        Ok(_) if default_port > 0 => Ok(format!("{scheme}://{}", authority.to_ascii_lowercase())),
        // A password in it would be shown.
        _ if text.contains('@') => Err(Fault::new(
            codes::BAD_ADDRESS,
            "the address of a server has no user and password",
        )),
        _ => {
            let message = format!("{} is not the address of an HTTP server", quote(text));
            Err(Fault::new(codes::BAD_ADDRESS, message)
                .help("write `http://host:port` or `https://host:port`, without a path"))
        }
    }
}

/// Where people reach something: as it is written, without a slash at its end.
pub(crate) fn public_url(text: &str) -> Result<String, Fault> {
    origin(text).map(|_| text.trim_end_matches('/').to_owned())
}

/// An origin as browsers write it (RFC 6454 §6.2): in lower case, without the scheme's own port.
pub(crate) fn browsers_origin(text: &str) -> Result<String, Fault> {
    let origin = origin(text)?;
    let usual_port = match origin.starts_with("https:") {
        true => ":443",
        false => ":80",
    };
    Ok(origin
        .strip_suffix(usual_port)
        .unwrap_or(&origin)
        .to_owned())
}

/// A host as browsers state it in `Host`: a name in lower case, with a port that is not 443.
pub(crate) fn https_host(text: &str) -> Result<String, Fault> {
    let is_plain = !text.contains('/');
    let origin = browsers_origin(&format!("https://{text}")).ok();
    let host = origin.filter(|_| is_plain);
    host.as_deref()
        .and_then(|origin| origin.strip_prefix("https://"))
        .map(str::to_owned)
        .ok_or_else(|| {
            let message = format!("{} is not the name of a host", quote(text));
            Fault::new(codes::BAD_HOST, message)
                .help("write the name that stands in the address: `login.acme.example`")
        })
}

pub(crate) fn network(text: &str) -> Result<IpNet, Fault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        let message = format!("{} is not an address or network", quote(text));
        let help = "write an address (192.0.2.7) or a network with its prefix length (10.0.0.0/8)";
        return Err(Fault::new(codes::BAD_NETWORK, message).help(help));
    };
    // Is the one address meant, or all of them? The difference can be who is trusted.
    if network.trunc() != network {
        let message = format!("the address in {} goes beyond its prefix", quote(text));
        let (whole, one) = (network.trunc(), network.addr());
        let help = format!("write `{whole}` for the network, or `{one}` for the one address");
        return Err(Fault::new(codes::BAD_NETWORK, message).help(help));
    }
    Ok(network)
}

/// Whether this is an IP address or a name that DNS can carry (RFC 1123 §2.1, with `_` as in use).
pub(crate) fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_allowed)
    };
    // What looks like an IPv4 address and is none is read differently by every resolver.
    let last_label = host.rsplit('.').next().unwrap_or(host);
    let is_numeric = last_label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= 253 && !is_numeric && host.split('.').all(is_label)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
