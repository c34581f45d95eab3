//! Cookies in a request's fields, read as browsers write them (RFC 6265 §4.2 and §5.4).

use std::time::Duration;

use http::HeaderValue;
use http::header::COOKIE;

use crate::fields::Fields;

/// The values under a name, in order, over all `Cookie` fields. Names are case-sensitive; quotes around
/// a value are not part of it. What is no pair is passed over.
pub(crate) fn values<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .get_all(&COOKIE)
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .filter_map(move |piece| value_of(piece, name))
}

/// Takes out every cookie of this name; the others stay as they were written. A field that held
/// nothing else goes.
pub(crate) fn remove(fields: &mut Fields, name: &str) {
    // Most requests come without it, and nothing is written anew.
    if values(fields, name).next().is_none() {
        return;
    }
    let mut kept = Vec::new();
    fields.retain_mut(|field, value| {
        if *field != COOKIE {
            return true;
        }
        kept.clear();
        let pieces = value.as_bytes().split(|byte| *byte == b';');
        for piece in pieces.filter(|piece| value_of(piece, name).is_none()) {
            let piece = piece.trim_ascii();
            if piece.is_empty() {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(piece);
        }
        // Parts of a valid value make a valid value.
        match HeaderValue::from_bytes(&kept) {
            Ok(rest) if !kept.is_empty() => {
                *value = rest;
                true
            }
            _ => false,
        }
    });
}

/// The value in `name=value`, if it has this name.
fn value_of<'a>(piece: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = piece.trim_ascii_start().strip_prefix(name.as_bytes())?;
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
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

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    fn fields(cookies: &[&str]) -> Fields {
        let mut fields = Fields::new();
        fields.append(HOST, HeaderValue::from_static("h"));
        for cookie in cookies {
            fields.append(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        }
        fields
    }

    fn found(cookies: &[&str], name: &str) -> Vec<String> {
        values(&fields(cookies), name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    #[test]
    fn a_cookie_is_found_wherever_it_stands() {
        assert_eq!(found(&["a=1; b=2; c=3"], "b"), ["2"]);
        assert_eq!(found(&["a=1;b=2"], "b"), ["2"], "without the space");
        assert_eq!(found(&["a=1", "b=2; b=3"], "b"), ["2", "3"], "two fields");
        assert_eq!(found(&["b=\"2 3\""], "b"), ["2 3"], "quoted");
        assert_eq!(found(&["b=2=3=="], "b"), ["2=3=="]);
        assert_eq!(found(&["b="], "b"), [""]);
        assert_eq!(found(&[" \t b = 2 \t;"], "b"), ["2"]);
    }

    #[test]
    fn what_only_looks_like_it_is_passed_over() {
        let others = [
            "bb=1", "ab=1", "B=1", "b", "=b", "a=b=1", ";;;", "a=\"", "b;=1",
        ];
        for other in others {
            assert!(found(&[other], "b").is_empty(), "{other}");
        }
        assert_eq!(found(&["b=\""], "b"), ["\""], "half a pair of quotes");
    }

    #[test]
    fn a_cookie_is_taken_out_and_the_others_stay() {
        let without = |cookies: &[&str]| {
            let mut fields = fields(cookies);
            remove(&mut fields, "b");
            assert!(fields.contains(&HOST));
            let left: Vec<String> = fields
                .get_all(&COOKIE)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            left
        };
        assert_eq!(without(&["a=1; b=2; c=\"3\""]), ["a=1; c=\"3\""]);
        assert_eq!(without(&["b=1; b=2;"]), [""; 0], "nothing else was there");
        assert_eq!(without(&["b=1", "a=1"]), ["a=1"]);
        assert_eq!(without(&["a=1;c"]), ["a=1;c"], "untouched");
        let bytes = HeaderValue::from_bytes(b"b=1; a=\xff").expect("a value");
        let mut odd = Fields::new();
        odd.append(COOKIE, bytes);
        remove(&mut odd, "b");
        assert_eq!(
            odd.get(&COOKIE).map(HeaderValue::as_bytes),
            Some(&b"a=\xff"[..])
        );
    }
}
