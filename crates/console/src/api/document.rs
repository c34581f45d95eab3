//! The OpenAPI document: what every endpoint has in common is said here, once.

mod older;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::path::{
    HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::problem::{Details, FieldError, Problem};

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// Answers of many endpoints: status, name in the document, when.
const COMMON: &[(u16, &str)] = &[
    (
        400,
        "The request cannot be read: not JSON, or not one valid `Host`.",
    ),
    (401, "There is no credential, or it is not good any more."),
    (
        403,
        "The caller may not do this; `reason` and `permission` say why. Of organizations that the caller may not even see, 404 is said.",
    ),
    (404, "There is no such thing, or not for this caller."),
    (408, "The body did not arrive in time."),
    (
        409,
        "The request contradicts how things are, or its `Idempotency-Key` is in use.",
    ),
    (412, "It has another version than `If-Match` says."),
    (413, "The body is larger than 1 MiB."),
    (415, "The body is not `application/json`."),
    (
        422,
        "Parts of the request are not valid; `errors` says which.",
    ),
    (
        429,
        "Too many attempts; `Retry-After` says when to try again.",
    ),
    (
        431,
        "The head, its path and query included, is larger than 16 KiB or has more than 100 fields.",
    ),
    (
        500,
        "Something failed that should not have; the log says what.",
    ),
    (
        503,
        "Records cannot be reached for now, or too much is under way; `Retry-After` says when to ask again.",
    ),
];

/// Adds what is true of all endpoints.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Weir admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Organizations, people and what they do, over the records of one installation.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    document.security = Some(vec![
        SecurityRequirement::new(BEARER, [""; 0]),
        SecurityRequirement::new(API_KEY, [""; 0]),
    ]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(
                    "The token of a session, an API key, or the operator's token.",
                ))
                .build(),
        ),
    );
    let api_key = ApiKeyValue::with_description("X-Api-Key", "An API key.");
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(api_key)));
    for (name, schema) in [
        (Details::name(), Details::schema()),
        (FieldError::name(), FieldError::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    for (status, about) in COMMON {
        components
            .responses
            .insert(name(*status), problem(about).into());
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(path, &method, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let changes = *method != HttpMethod::Get;
    let parameters = || {
        let all = operation.parameters.iter().flatten();
        all.filter_map(|one| match one {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
    };
    let has_query = parameters().any(|one| one.parameter_in == ParameterIn::Query);
    let has_if_match = parameters().any(|one| one.name == "If-Match");
    let is_open = operation.security.is_some();
    let has_body = operation.request_body.is_some();
    let mut statuses = vec![400, 403, 431, 500, 503];
    statuses.extend((!is_open).then_some(401));
    statuses.extend(path.contains('{').then_some(404));
    statuses.extend(changes.then_some(415));
    statuses.extend(has_if_match.then_some(412));
    let has_key = *method == HttpMethod::Post && !is_open;
    statuses.extend((has_query || has_body || has_key).then_some(422));
    statuses.extend(has_key.then_some(409));
    statuses.extend(is_open.then_some(429));
    if has_body || has_key {
        statuses.extend([408, 413]);
    }
    if has_key {
        let key = RefOr::T(idempotency_key());
        operation.parameters.get_or_insert_default().push(key);
    }
    let responses = &mut operation.responses.responses;
    for status in statuses {
        let reference = Ref::from_response_name(name(status));
        responses
            .entry(status.to_string())
            .or_insert(RefOr::Ref(reference));
    }
    // What an endpoint says of its own failures is a sentence; their form is always the same.
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            *response = problem(&response.description);
        }
    }
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A new one for each request, such as a UUID: sent again with the same key within a day, the \
             request takes effect once and is answered as before.",
        ))
        .schema(Some(schema))
        .example(Some("8e03978e-40d5-43dd-bc93-6894a57f9324".into()))
        .build()
}

fn name(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    reason.unwrap_or_default().replace(' ', "")
}

fn problem(about: &str) -> Response {
    let schema = Ref::from_schema_name(Details::name());
    ResponseBuilder::new()
        .description(about)
        .content(weir_core::Problem::MEDIA_TYPE, Content::new(Some(schema)))
        .build()
}

/// The document as it is sent.
pub(super) struct Forms {
    latest: String,
    older: String,
}

impl Forms {
    pub(super) fn of(document: &OpenApi) -> Self {
        // Strings and numbers can always be written.
        let document = serde_json::to_value(document).unwrap_or(Value::Null);
        Self {
            latest: document.to_string(),
            older: older::of(document).to_string(),
        }
    }

    /// That of a version of OpenAPI; none means the latest.
    ///
    /// # Errors
    /// 422 for one that there is not.
    pub(super) fn text(&self, version: Option<&str>) -> Result<String, Problem> {
        match version {
            None | Some("3.1") => Ok(self.latest.clone()),
            Some("3.0") => Ok(self.older.clone()),
            Some(_) => Err(Problem::invalid(vec![FieldError {
                pointer: "version".to_owned(),
                detail: "must be 3.1 or 3.0".to_owned(),
            }])),
        }
    }
}
