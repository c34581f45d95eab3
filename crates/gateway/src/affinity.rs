//! Clients that come back to the same target: the key of a consistent hash, and the sticky cookie.

use std::net::IpAddr;

use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue};
use weir_config::model::{Balance, HashKey, StickyCookie, Upstream};

use crate::client::Client;
use crate::cookies;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};
use crate::upstream::{Wish, stable_hash};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Digits of a token in a cookie: all 64 bits, in lower case.
const TOKEN_DIGITS: usize = 16;

/// What a request wants of a target, by its key and its cookie. The cookie is Weir's own: it is
/// taken out of what the target gets.
pub(crate) fn wish(
    upstream: &Upstream,
    head: &mut RequestHead,
    path: &str,
    client_address: IpAddr,
) -> Wish {
    let mut wish = Wish::default();
    if let Balance::ConsistentHash(key) = &upstream.balance {
        wish.hash = hash(key, TARGETS, &head.fields, path, client_address);
    }
    if let Some(sticky) = &upstream.sticky {
        wish.token = cookies::values(&head.fields, &sticky.name).find_map(parse_token);
    }
    strip(upstream, &mut head.fields);
    wish
}

/// Takes the upstream's cookie out of a request whose target is picked without it.
pub(crate) fn strip(upstream: &Upstream, fields: &mut Fields) {
    if let Some(sticky) = &upstream.sticky {
        cookies::remove(fields, &sticky.name);
    }
}

/// The seed of keys that decide about targets.
const TARGETS: u64 = 0;

/// The hash of a request's key; `None` if it has none. An empty value is none: else everybody who
/// sends it would share one target. Different uses of one key have different seeds, or the clients
/// of one use would stay together in the other.
pub(crate) fn hash(
    key: &HashKey,
    seed: u64,
    fields: &Fields,
    path: &str,
    client_address: IpAddr,
) -> Option<u64> {
    let key_hash = |bytes: &[u8]| stable_hash(bytes, seed);
    let hash_value = |value: Option<&[u8]>| value.filter(|value| !value.is_empty()).map(key_hash);
    match key {
        // One client is one key, also where IPv4 arrives at an IPv6 socket.
        HashKey::Address => Some(match client_address.to_canonical() {
            IpAddr::V4(address) => key_hash(&address.octets()),
            IpAddr::V6(address) => key_hash(&address.octets()),
        }),
        HashKey::Path => Some(key_hash(path.as_bytes())),
        HashKey::Header(name) => hash_value(fields.get(name).map(HeaderValue::as_bytes)),
        HashKey::Cookie(name) => hash_value(cookies::values(fields, name).next()),
    }
}

/// Tells the client by which cookie it comes back to the target that answered.
pub(crate) fn remember(
    sticky: &StickyCookie,
    token: u64,
    is_secure: bool,
    answer: &mut ResponseHead,
) {
    let value = format!("{token:0TOKEN_DIGITS$x}");
    // The name was checked when the configuration was read.
    if let Some(value) = cookies::set_cookie(&sticky.name, &value, sticky.max_age, is_secure) {
        answer.fields.append(SET_COOKIE, value);
    }
}

/// Whether the client speaks HTTPS: to Weir, or to a trusted proxy in front of it, whose word stands in
/// the forwarding fields by now.
pub(crate) fn is_secure(client: &Client, fields: &Fields) -> bool {
    let is_https = |stated: &HeaderValue| {
        let mut schemes = stated.as_bytes().split(|byte| *byte == b',');
        let first = schemes.next().unwrap_or_default();
        first.trim_ascii().eq_ignore_ascii_case(b"https")
    };
    client.tls.is_some() || fields.get(&FORWARDED_PROTO).is_some_and(is_https)
}

/// Exactly what [`remember`] writes; anything else is not Weir's.
fn parse_token(value: &[u8]) -> Option<u64> {
    if value.len() != TOKEN_DIGITS {
        return None;
    }
    value.iter().try_fold(0, |token, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(token << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use http::header::COOKIE;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn fields(list: &[(&'static str, &'static str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in list {
            fields.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        fields
    }

    #[test]
    fn the_key_is_what_the_configuration_says() {
        let sent = fields(&[
            ("x-user", "ada"),
            ("x-user", "eve"),
            ("cookie", "a=1"),
            ("cookie", "user=ada"),
            ("x-empty", ""),
        ]);
        let of = |key: &HashKey| hash(key, TARGETS, &sent, "/items/7", CLIENT);
        let header = |name| HashKey::Header(HeaderName::from_static(name));
        assert_eq!(
            of(&header("x-user")),
            Some(stable_hash(b"ada", TARGETS)),
            "the first"
        );
        assert_eq!(
            of(&HashKey::Cookie("user".into())),
            Some(stable_hash(b"ada", TARGETS))
        );
        assert_eq!(of(&HashKey::Path), Some(stable_hash(b"/items/7", TARGETS)));
        assert_eq!(
            of(&HashKey::Address),
            Some(stable_hash(&[192, 0, 2, 7], TARGETS))
        );
        assert_eq!(of(&header("x-none")), None);
        assert_eq!(of(&header("x-empty")), None, "nothing is no key");
        assert_eq!(of(&HashKey::Cookie("none".into())), None);
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().expect("an address");
        assert_eq!(
            hash(&HashKey::Address, TARGETS, &sent, "/", mapped),
            of(&HashKey::Address),
            "the same client at another socket"
        );
    }

    fn cookie_for(max_age: Option<Duration>, is_secure: bool) -> String {
        let sticky = StickyCookie {
            name: "weir".to_owned(),
            max_age,
        };
        let mut answer = ResponseHead {
            status: StatusCode::OK,
            content_length: None,
            fields: Fields::new(),
        };
        remember(&sticky, 0xab, is_secure, &mut answer);
        let value = answer.fields.get(&SET_COOKIE).expect("a cookie");
        value.to_str().expect("text").to_owned()
    }

    #[test]
    fn the_cookie_is_as_careful_as_the_connection() {
        assert_eq!(
            cookie_for(None, false),
            "weir=00000000000000ab; Path=/; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            cookie_for(Some(Duration::from_secs(3600)), true),
            "weir=00000000000000ab; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"
        );
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_garbage_is_not() {
        for token in [0, 1, 0xab, u64::MAX] {
            let text = format!("{token:016x}");
            assert_eq!(parse_token(text.as_bytes()), Some(token));
        }
        let garbage: [&[u8]; 6] = [
            b"",
            b"ab",
            b"00000000000000AB",
            b"0x000000000000ab",
            b"00000000000000abc",
            b"0000000000000\xff\xff\xff",
        ];
        for value in garbage {
            assert_eq!(parse_token(value), None);
        }
    }

    #[test]
    fn a_valid_token_is_found_behind_a_foreign_one() {
        let sent = fields(&[("cookie", "weir=other; weir=00000000000000ab")]);
        let token = cookies::values(&sent, "weir").find_map(parse_token);
        assert_eq!(token, Some(0xab));
        assert!(sent.contains(&COOKIE));
    }
}
