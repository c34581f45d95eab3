//! `grpc-timeout`: how long the client waits.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::failure::Failure;
use crate::fields::{Fields, unique};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Digits that the value may have.
const MOST_DIGITS: usize = 8;
const MOST: u128 = 99_999_999;

/// The deadline that a call states, from its arrival.
pub(super) fn stated(fields: &Fields) -> Result<Option<Duration>, Failure> {
    let name = GRPC_TIMEOUT;
    let mut values = fields.get_all(&name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match parse(value.as_bytes()) {
        Some(deadline) if values.next().is_none() => Ok(Some(deadline)),
        _ => Err(Failure::Malformed("The grpc-timeout field is not valid.")),
    }
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    let is_number =
        (1..=MOST_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// States a deadline, as exactly as eight digits allow, and never a later one.
pub(super) fn write(fields: &mut Fields, left: Duration) {
    let units = [
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (u128::from(left.as_secs()), 'S'),
        (u128::from(left.as_secs() / 60), 'M'),
        (u128::from(left.as_secs() / 3_600), 'H'),
    ];
    let fitting = units.into_iter().find(|(number, _)| *number <= MOST);
    let (number, unit) = fitting.unwrap_or((MOST, 'H'));
    // Less than a microsecond is a moment all the same.
    let text = format!("{}{unit}", number.max(1));
    if let Ok(value) = HeaderValue::from_str(&text) {
        fields.set(GRPC_TIMEOUT, unique(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let parse = |text: &str| parse(text.as_bytes());
        assert_eq!(parse("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse("1H"), Some(Duration::from_secs(3_600)));
        assert_eq!(parse("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse("3S"), Some(Duration::from_secs(3)));
        assert_eq!(parse("4u"), Some(Duration::from_micros(4)));
        assert_eq!(parse("0n"), Some(Duration::ZERO));
        assert_eq!(
            parse("99999999H"),
            Some(Duration::from_secs(359_999_996_400))
        );
        for text in [
            "",
            "m",
            "1",
            "1s",
            "1h",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1.5S",
            "1SS",
            "100000000S",
            "0x1S",
            "99999999999999999999S",
            "\u{661}S",
            "1\u{b5}",
            "1S,1S",
            "infinite",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_left_is_written_as_exactly_as_there_is_room() {
        let written = |left| {
            let mut fields = Fields::new();
            write(&mut fields, left);
            let value = fields.get(&GRPC_TIMEOUT).expect("a value").clone();
            let parsed = parse(value.as_bytes()).expect("a valid value");
            assert!(parsed <= left.max(Duration::from_micros(1)), "never later");
            value.to_str().expect("text").to_owned()
        };
        assert_eq!(written(Duration::from_nanos(1)), "1u");
        assert_eq!(written(Duration::from_millis(1_500)), "1500000u");
        assert_eq!(written(Duration::from_micros(99_999_999)), "99999999u");
        assert_eq!(written(Duration::from_micros(100_000_999)), "100000m");
        assert_eq!(written(Duration::from_secs(100_000)), "100000S");
        assert_eq!(written(Duration::from_secs(100_000_000)), "1666666M");
        assert_eq!(written(Duration::from_secs(60 * 100_000_000)), "1666666H");
        assert_eq!(written(Duration::MAX), "99999999H");
    }

    #[test]
    fn one_timeout_at_most() {
        let mut fields = Fields::new();
        assert_eq!(stated(&fields), Ok(None));
        fields.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(stated(&fields), Ok(Some(Duration::from_secs(1))));
        fields.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert!(stated(&fields).is_err());
    }
}
