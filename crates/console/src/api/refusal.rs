//! What went wrong with revisions, as answers.

use axum::http::StatusCode;
use weir_config::{Diagnostic, Report, ResourceName, Severity};
use weir_revisions::Error;

use super::error::SOON;
use super::making::writing;
use crate::authenticate::forbidden;
use crate::problem::{FieldError, Problem};

const OF_FILE: &str = "The configuration file of this node does not load with it. Whoever runs the node is told why by \
                       `weir check`.";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing(what) => Self::not_found().saying(format!("There is no such {what}.")),
            Error::NoResource(resource) => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("There is no {resource}."),
            )
            .with("resource", named(&resource)),
            Error::NotInTrash(resource) => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                format!("No {resource} is in the trash."),
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
            Error::Refused { report, .. } => refused(*report, |_| true),
            Error::NotLent { lender, through } => {
                let problem = forbidden(writing(lender.kind));
                let message = format!(
                    "With the {through}, secrets of the {lender} would be sent on: whoever may change the {lender} may do that."
                );
                problem
                    .with("message", message)
                    .with("resource", named(&lender))
            }
            Error::Busy(why) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("It cannot be done now: {why}; ask again."),
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

/// With a change the whole would not load. Of the warnings beside what is wrong, those that are of interest are told.
pub(super) fn refused(report: Report, is_of_interest: impl Fn(&Diagnostic) -> bool) -> Problem {
    let report = for_editors(report, is_of_interest);
    // For people, as `weir check` prints it.
    let message = match report.diagnostics.is_empty() {
        true => OF_FILE.to_owned(),
        false => report.render(false),
    };
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "configuration_refused",
        "With this change the configuration would not load; `diagnostics` says why.",
    );
    let mut problem = problem.with("message", message);
    let report = report.to_json();
    for member in ["diagnostics", "omitted"] {
        problem = problem.with(member, report[member].clone());
    }
    problem
}

/// What is wrong with resources, what refuses them first. Diagnostics of the file quote it, and are for whoever runs
/// the node.
fn for_editors(mut report: Report, is_of_interest: impl Fn(&Diagnostic) -> bool) -> Report {
    report.diagnostics.retain(|one| {
        one.resource.is_some() && (one.severity == Severity::Error || is_of_interest(one))
    });
    report.diagnostics.sort_by_key(|one| one.severity);
    report
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use weir_config::{Document, LoadOptions, ResourceKind, Resources, load_text};

    use super::*;

    #[test]
    fn editors_hear_of_resources_and_nothing_of_the_file() {
        let document = Document {
            id: ResourceName::new(ResourceKind::Route, "a").unwrap(),
            text: r#"{"name": "a", "upstream": "nobody"}"#.into(),
        };
        let options = LoadOptions {
            resources: Some(Arc::new(Resources::new(1, vec![document]))),
            ..LoadOptions::default()
        };
        let file = "listeners: [{address: 127.0.0.1:8080}]\nadmin: {address: 0.0.0.0:9900}\n";
        let report = load_text(file, "weir.yaml", Path::new("."), &options).unwrap_err();
        let of_file = |report: &Report| {
            let diagnostics = report.diagnostics.iter();
            diagnostics.filter(|one| one.resource.is_none()).count()
        };
        assert_eq!((report.diagnostics.len(), of_file(&report)), (2, 1));
        let report = for_editors(report, |_| true);
        assert_eq!((report.diagnostics.len(), of_file(&report)), (1, 0));
        assert!(!report.render(false).contains("weir.yaml"));
    }
}
