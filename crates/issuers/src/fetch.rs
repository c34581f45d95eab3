//! One document of an issuer.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use weir_outbound::{Call, Endpoint, HttpError, Reach, Trust};

/// Bounds of what an issuer's answer may say of how long it is good for.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How an issuer is reached.
pub(crate) struct Access<'a> {
    pub(crate) trust: Trust,
    pub(crate) reach: &'a Reach,
    pub(crate) patience: Duration,
}

/// A document, and how long it is good for if it says so.
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) max_age: Option<Duration>,
}

impl Access<'_> {
    /// Gets a document of at most `most` bytes; an answer other than 200 is an error.
    pub(crate) async fn get(&self, url: &str, most: usize) -> Result<Document, HttpError> {
        let (endpoint, path) = Endpoint::split(url)?;
        let call = Call {
            endpoint: &endpoint,
            trust: &self.trust,
            reach: self.reach,
            path: &path,
            headers: &[],
            form: None,
            patience: self.patience,
        };
        let answer = call.send().await?;
        if answer.status != http::StatusCode::OK {
            return Err(HttpError::Status(answer.status));
        }
        let max_age = max_age(&answer.headers);
        let body = answer.whole(most, self.patience).await?;
        Ok(Document { body, max_age })
    }
}

/// When to look again; `random` from 0 to 1 spreads it by a tenth, so that the nodes of a fleet do not come in step.
pub(crate) fn next_look(max_age: Option<Duration>, refresh: Duration, random: f64) -> Duration {
    let pause = max_age.map_or(refresh, |age| age.clamp(SHORTEST, LONGEST));
    pause.mul_f64(0.9 + random / 5.0)
}

/// What `Cache-Control` says (RFC 9111 §5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    let mut ages = directives.filter_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        let value = value.trim_matches('"');
        name.eq_ignore_ascii_case("max-age")
            .then(|| value.parse().ok())?
    });
    ages.next().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_good_for() {
        let said = |value: &'static str| {
            let headers = [(CACHE_CONTROL, http::HeaderValue::from_static(value))];
            max_age(&headers.into_iter().collect()).map(|age| age.as_secs())
        };
        assert_eq!(said("public, max-age=3600, must-revalidate"), Some(3600));
        assert_eq!(said("Max-Age=\"7\""), Some(7));
        for nothing in [
            "no-store",
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=x",
            "s-maxage=9",
        ] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_look_comes_within_bounds_and_spread() {
        let seconds = |age: Option<u64>, random| {
            let pause = next_look(
                age.map(Duration::from_secs),
                Duration::from_secs(600),
                random,
            );
            pause.as_secs()
        };
        assert_eq!(seconds(None, 0.5), 600);
        assert_eq!(seconds(None, 0.0), 540);
        assert_eq!(seconds(None, 1.0), 660);
        assert_eq!(seconds(Some(3600), 0.5), 3600);
        assert_eq!(seconds(Some(0), 0.5), 30);
        assert_eq!(seconds(Some(u64::MAX), 0.5), 24 * 60 * 60);
    }
}
