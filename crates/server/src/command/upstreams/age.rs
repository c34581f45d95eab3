//! How long ago a moment was that the admin API states.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The moment that an RFC 3339 text in UTC states, as the admin API writes them.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hours: u64 = time.next()?.parse().ok()?;
    let minutes: u64 = time.next()?.parse().ok()?;
    let seconds: f64 = time.next()?.parse().ok()?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hours > 23
        || minutes > 59
        || !(0.0..61.0).contains(&seconds)
    {
        return None;
    }
    let days = u64::try_from(days_since_1970(year, month, day)).ok()?;
    let whole = Duration::from_secs(days * 86_400 + hours * 3_600 + minutes * 60);
    Some(UNIX_EPOCH + whole + Duration::from_secs_f64(seconds))
}

/// Days of the proleptic Gregorian calendar: years begin in March here, so that the leap day is last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `12s`, `3m 20s`, `5h 2m`, `3d 4h`.
pub(in crate::command) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_api_writes_them() {
        let seconds = |text: &str| {
            let since = parse(text)?.duration_since(UNIX_EPOCH).expect("after 1970");
            Some(since.as_secs())
        };
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-01-02T03:04:05.000006Z"), Some(1_767_323_045));
        assert_eq!(seconds("2000-02-29T23:59:59Z"), Some(951_868_799));
        for text in [
            "",
            "2026-01-02",
            "2026-13-02T00:00:00Z",
            "2026-01-02T03:04:05+01:00",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn ages_have_two_units_at_most() {
        let short = |seconds| short(Duration::from_secs(seconds));
        assert_eq!(short(12), "12s");
        assert_eq!(short(200), "3m 20s");
        assert_eq!(short(18_120), "5h 2m");
        assert_eq!(short(273_600), "3d 4h");
    }
}
