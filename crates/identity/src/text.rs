//! What people may write where a name is asked for.

use crate::error::{Error, Result};

/// One line of text: trimmed, not empty, of at most so many characters, without control characters.
pub(crate) fn line(field: &'static str, text: &str, most: usize) -> Result<String> {
    let text = optional_line(field, text, most)?;
    match text.is_empty() {
        true => Err(Error::invalid(field, "must not be empty")),
        false => Ok(text),
    }
}

/// The same, but it may be empty.
pub(crate) fn optional_line(field: &'static str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > most {
        return Err(Error::invalid(
            field,
            format!("has more than {most} characters"),
        ));
    }
    // Marks that change the direction of writing make one name look like another.
    if text
        .chars()
        .any(|char| char.is_control() || is_direction(char))
    {
        return Err(Error::invalid(field, "has characters that are not text"));
    }
    Ok(text.to_owned())
}

const fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Names that addresses of Weir's own have, or that would be taken for it.
const RESERVED: [&str; 24] = [
    "admin", "api", "assets", "auth", "console", "default", "docs", "health", "internal", "login",
    "mail", "me", "metrics", "none", "null", "platform", "root", "self", "static", "status",
    "support", "system", "weir", "www",
];

/// The name of an organization in addresses: a label of a host name (RFC 1123 §2.1) in lower case.
pub(crate) fn slug(text: &str) -> Result<String> {
    if !is_label(text) {
        return Err(Error::invalid(
            "slug",
            "is 2 to 63 lower-case letters, digits and single hyphens, with none at its ends",
        ));
    }
    if RESERVED.contains(&text) {
        return Err(Error::invalid("slug", "is a reserved name"));
    }
    Ok(text.to_owned())
}

/// Whether it has the form of a slug, reserved or not.
pub(crate) fn is_label(text: &str) -> bool {
    (2..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        // What a label with "--" in third place means is another standard's (RFC 5891 §4.2.3.1).
        && !text.contains("--")
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_labels() {
        for good in ["ab", "a-b", "7-eleven", &"a".repeat(63)] {
            assert_eq!(slug(good).unwrap(), good);
        }
        for bad in [
            "",
            "a",
            "-a",
            "a-",
            "a--b",
            "xn--abc",
            "A",
            "a.b",
            "a_b",
            "ä",
            "a b",
            "a\n",
            "platform",
            "www",
            &"a".repeat(64),
            "org_01h455vb4pex5vsknk084sn02q",
            "a\u{0}",
        ] {
            assert!(slug(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_are_one_line() {
        assert_eq!(line("name", "  Zoë 🦀 ", 10).unwrap(), "Zoë 🦀");
        for bad in ["", "  ", "a\nb", "a\u{0}b", "a\u{202e}b", "elevenchars"] {
            assert!(line("name", bad, 10).is_err(), "{bad:?}");
        }
    }
}
