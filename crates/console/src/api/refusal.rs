//! What went wrong with revisions, as answers.

use axum::http::StatusCode;
use weir_config::ResourceName;
use weir_revisions::Error;

use super::error::SOON;
use crate::problem::{FieldError, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing(_) => Self::not_found(),
            Error::NoResource(resource) => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("There is no {resource}."),
            )
            .with("resource", named(&resource)),
            Error::Stale { latest } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "Another revision was made since; look at it before making the next one.",
            )
            .with("latest", latest),
            Error::Precondition { resource, revision } => {
                let problem = match revision {
                    Some(revision) => Self::stale(revision),
                    None => Self::new(
                        StatusCode::PRECONDITION_FAILED,
                        "stale",
                        format!("There is no {resource}."),
                    ),
                };
                problem.with("resource", named(&resource))
            }
            Error::Invalid { field, why } => Self::invalid(vec![FieldError {
                pointer: format!("/{field}"),
                detail: why,
            }]),
            Error::Refused(report) => {
                let mut problem = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "configuration_refused",
                    "With this change the configuration would not load; `diagnostics` says why.",
                );
                // For people, as `weir check` prints it.
                problem = problem.with("message", report.render(false));
                let report = report.to_json();
                for member in ["diagnostics", "omitted"] {
                    problem = problem.with(member, report[member].clone());
                }
                problem
            }
            Error::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Other revisions are being made; ask again.",
            )
            .retry_after(SOON),
            Error::Unavailable(error) | Error::Unknown(error) => error.into(),
            Error::Internal(error) => {
                tracing::error!(%error, "the admin API failed");
                Self::internal()
            }
        }
    }
}

/// What belongs to the file is not the API's to change.
pub(crate) fn file_owned(resource: &ResourceName) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "file_owned",
        format!("The configuration file of this node has the {resource}: change it there."),
    )
    .with("resource", named(resource))
}

fn named(resource: &ResourceName) -> serde_json::Value {
    serde_json::json!({ "kind": resource.kind, "name": resource.name })
}
