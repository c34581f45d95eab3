//! Cookies that Weir itself reads and sets (RFC 6265).

use std::time::Duration;

use http::HeaderValue;
use http::header::COOKIE;

use crate::fields::Fields;

/// The value of the first cookie of this name, as the client sent it.
pub(crate) fn cookie<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    let cookies = fields.iter().filter(|(field, _)| *field == COOKIE);
    cookies
        .flat_map(|(_, value)| pairs(value.as_bytes()))
        .find_map(|pair| value_of(pair, name))
}

/// Takes out every cookie of this name; a field that has none left goes.
pub(crate) fn remove_cookie(fields: &mut Fields, name: &str) {
    if cookie(fields, name).is_none() {
        return;
    }
    let mut kept = Vec::new();
    for value in fields.get_all(&COOKIE) {
        let others = pairs(value.as_bytes()).filter(|pair| value_of(pair, name).is_none());
        let joined = others.collect::<Vec<_>>().join(&b"; "[..]);
        // Parts of a valid value are valid.
        if let (false, Ok(value)) = (joined.is_empty(), HeaderValue::from_bytes(&joined)) {
            kept.push(value);
        }
    }
    fields.remove(&COOKIE);
    for value in kept {
        fields.append(COOKIE, value);
    }
}

/// A `Set-Cookie` value for every path of the host, out of reach of scripts and not sent along with
/// the requests that other sites' pages make. `None` if the name is no cookie's.
pub(crate) fn set_cookie(
    name: &str,
    value: &str,
    max_age: Option<Duration>,
    is_secure: bool,
) -> Option<HeaderValue> {
    let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if is_secure {
        text.push_str("; Secure");
    }
    if let Some(max_age) = max_age {
        text.push_str(&format!("; Max-Age={}", max_age.as_secs()));
    }
    HeaderValue::try_from(text).ok()
}

/// `name=value`, each without the space around it.
fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = pair.strip_prefix(name.as_bytes())?;
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?;
    Some(rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[&'static str]) -> Fields {
        let mut fields = Fields::new();
        for value in values {
            fields.append(COOKIE, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let fields = fields(&["ab=1; a=2 ;;a=3", "b = 4"]);
        assert_eq!(cookie(&fields, "a"), Some(&b"2"[..]));
        assert_eq!(cookie(&fields, "b"), Some(&b"4"[..]));
        assert_eq!(cookie(&fields, "ab"), Some(&b"1"[..]));
        for absent in ["", "A", "c", "1"] {
            assert_eq!(cookie(&fields, absent), None, "{absent}");
        }
    }

    #[test]
    fn every_cookie_of_the_name_goes_and_the_others_stay() {
        let mut some = fields(&["x=1; a=2;y=3", "a=4", "z"]);
        remove_cookie(&mut some, "a");
        let left: Vec<_> = some.iter().map(|(_, value)| value.as_bytes()).collect();
        assert_eq!(left, [&b"x=1; y=3"[..], b"z"]);
        remove_cookie(&mut some, "none");
        assert_eq!(some.len(), 2);
    }

    #[test]
    fn attributes_are_as_configured() {
        let set = |max_age, secure| set_cookie("side", "17", max_age, secure).unwrap();
        assert_eq!(set(None, false), "side=17; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            set(Some(Duration::from_secs(3600)), true),
            "side=17; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"
        );
    }
}
