//! How an issuer is followed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_jose::{KeySet, SetError, Skipped};
use weir_outbound::Reach;

use crate::fetch::next_look;

/// An issuer whose keys are followed. Equal settings are followed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    /// Where its keys are.
    pub source: Source,
    /// How they are written there.
    pub form: Form,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// PEM bundle of the authorities that its certificate is held against; those of the operating system without one.
    pub authorities: Option<Arc<[u8]>>,
    /// From one look to the next, at most; an answer that is good for less is looked at again earlier.
    pub refresh: Duration,
    /// How long the last set is used after it was last found to be the issuer's.
    pub stale: Duration,
    /// Least time between two questions for unknown keys, whoever asks.
    pub damping: Duration,
    /// Longest time for one look, from the look-up of the name to the last byte.
    pub timeout: Duration,
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file with a JWK set, looked at every second.
    File(PathBuf),
    /// The URL of a JWK set.
    Keys(String),
    /// An issuer, whose metadata says where its JWK set is (OpenID Connect Discovery §4, RFC 8414 §3).
    Issuer(String),
}

/// How keys are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A JWK set (RFC 7517 §5).
    #[default]
    Jwks,
    /// As GitHub publishes what it signs its reports with.
    Github,
}

impl Form {
    /// The keys in this form, with those that are not used.
    pub(crate) fn parse(self, text: &[u8]) -> Result<(KeySet, Vec<Skipped>), SetError> {
        match self {
            Self::Jwks => KeySet::parse(text),
            Self::Github => KeySet::parse_github(text),
        }
    }
}

impl Settings {
    /// When to look again at what is good for `max_age` by what its publisher says; `random` as in [`next_look`].
    pub(crate) fn pause(&self, max_age: Option<Duration>, random: f64) -> Duration {
        let max_age = match self.form {
            Form::Jwks => max_age,
            // GitHub says a minute of everything, and answers sixty questions an hour.
            Form::Github => None,
        };
        next_look(max_age, self.refresh, random)
    }

    /// Looked at every ten minutes, used for a day without the issuer, at most one question in 30 s; public addresses
    /// only.
    pub const fn new(source: Source) -> Self {
        Self {
            source,
            form: Form::Jwks,
            reach: Reach::Public { allow: Vec::new() },
            authorities: None,
            refresh: Duration::from_secs(600),
            stale: Duration::from_secs(24 * 60 * 60),
            damping: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
        }
    }
}

/// In one line, without secrets: a URL's query is left out.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without_query = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        match self {
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Keys(url) => write!(formatter, "keys {}", without_query(url)),
            Self::Issuer(url) => write!(formatter, "issuer {}", without_query(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_is_not_asked_more_often_than_it_answers() {
        let mut settings = Settings::new(Source::Keys(String::new()));
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        settings.refresh = hour;
        assert_eq!(settings.pause(Some(minute), 0.0), minute);
        settings.form = Form::Github;
        assert_eq!(settings.pause(Some(minute), 0.0), hour);
    }
}
