//! The document about all endpoints.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::document::{self, Forms};
use crate::api::parameters::Query;
use crate::api::services::Services;
use crate::authenticate::Principal;
use crate::problem::Problem;

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let document = super::all().into_openapi();
    Forms::of(&document::complete(document))
});

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default().routes(routes!(show_openapi))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Form {
    /// The version of OpenAPI: 3.1, or 3.0 for tools that do not know it.
    #[param(example = "3.0")]
    version: Option<String>,
}

/// Show this document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "api",
    params(Form),
    responses((status = 200, description = "The document.", body = serde_json::Value))
)]
async fn show_openapi(_: Principal, Query(form): Query<Form>) -> Result<Response, Problem> {
    let text = FORMS.text(form.version.as_deref())?;
    let media_type = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, media_type)], text).into_response())
}
