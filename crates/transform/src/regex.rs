//! Regular expressions, whose work is known before it is done.
//!
//! The engine takes time in proportion to the pattern times the text, and cannot be stopped. A pattern
//! counts as long as it is when its counted repetitions are written out.

use crate::arithmetic::{Error, Outcome};
use crate::meter;
use crate::value::Value;

/// Longest pattern, with its repetitions written out.
const LONGEST: u64 = 4 * 1024;

/// The text that is searched, if that can be done in time.
pub(crate) fn guard(text: Value, pattern: &Value) -> Outcome {
    let (Value::String(searched), Value::String(pattern)) = (&text, pattern) else {
        return Ok(text);
    };
    let length = written_out(pattern);
    if length > LONGEST {
        return Err(Error::str("the regular expression is too large"));
    }
    // Four characters of a text against one of the pattern take as long as a step.
    let work = length.saturating_mul(64 + searched.len() as u64);
    meter::work(work.saturating_mul(16));
    meter::take(length * 256);
    if meter::stopped().is_some() {
        return Err(Error::new(Value::Null));
    }
    Ok(text)
}

/// The pattern's length times all of its counts: no expression is longer when it is written out.
fn written_out(pattern: &[u8]) -> u64 {
    let mut length = pattern.len() as u64;
    let mut rest = pattern;
    while let Some(at) = rest.iter().position(|byte| *byte == b'{') {
        rest = &rest[at + 1..];
        let end = rest
            .iter()
            .position(|byte| *byte == b'}')
            .unwrap_or(rest.len());
        let counts = rest[..end].split(|byte| !byte.is_ascii_digit());
        let counts = counts.filter(|digits| !digits.is_empty()).map(|digits| {
            let digits = str::from_utf8(digits).unwrap_or_default();
            digits.parse().unwrap_or(u64::MAX)
        });
        length = length.saturating_mul(counts.max().unwrap_or(1).max(1));
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_count_as_if_written_out() {
        for (pattern, length) in [
            ("abc", 3),
            ("a{10}", 50),
            ("a{2,10}", 70),
            ("(a{10}){100}", 12_000),
            (r"\p{L}+", 6),
            ("a{99999999999999999999}", u64::MAX),
            ("a{", 2),
        ] {
            assert_eq!(written_out(pattern.as_bytes()), length, "{pattern}");
        }
    }
}
