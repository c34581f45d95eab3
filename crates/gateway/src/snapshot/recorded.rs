//! What of requests is recorded.

use std::time::Duration;

use http::HeaderName;
use weir_config::model::{self, Config};

/// What is recorded of requests.
pub(crate) struct Recorded {
    /// Whether there is an access log.
    pub(crate) access: bool,
    /// Whether requests that failed, were refused or took long are kept for the operator.
    pub(crate) notes: bool,
    /// What takes this long is noted.
    pub(crate) slow: Duration,
    /// Whether there is anything that shows more than counters.
    pub(crate) anything: bool,
    pub(crate) sample: model::Share,
    pub(crate) query: bool,
    pub(crate) headers: Vec<HeaderName>,
}

impl Recorded {
    pub(super) fn of(config: &Config) -> Self {
        let log = &config.log;
        let kept = &config.admin.requests;
        let notes = kept.noted > 0;
        let exports = config.tracing.is_some() && config.otlp.is_some();
        Self {
            access: log.access,
            notes,
            slow: kept.slow.unwrap_or(Duration::MAX),
            anything: log.access || notes || exports,
            sample: log.sample,
            query: log.query,
            headers: log.headers.clone(),
        }
    }
}
