//! Where a request holds credentials.

use http::header::AUTHORIZATION;
use weir_config::model::TokenPlace;

use crate::cookies;
use crate::fields::Fields;

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
        Some(b' ') => Ok(Some(rest.trim_ascii())),
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
        TokenPlace::Bearer => authorization(fields, "Bearer"),
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
        for other in ["Bearerabc", "Basic abc", "Bear", "", "Bearer\tabc"] {
            assert_eq!(read(other), None, "{other}");
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
