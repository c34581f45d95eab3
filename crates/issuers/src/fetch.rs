//! One document of an issuer.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use weir_outbound::{Call, Endpoint, HttpError, Reach, Trust};

/// Shortest time that an issuer's answer may say that it is good for.
const SHORTEST: Duration = Duration::from_secs(30);

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

/// When to look again: after `refresh` at the latest, whatever the answer says, since a key that the issuer takes back must go
/// within what the operator wrote. `random` from 0 to 1 spreads it by a tenth, so that the nodes of a fleet do not come in step.
pub(crate) fn next_look(max_age: Option<Duration>, refresh: Duration, random: f64) -> Duration {
    let pause = max_age.map_or(refresh, |age| age.max(SHORTEST).min(refresh));
    pause.mul_f64(1.0 - random / 10.0)
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
    fn a_look_comes_when_the_answer_says_and_never_later_than_the_operator() {
        let millis = |age: Option<u64>, refresh, random| {
            let age = age.map(Duration::from_secs);
            next_look(age, Duration::from_secs(refresh), random).as_millis()
        };
        assert_eq!(millis(None, 600, 0.0), 600_000);
        assert_eq!(millis(None, 600, 0.5), 570_000);
        assert_eq!(millis(None, 600, 1.0), 540_000);
        assert_eq!(millis(Some(60), 600, 0.0), 60_000);
        assert_eq!(millis(Some(0), 600, 0.0), 30_000);
        assert_eq!(millis(Some(601), 600, 0.0), 600_000);
        assert_eq!(millis(Some(u64::MAX), 600, 0.0), 600_000);
        // Whoever wants to know sooner does.
        assert_eq!(millis(Some(0), 5, 0.0), 5000);
        assert_eq!(millis(Some(3600), 5, 0.0), 5000);
    }
}
