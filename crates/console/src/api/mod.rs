//! The endpoints over records, and what they have in common.

mod access;
mod answer;
mod asked;
mod audit;
mod body;
mod document;
mod endpoints;
mod error;
mod guard;
mod idempotency;
mod list;
mod making;
mod parameters;
mod refusal;
mod relevant;
mod services;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;

use idempotency::Idempotency;

pub use audit::Lasting;
pub(crate) use guard::RECENT;
pub use guard::{caller, caller_as};
pub use services::Services;

/// The endpoints, and the document that describes them.
///
/// The router expects a `RequestId` and the client's `ConnectInfo` among a request's extensions.
pub fn api(services: Services) -> (Router, OpenApi) {
    let (endpoints, document) = endpoints::all().split_for_parts();
    let endpoints = endpoints.with_state(services.clone());
    let idempotency = Idempotency::new(services, endpoints.clone());
    let router = endpoints.route_layer(from_fn_with_state(idempotency, idempotency::once));
    (router, document::complete(document))
}
