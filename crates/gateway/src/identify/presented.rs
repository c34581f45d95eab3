//! Where a request holds credentials.

use http::header::AUTHORIZATION;
use weir_config::model::TokenPlace;

use crate::cookies;
use crate::fields::Fields;

const BEARER: &str = "Bearer";
/// Schemes whose credentials are no tokens, and that a target may ask for by itself.
const OTHER_SCHEMES: [&str; 6] = [
    "Basic",
    "Digest",
    "Negotiate",
    "NTLM",
    "Signature",
    "AWS4-HMAC-SHA256",
];

/// What stands behind the scheme of `Authorization` (RFC 9110 §11.4), if it is this scheme; its case does not
/// matter.
///
/// # Errors
/// For two fields, since two readers could take different ones: the rule that the request broke.
pub(super) fn authorization<'a>(
    fields: &'a Fields,
    scheme: &str,
) -> Result<Option<&'a [u8]>, &'static str> {
    let mut values = fields.get_all(&AUTHORIZATION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err("The Authorization field stands there twice.");
    }
    let value = value.as_bytes();
    let Some((stated, rest)) = value.split_at_checked(scheme.len()) else {
        return Ok(None);
    };
    if !stated.eq_ignore_ascii_case(scheme.as_bytes()) {
        return Ok(None);
    }
    match rest.first() {
        None => Ok(Some(b"")),
        // A tab is no space (RFC 9110 §11.4), but some read it as one: what stands behind it is judged as well.
        Some(b' ' | b'\t') => Ok(Some(rest.trim_ascii())),
        Some(_) => Ok(None), // another scheme that begins like this one
    }
}

/// The token at its place.
///
/// # Errors
/// If there are several: the rule that the request broke.
pub(super) fn token<'a>(
    fields: &'a Fields,
    place: &'a TokenPlace,
) -> Result<Option<&'a [u8]>, &'static str> {
    match place {
        TokenPlace::Bearer => match authorization(fields, BEARER)? {
            Some(token) => Ok(Some(token)),
            None => other_scheme(fields).map(|()| None),
        },
        TokenPlace::Header(name) => {
            let mut values = fields.get_all(name);
            let value = values.next().map(|value| value.as_bytes().trim_ascii());
            match values.next() {
                None => Ok(value),
                Some(_) => Err("The field with the token stands there twice."),
            }
        }
        TokenPlace::Cookie(name) => {
            let mut values = cookies::values(fields, name);
            let value = values.next();
            match values.next() {
                None => Ok(value),
                // One may have been set for a wider path, or by another site below the same domain.
                Some(_) => Err("The cookie with the token is there twice."),
            }
        }
    }
}

/// Whether what stands in `Authorization` is of a scheme that nobody reads as a bearer token. The route's tokens stand
/// there: whatever a target could take for one, and was not judged, must not reach it.
fn other_scheme(fields: &Fields) -> Result<(), &'static str> {
    let Some(value) = fields.get(&AUTHORIZATION) else {
        return Ok(());
    };
    let mut parts = value.as_bytes().split(|byte| *byte == b',');
    let first = parts.next().unwrap_or_default().trim_ascii();
    let is_known = first.is_empty() || OTHER_SCHEMES.iter().any(|scheme| is_of(first, scheme));
    match is_known && !parts.any(|part| is_of(part.trim_ascii(), BEARER)) {
        true => Ok(()),
        false => Err("The Authorization field has a token in another form than `Bearer TOKEN`."),
    }
}

/// Whether a credential is of this scheme, with white space of any kind or nothing behind it.
fn is_of(credential: &[u8], scheme: &str) -> bool {
    let Some((stated, rest)) = credential.split_at_checked(scheme.len()) else {
        return false;
    };
    stated.eq_ignore_ascii_case(scheme.as_bytes())
        && rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// Takes it out.
pub(super) fn remove(fields: &mut Fields, place: &TokenPlace) {
    match place {
        TokenPlace::Bearer => {
            fields.remove(&AUTHORIZATION);
        }
        TokenPlace::Header(name) => {
            fields.remove(name);
        }
        TokenPlace::Cookie(name) => cookies::remove(fields, name),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::*;

    fn fields(values: &[&'static str]) -> Fields {
        let mut fields = Fields::new();
        for value in values {
            fields.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn a_scheme_is_read_whatever_its_case_and_not_for_another_one() {
        let read = |value: &'static str| {
            let fields = fields(&[value]);
            let token = authorization(&fields, "Bearer").map(|token| token.map(<[u8]>::to_vec));
            token
                .ok()
                .flatten()
                .map(|token| String::from_utf8_lossy(&token).into_owned())
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bEARER  abc ").as_deref(), Some("abc"));
        assert_eq!(read("Bearer").as_deref(), Some(""));
        assert_eq!(read("Bearer\tabc").as_deref(), Some("abc"));
        for other in ["Bearerabc", "Basic abc", "Bear", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_in_another_form_passes_no_route_that_takes_tokens() {
        let read = |value: &'static str| {
            let fields = fields(&[value]);
            token(&fields, &TokenPlace::Bearer).map(|token| token.map(<[u8]>::to_vec))
        };
        for hidden in [
            "JWT a.b.c",
            "Token a.b.c",
            "a.b.c",
            "Bearera.b.c",
            "Basic YTpi, Bearer a.b.c",
            "Digest realm=\"x\",bearer\ta.b.c",
            ", Bearer a.b.c",
        ] {
            assert!(read(hidden).is_err(), "{hidden}");
        }
        for other in [
            "Basic YTpi",
            "basic YTpi",
            "Negotiate YII=",
            "Digest realm=\"bearer\", qop=auth",
            "",
        ] {
            assert_eq!(read(other), Ok(None), "{other}");
        }
    }

    #[test]
    fn two_credentials_of_a_kind_are_none() {
        let twice = fields(&["Bearer a", "Bearer b"]);
        assert!(authorization(&twice, "Bearer").is_err());
        let mut cookies = Fields::new();
        cookies.append(COOKIE, HeaderValue::from_static("t=1; t=2"));
        let place = TokenPlace::Cookie("t".to_owned());
        assert!(token(&cookies, &place).is_err());
        remove(&mut cookies, &place);
        assert!(matches!(token(&cookies, &place), Ok(None)));
    }
}
