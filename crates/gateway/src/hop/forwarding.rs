//! `Forwarded`, `X-Forwarded-*` and `Via`.

use std::net::IpAddr;

use http::header::{FORWARDED, VIA};
use http::{HeaderName, HeaderValue, Version};

use super::client::{parse_node, read_elements};
use crate::Fields;
use crate::render::{Text, push_address};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The name by which Weir appears in `Via`; a pseudonym, since host names are nobody's business
/// (RFC 9110 §7.6.3).
const PSEUDONYM: &str = "weir";

/// What is stated about a request's last hop.
#[derive(Clone, Copy, Debug)]
pub struct ForwardingInfo<'a> {
    /// Whoever opened the connection, or whom the PROXY protocol header names.
    pub peer: IpAddr,
    /// Whether the peer is one of `trusted_proxies`.
    pub trusted: bool,
    /// `http` or `https`, as the peer spoke.
    pub scheme: &'static str,
    /// The authority that was asked for, with port if it had one; empty if there was none.
    pub host: &'a str,
    /// HTTP version in which the request came.
    pub received_version: Version,
}

/// Rewrites the fields that state where a request came from.
///
/// What an untrusted peer states is dropped, and the fields begin anew; a trusted peer's lists are
/// continued, and its `X-Forwarded-Proto` and `X-Forwarded-Host` stand. What it states in one of the
/// two forms only, `Forwarded` or `X-Forwarded-*`, is stated in the other as well. Spellings with underscores
/// (`x_forwarded_for`) are dropped from either: no proxy writes them.
///
/// `cache` belongs to the connection: what is stated about an untrusted peer changes only with the
/// host that it asks for.
pub fn rebuild_forwarding(
    fields: &mut Fields,
    info: &ForwardingInfo<'_>,
    cache: &mut ForwardingCache,
) {
    if info.trusted {
        fields.retain(|name, _| !is_alias_of_claim(name.as_str()));
        continue_statement(fields, info);
    } else {
        fields.retain(|name, _| {
            let name = name.as_str();
            !is_claim(name) && !is_alias_of_claim(name)
        });
        cache.statement(info).append_to(fields);
    }
    append_via(fields, info.received_version);
}

/// The statement that was last made about a connection's peer.
#[derive(Debug, Default)]
pub struct ForwardingCache(Option<Statement>);

impl ForwardingCache {
    fn statement(&mut self, info: &ForwardingInfo<'_>) -> &Statement {
        let is_current = |known: &Statement| {
            known.host == info.host && known.peer == info.peer && known.scheme == info.scheme
        };
        if !self.0.as_ref().is_some_and(is_current) {
            self.0 = None;
        }
        self.0.get_or_insert_with(|| Statement::about(info))
    }
}

/// What is said about an untrusted peer's request.
#[derive(Debug)]
struct Statement {
    peer: IpAddr,
    host: String,
    scheme: &'static str,
    address: Option<HeaderValue>,
    authority: Option<HeaderValue>,
    element: Option<HeaderValue>,
}

impl Statement {
    fn about(info: &ForwardingInfo<'_>) -> Self {
        let mut text = Text::new();
        push_address(info.peer, &mut text);
        let address = HeaderValue::from_bytes(&text).ok();
        text.clear();
        push_element(info.peer, info.host, info.scheme, &mut text);
        let is_stated = !info.host.is_empty();
        Self {
            peer: info.peer,
            host: info.host.to_owned(),
            scheme: info.scheme,
            address,
            authority: HeaderValue::from_str(info.host).ok().filter(|_| is_stated),
            element: HeaderValue::from_bytes(&text).ok(),
        }
    }

    fn append_to(&self, fields: &mut Fields) {
        let mut append = |name, value: &Option<HeaderValue>| {
            if let Some(value) = value {
                fields.append(name, value.clone());
            }
        };
        append(X_FORWARDED_FOR, &self.address);
        append(
            X_FORWARDED_PROTO,
            &Some(HeaderValue::from_static(self.scheme)),
        );
        append(X_FORWARDED_HOST, &self.authority);
        append(FORWARDED, &self.element);
    }
}

/// Continues what a trusted peer states. Most proxies write one of the two forms only: back ends that
/// read the other have to find the same there, and not Weir's view of the proxy.
fn continue_statement(fields: &mut Fields, info: &ForwardingInfo<'_>) {
    let mut text = Text::new();
    let has_forwarded = fields.contains(&FORWARDED);
    let (mut proto, mut host) = (None, None);
    if has_forwarded {
        (proto, host) = origin_of_forwarded(fields);
        if !fields.contains(&X_FORWARDED_FOR) {
            push_forwarded_addresses(fields, &mut text);
            if let Ok(value) = HeaderValue::from_bytes(&text) {
                fields.append(X_FORWARDED_FOR, value);
            }
        }
    }
    write_list(fields, X_FORWARDED_FOR, &mut text, |text| {
        push_address(info.peer, text);
    });
    if !fields.contains(&X_FORWARDED_PROTO) {
        let own = || HeaderValue::from_static(info.scheme);
        fields.append(X_FORWARDED_PROTO, proto.unwrap_or_else(own));
    }
    if !fields.contains(&X_FORWARDED_HOST)
        && let Some(host) = host.or_else(|| {
            let host = HeaderValue::from_str(info.host).ok();
            host.filter(|host| !host.is_empty())
        })
    {
        fields.append(X_FORWARDED_HOST, host);
    }
    if has_forwarded {
        write_list(fields, FORWARDED, &mut text, |text| {
            push_element(info.peer, info.host, info.scheme, text);
        });
        return;
    }
    text.clear();
    push_elements(fields, &mut text);
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        fields.append(FORWARDED, value);
    }
}

/// Whether the first proxy says that its client came over HTTPS: in `X-Forwarded-Proto` or, without it,
/// in `Forwarded`. Only a trusted peer's fields may be asked.
pub(crate) fn states_https(fields: &Fields) -> bool {
    let is_https = |scheme: &[u8]| scheme.trim_ascii().eq_ignore_ascii_case(b"https");
    match fields.get(&X_FORWARDED_PROTO) {
        Some(stated) => stated
            .as_bytes()
            .split(|byte| *byte == b',')
            .next()
            .is_some_and(is_https),
        None => origin_of_forwarded(fields)
            .0
            .is_some_and(|scheme| is_https(scheme.as_bytes())),
    }
}

/// `proto` and `host` of the first element of `Forwarded`: what the client asked for.
fn origin_of_forwarded(fields: &Fields) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let first = fields.get(&FORWARDED);
    let elements = first.and_then(|value| read_elements(value.as_bytes()));
    let Some(element) = elements.and_then(|elements| elements.first().copied()) else {
        return (None, None);
    };
    let sound = |text: Option<&[u8]>, is_sound: fn(&[u8]) -> bool| {
        let text = text.filter(|text| is_sound(text))?;
        HeaderValue::from_bytes(text).ok()
    };
    (
        sound(element.proto, is_scheme),
        sound(element.host, is_host),
    )
}

/// The addresses of `Forwarded` as `X-Forwarded-For` lists them.
fn push_forwarded_addresses(fields: &Fields, text: &mut Text) {
    text.clear();
    let mut list = AddressList::default();
    for value in fields.get_all(&FORWARDED) {
        let Some(elements) = read_elements(value.as_bytes()) else {
            list.separate(None, text);
            continue;
        };
        for element in elements {
            if let Some(address) = list.separate(element.node(), text) {
                push_address(address, text);
            }
        }
    }
}

/// One element for each address of `X-Forwarded-For`, with what the client asked for in the first.
fn push_elements(fields: &Fields, text: &mut Text) {
    let first_of = |name, is_sound: fn(&[u8]) -> bool| {
        let value = fields.get(&name)?.as_bytes();
        let first = value.split(|byte| *byte == b',').next()?.trim_ascii();
        let first = std::str::from_utf8(first).ok()?;
        is_sound(first.as_bytes()).then_some(first)
    };
    let mut host = first_of(X_FORWARDED_HOST, is_host);
    let mut proto = first_of(X_FORWARDED_PROTO, is_scheme);
    let mut list = AddressList {
        before: "for=",
        ..AddressList::default()
    };
    for value in fields.get_all(&X_FORWARDED_FOR) {
        for member in value.as_bytes().split(|byte| *byte == b',') {
            if let Some(address) = list.separate(parse_node(member), text) {
                push_node(address, text);
            }
            push_origin(host.take().unwrap_or_default(), proto.take(), text);
        }
    }
}

/// Writes what stands in front of the addresses of a list, and `unknown` (RFC 7239 §6.2) for what is
/// no address. A row of those is one, so that a list of commas does not grow on the way.
#[derive(Default)]
struct AddressList {
    before: &'static str,
    ends_unknown: bool,
}

impl AddressList {
    /// Returns the address, which is to be written then.
    fn separate(&mut self, address: Option<IpAddr>, text: &mut Text) -> Option<IpAddr> {
        let is_repeated = self.ends_unknown && address.is_none();
        self.ends_unknown = address.is_none();
        if is_repeated {
            return None;
        }
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(self.before.as_bytes());
        if address.is_none() {
            text.extend_from_slice(b"unknown");
        }
        address
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(is_inner)
}

/// Whether a host that a proxy states can stand in either form with one reading.
fn is_host(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b",;\"\\".contains(byte);
    !text.is_empty() && text.iter().all(is_plain)
}

/// Appends Weir to `Via` (RFC 9110 §7.6.3); for requests [`rebuild_forwarding`] does it.
pub fn append_via(fields: &mut Fields, received: Version) {
    let value = match received {
        Version::HTTP_09 => "0.9 weir",
        Version::HTTP_10 => "1.0 weir",
        Version::HTTP_2 => "2 weir",
        Version::HTTP_3 => "3 weir",
        _ => "1.1 weir",
    };
    fields.append(VIA, HeaderValue::from_static(value));
}

/// The request has passed through Weir too often: an answer of 508.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has passed through weir {passes} times")]
pub struct ViaLoop {
    /// How often `Via` names Weir.
    pub passes: usize,
}

/// Refuses a request whose `Via` names Weir more than `limit` times. Several instances in a row are
/// legitimate, so the limit is no smaller than the longest chain that is meant.
pub fn check_via_loop(fields: &Fields, limit: usize) -> Result<(), ViaLoop> {
    let mut passes = 0;
    for value in fields.get_all(&VIA) {
        for member in value.as_bytes().split(|byte| *byte == b',') {
            let mut words = member
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|word| !word.is_empty());
            let received_by = words.nth(1).unwrap_or_default();
            passes += usize::from(received_by.eq_ignore_ascii_case(PSEUDONYM.as_bytes()));
        }
    }
    if passes > limit {
        return Err(ViaLoop { passes });
    }
    Ok(())
}

/// Sets a list field to what stood there and one more element.
fn write_list(
    fields: &mut Fields,
    name: HeaderName,
    text: &mut Text,
    push_last: impl FnOnce(&mut Text),
) {
    text.clear();
    for value in fields.get_all(&name) {
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b", ");
    }
    let had_some = !text.is_empty();
    push_last(text);
    // All that was put together is field values and ASCII.
    let Ok(value) = HeaderValue::from_bytes(text) else {
        return;
    };
    if had_some {
        fields.set(name, value);
    } else {
        fields.append(name, value);
    }
}

/// `for=192.0.2.1;host=example.com;proto=https` (RFC 7239 §4, §6).
fn push_element(peer: IpAddr, host: &str, scheme: &str, text: &mut Text) {
    text.extend_from_slice(b"for=");
    push_node(peer, text);
    push_origin(host, Some(scheme), text);
}

/// An IPv6 address has brackets and is quoted (RFC 7239 §6).
fn push_node(address: IpAddr, text: &mut Text) {
    let is_ipv6 = address.to_canonical().is_ipv6();
    text.extend_from_slice(if is_ipv6 { b"\"[" } else { b"" });
    push_address(address, text);
    text.extend_from_slice(if is_ipv6 { b"]\"" } else { b"" });
}

fn push_origin(host: &str, scheme: Option<&str>, text: &mut Text) {
    push_host(host, text);
    if let Some(scheme) = scheme {
        text.extend_from_slice(b";proto=");
        text.extend_from_slice(scheme.as_bytes());
    }
}

/// A host with a port, or with brackets, is no token and has to be quoted.
fn push_host(host: &str, text: &mut Text) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_sound = host.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || !is_sound {
        return;
    }
    text.extend_from_slice(b";host=");
    if host.bytes().all(is_token) {
        text.extend_from_slice(host.as_bytes());
        return;
    }
    text.push(b'"');
    for byte in host.bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
}

/// Whether a field claims something that only a proxy may say: where the request came from, what was
/// asked for, or who asks.
pub(super) fn is_claim(name: &str) -> bool {
    // Almost every field of a request ends here.
    if !matches!(
        name.as_bytes().first(),
        Some(b'c' | b'f' | b'r' | b's' | b't' | b'x')
    ) {
        return false;
    }
    const PREFIXES: [&str; 5] = [
        "x-auth-request-",
        "x-client-cert",
        "x-forwarded-",
        "x-ssl-client-",
        "ssl-client-",
    ];
    matches!(
        name,
        "cf-connecting-ip"
            | "client-cert"
            | "client-cert-chain"
            | "forwarded"
            | "remote-user"
            | "true-client-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-original-host"
            | "x-original-url"
            | "x-real-ip"
            | "x-remote-user"
            | "x-rewrite-url"
            | "x-weir-mirror"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a field is such a claim for a back end that reads `_` as `-`.
pub(super) fn is_alias_of_claim(name: &str) -> bool {
    // Longer than every name above, so that cutting off makes no name out of another.
    const LONGEST: usize = 64;
    if !name.contains('_') {
        return false;
    }
    let mut spelled = [0; LONGEST];
    let length = name.len().min(LONGEST);
    for (slot, byte) in spelled.iter_mut().zip(name.bytes()) {
        *slot = if byte == b'_' { b'-' } else { byte };
    }
    std::str::from_utf8(&spelled[..length]).is_ok_and(is_claim)
}
