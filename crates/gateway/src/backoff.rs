//! Waiting before a request is repeated.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;

use crate::failure::Failure;
use crate::fields::Fields;
use crate::timer::Timer;

/// What a `Retry-After` field asks for (RFC 9110 §10.2.3): seconds, or a date. What cannot be read is
/// no wish.
pub(crate) fn asked_wait(fields: &Fields, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let text = fields.get(&RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has room for are a long time, too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now()).unwrap_or_default())
}

/// Rests, but not beyond the end of the whole exchange.
pub(crate) async fn rest(pause: Duration, timer: &Timer) -> Result<(), Failure> {
    // A timer of the runtime: sweeps are too coarse for what is a matter of milliseconds.
    let slept = timer.limit(pause, tokio::time::sleep(pause)).await;
    if slept.is_err() && timer.is_ended() {
        return Err(Failure::DeadlineExceeded("backoff"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    fn asked(text: &str) -> Option<Duration> {
        let mut fields = Fields::new();
        fields.append(RETRY_AFTER, HeaderValue::from_str(text).expect(text));
        asked_wait(&fields, || UNIX_EPOCH + Duration::from_secs(60))
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_anything_else_is_none() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked("0"), seconds(0));
        assert_eq!(asked(" 120 "), seconds(120));
        assert_eq!(asked("Thu, 01 Jan 1970 00:01:30 GMT"), seconds(30));
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:30 GMT"), seconds(0));
        assert_eq!(asked("99999999999999999999999999"), seconds(u64::MAX));
        for text in ["", "soon", "-1", "1.5", "+1", "1 2"] {
            assert_eq!(asked(text), None, "{text:?}");
        }
    }
}
