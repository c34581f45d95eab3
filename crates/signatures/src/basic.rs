//! The `Basic` scheme (RFC 7617): a name and a password in each request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest credentials, in base64, in bytes.
const LONGEST: usize = 1024;

/// What a client sent; the password is wiped from memory when it goes, and cannot be printed.
pub struct Basic {
    name: String,
    password: Zeroizing<String>,
}

impl Basic {
    /// Reads the value of `Authorization`; nothing if it is of another scheme.
    ///
    /// The text is UTF-8, which the challenge must say (§2.1: `charset="UTF-8"`). The first colon ends the
    /// name; the password may have others.
    pub fn parse(value: &[u8]) -> Result<Option<Self>, BadBasic> {
        const SCHEME: &[u8] = b"basic ";
        let Some((scheme, credentials)) = value.split_at_checked(SCHEME.len()) else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Ok(None);
        }
        let credentials = credentials.trim_ascii();
        if credentials.len() > LONGEST {
            return Err(BadBasic::TooLong);
        }
        let bytes = Zeroizing::new(
            STANDARD
                .decode(credentials)
                .map_err(|_| BadBasic::NotBase64)?,
        );
        let text = std::str::from_utf8(&bytes).map_err(|_| BadBasic::NotUtf8)?;
        if text.chars().any(char::is_control) {
            return Err(BadBasic::Control);
        }
        let (name, password) = text.split_once(':').ok_or(BadBasic::NoColon)?;
        Ok(Some(Self {
            name: name.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        }))
    }

    /// The name; it is not known yet whether it is anybody's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password; call this only where it is compared.
    pub fn expose_password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Basic([redacted])")
    }
}

/// Why credentials cannot be read, for whoever sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadBasic {
    /// More than a name and a password need.
    #[error("the credentials are longer than {LONGEST} bytes")]
    TooLong,
    /// No base64.
    #[error("the credentials are not in base64")]
    NotBase64,
    /// Another charset.
    #[error("name and password are not in UTF-8")]
    NotUtf8,
    /// Control characters (§2).
    #[error("name and password must not have control characters")]
    Control,
    /// A name alone.
    #[error("there is no colon between name and password")]
    NoColon,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: impl AsRef<[u8]>) -> Result<Option<(String, String)>, BadBasic> {
        let value = format!("Basic {}", STANDARD.encode(text));
        let parsed = Basic::parse(value.as_bytes())?;
        Ok(parsed.map(|basic| (basic.name.clone(), basic.expose_password().to_owned())))
    }

    /// The examples of RFC 7617 §2 and §2.1.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let parsed = Basic::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
            .unwrap()
            .unwrap();
        assert_eq!(
            (parsed.name(), parsed.expose_password()),
            ("Aladdin", "open sesame")
        );
        let parsed = Basic::parse(b"bAsIc dGVzdDoxMjPCow==").unwrap().unwrap();
        assert_eq!((parsed.name(), parsed.expose_password()), ("test", "123£"));
    }

    #[test]
    fn the_first_colon_ends_the_name() {
        let parts = |name: &str, password: &str| Ok(Some((name.to_owned(), password.to_owned())));
        assert_eq!(of("a:b:c"), parts("a", "b:c"));
        assert_eq!(of("a:"), parts("a", ""));
        assert_eq!(of(":b"), parts("", "b"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason_and_other_schemes_are_left_alone() {
        assert_eq!(of("nobody"), Err(BadBasic::NoColon));
        assert_eq!(of("a:b\n"), Err(BadBasic::Control));
        assert_eq!(of("a\0:b"), Err(BadBasic::Control));
        assert_eq!(of(b"a:\xa3"), Err(BadBasic::NotUtf8));
        assert_eq!(
            of(format!("a:{}", "b".repeat(1024))),
            Err(BadBasic::TooLong)
        );
        for value in ["Basic ", "Basic !", "Basic YTpi YTpi", "Basic YTpi="] {
            assert!(Basic::parse(value.as_bytes()).is_err(), "{value}");
        }
        for value in ["", "Basic", "Bearer YTpi", "Basics YTpi", "Basic\tYTpi"] {
            assert!(Basic::parse(value.as_bytes()).unwrap().is_none(), "{value}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let basic = Basic::parse(b"Basic YTpjYW5hcnk=").unwrap().unwrap();
        assert_eq!(basic.expose_password(), "canary");
        assert!(!format!("{basic:?}").contains("canary"));
    }
}
