//! Single parameters of the query as components (RFC 9421 §2.2.8).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::fault::Fault;

/// What the form encoding of the URL standard escapes; a space becomes `%20`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// The value of the parameter with this name, both decoded and encoded anew: `+` and `%20` are one.
///
/// A parameter that occurs twice has no value, as upstreams differ in which of both they take.
pub(crate) fn parameter(query: &str, name: &str) -> Result<String, Fault> {
    let mut found = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (pair_name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // One that cannot be read cannot be the one that was signed.
        let Some(pair_name) = reencoded(pair_name) else {
            continue;
        };
        if pair_name != name {
            continue;
        }
        if found.is_some() {
            return Err(Fault::AmbiguousParameter);
        }
        found = Some(reencoded(value).ok_or(Fault::BadValue)?);
    }
    found.ok_or(Fault::AbsentComponent)
}

/// Nothing if it is not UTF-8: what stood there would be lost.
fn reencoded(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(utf8_percent_encode(&decoded, ESCAPED).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9421 §2.2.8.
    #[test]
    fn the_examples_of_the_standard_are_encoded_anew() {
        let query = "param=value&foo=bar&baz=batman&qux=";
        assert_eq!(parameter(query, "baz").as_deref(), Ok("batman"));
        assert_eq!(parameter(query, "qux").as_deref(), Ok(""));
        assert_eq!(parameter(query, "param").as_deref(), Ok("value"));

        let query = "var=this%20is%20a%20big%0Amultiline%20value&\
                     bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        let multiline = "this%20is%20a%20big%0Amultiline%20value";
        assert_eq!(parameter(query, "var").as_deref(), Ok(multiline));
        assert_eq!(
            parameter(query, "bar").as_deref(),
            Ok("with%20plus%20whitespace")
        );
        assert_eq!(
            parameter(query, "fa%C3%A7ade%22%3A%20").as_deref(),
            Ok("something")
        );
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        assert_eq!(parameter("a=1&a=2", "a"), Err(Fault::AmbiguousParameter));
        assert_eq!(parameter("a=1&%61=2", "a"), Err(Fault::AmbiguousParameter));
        assert_eq!(parameter("a=%FF", "a"), Err(Fault::BadValue));
        assert_eq!(parameter("b=1", "a"), Err(Fault::AbsentComponent));
        assert_eq!(parameter("", "a"), Err(Fault::AbsentComponent));
    }
}
