//! Points in time as text, always UTC: lines of several machines sort side by side.

use std::time::{SystemTime, UNIX_EPOCH};

/// Last second of the year 9999; RFC 3339 has no room for a later one.
const LAST: u64 = 253_402_300_799;

/// A point in time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp {
    year: u32,
    month: u32,
    day: u32,
    /// Of the day.
    second: u32,
    microsecond: u32,
}

impl Timestamp {
    /// Times before 1970 become 1970, those after 9999 become its end: a wrong clock must not
    /// break a line.
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().min(LAST);
        let (year, month, day) = date(seconds / 86_400);
        Self {
            year,
            month,
            day,
            second: (seconds % 86_400) as u32,
            microsecond: since.subsec_micros(),
        }
    }

    /// `2026-01-02T03:04:05.000006Z` (RFC 3339 §5.6).
    pub(crate) fn write_rfc3339(self, line: &mut Vec<u8>) {
        digits(line, self.year, 4);
        line.push(b'-');
        digits(line, self.month, 2);
        line.push(b'-');
        digits(line, self.day, 2);
        line.push(b'T');
        self.write_time_of_day(line);
        line.push(b'.');
        digits(line, self.microsecond, 6);
        line.push(b'Z');
    }

    /// `03:04:05.000`
    pub(crate) fn write_clock(self, line: &mut Vec<u8>) {
        self.write_time_of_day(line);
        line.push(b'.');
        digits(line, self.microsecond / 1_000, 3);
    }

    fn write_time_of_day(self, line: &mut Vec<u8>) {
        digits(line, self.second / 3_600, 2);
        line.push(b':');
        digits(line, self.second / 60 % 60, 2);
        line.push(b':');
        digits(line, self.second % 60, 2);
    }
}

/// A point in time as RFC 3339 has it, in UTC.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::with_capacity(27);
    Timestamp::of(time).write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar. Years are counted from
/// March here, so that the leap day is the last of its year, in eras of 400 years.
fn date(days: u64) -> (u32, u32, u32) {
    const DAYS_FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    const DAYS_OF_ERA: u64 = 146_097;
    let days = days + DAYS_FROM_MARCH_OF_YEAR_0;
    let era = days / DAYS_OF_ERA;
    let day_of_era = days % DAYS_OF_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

/// A number of a fixed width, with leading zeros.
fn digits(line: &mut Vec<u8>, mut number: u32, width: usize) {
    let mut text = [b'0'; 6];
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    line.extend_from_slice(&text[..width]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn microseconds_keep_their_zeros() {
        let time = UNIX_EPOCH + Duration::new(1_767_323_045, 6_999);
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.000006Z");
        let mut clock = Vec::new();
        Timestamp::of(time + Duration::from_millis(42)).write_clock(&mut clock);
        assert_eq!(clock, b"03:04:05.042");
    }

    /// `httpdate` computes dates in another way.
    #[test]
    fn every_day_until_2500_agrees_with_another_implementation() {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        for day in 0..193_700_u64 {
            let time = UNIX_EPOCH + Duration::from_secs(day * 86_400 + 86_399);
            let Timestamp {
                year, month, day, ..
            } = Timestamp::of(time);
            let month = MONTHS[month as usize - 1];
            let expected = httpdate::fmt_http_date(time);
            assert!(
                expected.ends_with(&format!("{day:02} {month} {year} 23:59:59 GMT")),
                "{expected}"
            );
        }
    }

    #[test]
    fn clocks_far_off_stay_within_the_grammar() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000000Z");
        let after = UNIX_EPOCH + Duration::from_secs(LAST + 1_000_000);
        assert_eq!(rfc3339(after), "9999-12-31T23:59:59.000000Z");
    }
}
