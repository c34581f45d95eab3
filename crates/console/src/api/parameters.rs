//! Parts of the path, the query and the head that many endpoints have.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path as AxumPath, Query as AxumQuery};
use axum::http::StatusCode;
use axum::http::header::IF_NONE_MATCH;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Type};
use utoipa::{IntoParams, openapi};

use crate::precondition::{Expected, expected_version};
use crate::problem::{FieldError, Problem};

/// Parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(AxumPath), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

impl From<PathRejection> for Problem {
    /// Segments that are no text name nothing.
    fn from(_: PathRejection) -> Self {
        Self::not_found()
    }
}

/// The query of what is no list.
#[derive(FromRequestParts)]
#[from_request(via(AxumQuery), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(vec![FieldError {
            pointer: "query".to_owned(),
            detail: in_words(&rejection.body_text()),
        }])
    }
}

/// What is wrong with a query, for who does not know the library that reads it.
pub(crate) fn in_words(text: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("Failed to deserialize query string: ", ""),
        ("invalid digit found in string", "must be a whole number"),
        (
            "cannot parse integer from empty string",
            "must be a whole number",
        ),
        ("number too large to fit in target type", "is too large"),
        ("number too small to fit in target type", "is too small"),
        (
            "provided string was not `true` or `false`",
            "must be `true` or `false`",
        ),
    ];
    let plain = |text: String, (theirs, ours): &(&str, &str)| text.replace(theirs, ours);
    WORDS.iter().fold(text.to_owned(), plain)
}

/// Which organization.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InOrganization {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    pub(crate) organization: String,
}

/// On which version a change is made; `If-Match` says so.
#[derive(Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Expected);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        expected_version(&parts.headers).map(Self)
    }
}

impl IfMatch {
    /// The version, if one was named.
    pub(crate) const fn version(self) -> Option<i64> {
        self.0.version()
    }

    /// Makes a change of what was just read. If somebody else changes it between the reading and the
    /// writing, it is made again on what is there then, unless the client named a version.
    ///
    /// # Errors
    /// Those of the change.
    pub(crate) async fn on_latest<T, C>(self, change: impl Fn() -> C) -> Result<T, Problem>
    where
        C: Future<Output = Result<T, Problem>>,
    {
        const ATTEMPTS: u32 = 20;
        for _ in 0..ATTEMPTS {
            match change().await {
                Err(problem) if self.0 == Expected::Any && problem.is_stale() => {}
                outcome => return outcome,
            }
        }
        Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "It is changed by many at the moment; send the request again.",
        ))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(openapi::Required::False)
            .description(Some(
                "The `ETag` of the version to change; with any other version, nothing is changed.",
            ))
            .schema(Some(schema));
        vec![parameter.build()]
    }
}

/// Whether something is to be made only if it is not there yet: `If-None-Match: *` says so (RFC 9110 §13.1.2).
#[derive(Clone, Copy)]
pub(crate) struct IfNoneMatch(pub(crate) bool);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut fields = parts.headers.get_all(IF_NONE_MATCH).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Ok(Self(false)),
            (Some(field), None) if field == "*" => Ok(Self(true)),
            _ => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "If-None-Match is understood as `*` alone: make it only if it is not there yet.",
            )),
        }
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .required(openapi::Required::False)
            .description(Some("`*`: make it only if it is not there yet."))
            .schema(Some(schema));
        vec![parameter.build()]
    }
}
