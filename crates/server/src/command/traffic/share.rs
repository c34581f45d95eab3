//! Shares on the command line.

use std::str::FromStr;

/// `50%`, `50` or `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percent(pub(super) f64);

/// `green=20`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) upstream: String,
    pub(super) percent: Percent,
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let is_plain = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = digits.parse::<f64>().ok().filter(|_| is_plain);
        match percent {
            Some(percent) if percent <= 100.0 => {
                // As many as the gateway tells apart.
                let part = digits.split_once('.').map_or("", |(_, part)| part);
                match part.len() {
                    0..=4 => Ok(Self(percent)),
                    _ => Err("more than four digits behind the point".to_owned()),
                }
            }
            Some(_) => Err("more than 100%".to_owned()),
            None => Err("write a number of percent: 20, 20% or 0.5%".to_owned()),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (upstream, percent) = text
            .split_once('=')
            .filter(|(upstream, _)| !upstream.is_empty())
            .ok_or("write it as `UPSTREAM=PERCENT`, as in `green=20`")?;
        Ok(Self {
            upstream: upstream.to_owned(),
            percent: percent.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_with_and_without_the_sign() {
        for (text, percent) in [
            ("20", 20.0),
            ("20%", 20.0),
            ("0.5%", 0.5),
            ("100", 100.0),
            ("0", 0.0),
        ] {
            assert_eq!(text.parse(), Ok(Percent(percent)));
        }
        let share = "green=0.1%".parse::<Share>().unwrap();
        assert_eq!(
            (share.upstream.as_str(), share.percent),
            ("green", Percent(0.1))
        );
        for text in [
            "", "%", "0.00001%", "101", "-1", "+1", "1e1", "NaN", "inf", "20%%", " 20",
        ] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        for text in ["green", "=20", "green:20", "green="] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
