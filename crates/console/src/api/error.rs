//! What went wrong with people and organizations, as answers.

use axum::http::StatusCode;
use weir_authorization::Fault;
use weir_identity::Error;

use crate::problem::{FieldError, Problem};

/// Seconds after which there may be room for one more.
pub(super) const SOON: u16 = 1;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            // Of what it is missing, is nobody's to know.
            Error::Missing(_) => Self::not_found(),
            Error::Taken(field) => Self::new(
                StatusCode::CONFLICT,
                "taken",
                format!("Another one has this {field} already."),
            )
            .at(FieldError {
                pointer: pointer(field),
                detail: "is taken".to_owned(),
            }),
            Error::TakenInTrash(field) => Self::new(
                StatusCode::CONFLICT,
                "taken",
                format!(
                    "One in the trash has this {field}, and keeps it: bring that back, or remove it for good."
                ),
            )
            .at(FieldError {
                pointer: pointer(field),
                detail: "is taken by one in the trash".to_owned(),
            }),
            Error::Stale { version } => Self::stale(version),
            Error::Forbidden(why) => Self::new(StatusCode::FORBIDDEN, "forbidden", sentence(why)),
            Error::Invalid { field, why } => Self::invalid(vec![FieldError {
                pointer: pointer(field),
                detail: why,
            }]),
            Error::InvalidPolicy(faults) => Self::invalid(faults.iter().map(fault).collect()),
            Error::Conflict(why) => Self::new(StatusCode::CONFLICT, "conflict", sentence(why)),
            error @ Error::LastOwner(_) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                sentence(&error.to_string()),
            ),
            // The same for everybody and each address: it tells of the installation, not of who is known to it.
            Error::NoMail => Self::new(
                StatusCode::CONFLICT,
                "no_mail",
                "No mail leaves this installation. Whoever runs it hands a link over, by `weir user reset-link`, \
                 or states a mail server under `mail` in the configuration.",
            ),
            Error::Suspended => Self::suspended(),
            Error::Refused(why) => Self::new(StatusCode::FORBIDDEN, "refused", sentence(why)),
            Error::Throttled { retry_after } => {
                let seconds = retry_after.as_secs_f64().ceil().max(1.0);
                Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "throttled",
                    "Too many attempts; wait before the next one.",
                )
                .retry_after(seconds as u16)
            }
            Error::Busy(what) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("Too much of this is under way at the moment ({what}); ask again."),
            )
            .retry_after(SOON),
            Error::WrongKey => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "wrong_installation_key",
                "The installation key of this node is not the one that these records were begun with: \
                 copy `installation.key` from the data directory of the first node, or set `records.key`, \
                 and start this node again.",
            ),
            Error::Unavailable(error) | Error::Unknown(error) => error.into(),
            Error::Internal(error) => {
                tracing::error!(error = in_full(&*error), "the admin API failed");
                Self::internal()
            }
        }
    }
}

/// Where in a body a field is (RFC 6901); parameters of the query are named as they are.
fn pointer(field: &str) -> String {
    match field {
        "limit" | "cursor" | "sort" => field.to_owned(),
        _ => format!("/{}", field.replace('.', "/")),
    }
}

/// A mistake in an access policy, with its place in the text.
fn fault(fault: &Fault) -> FieldError {
    let Fault {
        policy,
        line,
        column,
        text,
        help,
    } = fault;
    let help = help
        .as_ref()
        .map(|help| format!("; {help}"))
        .unwrap_or_default();
    FieldError {
        pointer: "/text".to_owned(),
        detail: format!("{policy}, line {line}, column {column}: {text}{help}"),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).chain(['.']).collect()
}

fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn each_error_has_its_status() {
        let status = |error: Error| Problem::from(error).into_response().status().as_u16();
        assert_eq!(status(Error::Missing("user")), 404);
        assert_eq!(status(Error::Taken("slug")), 409);
        assert_eq!(status(Error::TakenInTrash("slug")), 409);
        assert_eq!(status(Error::Stale { version: 3 }), 412);
        assert_eq!(status(Error::Forbidden("x")), 403);
        assert_eq!(status(Error::Conflict("x")), 409);
        assert_eq!(status(Error::LastOwner(vec!["acme".to_owned()])), 409);
        assert_eq!(status(Error::NoMail), 409);
        assert_eq!(status(Error::Suspended), 409);
        assert_eq!(status(Error::Refused("x")), 403);
        assert_eq!(status(Error::Busy("mail")), 503);
        assert_eq!(status(Error::WrongKey), 503);
        assert_eq!(status(Error::Internal("x".into())), 500);
        let retry_after = Duration::from_millis(1_200);
        let throttled = Problem::from(Error::Throttled { retry_after }).into_response();
        assert_eq!(throttled.status(), 429);
        assert_eq!(throttled.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn fields_are_pointed_at() {
        assert_eq!(
            pointer("settings.branding.logo_url"),
            "/settings/branding/logo_url"
        );
        assert_eq!(pointer("cursor"), "cursor");
        assert_eq!(sentence("the link was used"), "The link was used.");
    }
}
