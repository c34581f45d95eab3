//! E-mail addresses.

use std::fmt;

use crate::error::{Error, Result};

/// RFC 5321 §4.5.3.1.3, without the angle brackets.
const MOST: usize = 254;
const MOST_LOCAL: usize = 64;
const MOST_LABEL: usize = 63;

/// An address in lower case, of the form that browsers take (HTML §4.10.5.1.5): no quotes, comments,
/// white space or line ends, so that it is safe in a header and in JSON as it stands.
///
/// Servers may tell upper from lower case before the `@` (RFC 5321 §2.4); none that people use does,
/// and two accounts that differ in it only would be a trap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    /// The address, if it is one.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > MOST {
            return Err(Error::invalid(
                "email",
                format!("is longer than {MOST} bytes"),
            ));
        }
        let is_address = text
            .split_once('@')
            .is_some_and(|(local, domain)| is_local(local) && domain.split('.').all(is_label));
        match is_address {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(Error::invalid(
                "email",
                "is not an address such as name@example.org",
            )),
        }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(text: &str) -> bool {
    (1..=MOST_LOCAL).contains(&text.len())
        && text.split('.').all(|atom| !atom.is_empty())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte))
}

fn is_label(text: &str) -> bool {
    (1..=MOST_LABEL).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in ["a@b", "o'neil+x@mail.example.org", "A.B@Example.ORG"] {
            assert_eq!(Email::parse(good).unwrap().as_str(), good.to_lowercase());
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}.org", ["b".repeat(60).as_str(); 5].join("."));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\r\nBcc: x@y",
            "\"a\"@b",
            "a@[1.2.3.4]",
            "a@-b",
            "a@b..c",
            ".a@b",
            "a..b@c",
            "a@b.",
            "<a@b>",
            "ä@b",
            "a@b\u{0}",
            &long,
            &longer,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }
}
