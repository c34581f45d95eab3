//! Failures of commands for programs: problem details (RFC 9457), as the admin listener answers them.

use serde_json::{Value, json};
use weir_config::Report;

use crate::admin_client::{AdminError, Refusal};

/// Why a command failed. `reason` is a stable word; there is no `status`, since there was no answer.
pub(crate) fn problem(error: &anyhow::Error) -> Value {
    if let Some(problem) = error.downcast_ref::<Refusal>().and_then(Refusal::problem) {
        return problem.clone();
    }
    if let Some(report) = error.downcast_ref::<Report>() {
        let detail = "The configuration cannot be used.";
        let mut problem = members("configuration_rejected", "Configuration Rejected", detail);
        problem["message"] = report.render(false).into();
        problem["diagnostics"] = json!(report.diagnostics);
        return problem;
    }
    let detail = format!("{error:#}");
    match error.downcast_ref::<AdminError>() {
        Some(_) => members("no_answer", "No Answer", &detail),
        None => members("failed", "Failed", &detail),
    }
}

fn members(reason: &str, title: &str, detail: &str) -> Value {
    json!({
        "type": format!("urn:weir:problem:{reason}"),
        "title": title,
        "detail": detail,
        "reason": reason,
    })
}
