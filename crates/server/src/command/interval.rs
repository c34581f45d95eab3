//! How often a command looks, as its option says it.

use std::time::Duration;

/// Shorter ones would be a load by themselves.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(3600);

/// `500ms`, `2s`, `1m`; a number alone is seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let interval = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => weir_config::parse_duration(text)?,
    };
    if !(LEAST..=MOST).contains(&interval) {
        return Err("write a duration from 100ms to 1h".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_seconds_are_read_within_bounds() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("5", 5_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "0",
            "99ms",
            "61m",
            "1.5",
            "-1",
            "fast",
            "99999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
