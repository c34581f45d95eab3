//! Numbers with and without units.

use std::time::Duration;

use super::Fault;
use crate::codes;
use crate::model::Share;
use crate::shape::Text;
use crate::suggest::quote;

/// Ten years: longer is a slip of the unit.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(crate) const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|kB|KB|KiB|MB|MiB|GB|GiB)?$";
pub(crate) const PERCENTAGE_PATTERN: &str = "^[0-9]{1,3}%$";

/// `250ms`, `15s`, `2m`, `1h`, `365d`.
pub(crate) fn duration(text: &str, zero: bool) -> Result<Duration, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_DURATION, message);
    let (digits, unit) = split_unit(text);
    if digits.is_empty() {
        let help = "write a whole number and a unit: 250ms, 15s, 2m, 1h or 365d";
        return Err(fault(format!("{} is not a duration", quote(text))).help(help));
    }
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => {
            let help = format!("write `{digits}s` for seconds or `{digits}ms` for milliseconds");
            return Err(fault(format!("the duration {} has no unit", quote(text))).help(help));
        }
        _ => {
            let help = "units are ms, s, m, h and d; write 1500ms for 1.5s and 90m for 1h30m";
            let message = format!("{} is not a unit of time", quote(unit));
            return Err(fault(message).help(help).at(digits.len()));
        }
    };
    let duration = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| fault(format!("{} is longer than ten years", quote(text))))?;
    if duration.is_zero() && !zero {
        let help = "there is no \"unlimited\": choose a duration that is long enough";
        return Err(fault("the duration must not be zero".into()).help(help));
    }
    Ok(duration)
}

/// A duration as the file spells it, for those who ask for one elsewhere. Zero is none. The error says
/// what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text, false).map_err(|fault| match fault.help {
        Some(help) => format!("{}: {help}", fault.message),
        None => fault.message,
    })
}

/// A duration as the file would spell it, in the largest unit of which it is a whole number.
pub(crate) fn spelled(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let mut units = units.into_iter();
    match units.find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

/// `4096`, `32KiB`, `10MB`.
pub(crate) fn size(text: &str, least: u64, most: u64) -> Result<u64, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_SIZE, message);
    let (digits, unit) = split_unit(text);
    if digits.is_empty() {
        let help = "write a whole number of bytes, or one with a unit: 32KiB, 10MB";
        return Err(fault(format!("{} is not a size", quote(text))).help(help));
    }
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            let help =
                "units are B, kB, MB, GB (powers of 1000) and KiB, MiB, GiB (powers of 1024)";
            let message = format!("{} is not a unit of size", quote(unit));
            return Err(fault(message).help(help).at(digits.len()));
        }
    };
    let bytes = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    bytes
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| fault(format!("the size must be from {least} to {most} bytes")))
}

/// `20%`
pub(crate) fn percentage(text: &str, zero: bool) -> Result<u32, Fault> {
    let least = u32::from(!zero);
    let number = text.strip_suffix('%').and_then(whole_number);
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=100).contains(number))
        .ok_or_else(|| {
            let message = format!("{} is not a percentage from {least}% to 100%", quote(text));
            Fault::new(codes::BAD_PERCENTAGE, message).help("write a whole number and `%`: 20%")
        })
}

/// A share of many.
pub(crate) static SHARE: Text = Text {
    what: "a percentage such as `1%` or `0.05%`",
    pattern: Some("^[0-9]{1,3}([.][0-9]{1,4})?%$"),
    examples: &["1%", "0.05%", "100%"],
    loose: false,
};

/// `1%`, `0.05%`: up to four digits behind the point, which is one in a million.
pub(crate) fn share(text: &str) -> Result<Share, Fault> {
    let millionths = text.strip_suffix('%').and_then(|number| {
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_part = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let part: u64 = format!("{part:0<4}").parse().ok().filter(|_| is_part)?;
        let sum = whole_number(whole)?
            .checked_mul(10_000)?
            .checked_add(part)?;
        u32::try_from(sum).ok().and_then(Share::of_millionths)
    });
    millionths.ok_or_else(|| {
        let message = format!("{} is not a percentage from 0% to 100%", quote(text));
        Fault::new(codes::BAD_PERCENTAGE, message)
            .help("write a number and `%`, with up to four digits behind the point: 0.05%")
    })
}

/// A decimal whole number.
pub(crate) fn integer(text: &str, least: u64, most: u64) -> Result<u64, Fault> {
    let fault = |message: String| Fault::new(codes::BAD_NUMBER, message);
    let number = whole_number(text).ok_or_else(|| {
        fault(format!("{} is not a whole number", quote(text)))
            .help("write decimal digits only, without leading zeros")
    })?;
    if !(least..=most).contains(&number) {
        return Err(fault(format!("the number must be from {least} to {most}")));
    }
    Ok(number)
}

/// YAML 1.1 reads a leading zero as octal and 1.2 does not: refuse what tools disagree on.
fn whole_number(text: &str) -> Option<u64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let leads_with_zero = text.len() > 1 && text.starts_with('0');
    if !is_decimal || leads_with_zero {
        return None;
    }
    // Digits that overflow are still a number, only too large for every range.
    if text.is_empty() {
        None
    } else {
        Some(text.parse().unwrap_or(u64::MAX))
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}
