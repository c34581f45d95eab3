//! The health of a target, as `/v1/upstreams` tells it.

use serde::Serialize;
use weir_gateway::{ChecksReport, HealthReport};

use crate::log::timestamp::rfc3339;

#[derive(Serialize)]
pub(super) struct Health {
    state: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// End of the ejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    ejections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Serialize)]
struct Checks {
    passed: u64,
    failed: u64,
    /// Null before the first answer.
    last: Option<Last>,
}

#[derive(Serialize)]
struct Last {
    at: String,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
}

impl From<HealthReport> for Health {
    fn from(report: HealthReport) -> Self {
        Self {
            state: report.state.name(),
            since: rfc3339(report.since),
            reason: report.reason,
            until: report.until.map(rfc3339),
            ejections: report.ejections,
            checks: report.checks.map(Checks::from),
        }
    }
}

impl From<ChecksReport> for Checks {
    fn from(report: ChecksReport) -> Self {
        let last = report.last.map(|answer| Last {
            at: rfc3339(answer.at),
            // Microseconds are as fine as anyone reads.
            took_ms: answer.took.as_micros() as f64 / 1e3,
            wrong: answer.wrong,
        });
        Self {
            passed: report.passed,
            failed: report.failed,
            last,
        }
    }
}
