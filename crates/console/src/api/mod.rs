//! The endpoints over records, and what they have in common.

mod answer;
mod audit;
mod body;
mod document;
mod endpoints;
mod error;
mod guard;
mod list;
mod making;
mod parameters;
mod refusal;
mod services;

use axum::Router;
use utoipa::openapi::OpenApi;

pub use audit::Lasting;
pub use services::Services;

/// The endpoints, and the document that describes them.
///
/// The router expects a `RequestId` and the client's `ConnectInfo` among a request's extensions.
pub fn api(services: Services) -> (Router, OpenApi) {
    let (router, document) = endpoints::all().split_for_parts();
    (router.with_state(services), document::complete(document))
}
