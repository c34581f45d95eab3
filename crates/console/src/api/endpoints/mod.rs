//! The endpoints, a file for each kind of thing.
#![allow(
    unused_qualifications,
    reason = "the macros that describe endpoints qualify what they name"
)]

mod access_policies;
mod api_keys;
mod audit;
mod invitations;
mod joining;
mod leaked_keys;
mod letters;
mod me;
mod members;
mod openapi;
mod organizations;
mod resources;
mod revisions;
mod roles;
mod setup;
mod sign_in;
mod signing_keys;
mod tokens;
mod trash;
mod users;

use utoipa_axum::router::OpenApiRouter;

use super::services::Services;

/// All of them.
pub(super) use leaked_keys::SignedReports;

pub(super) fn all() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .merge(openapi::router())
        .merge(setup::router())
        .merge(sign_in::router())
        .merge(letters::router())
        .merge(me::router())
        .merge(organizations::router())
        .merge(resources::router())
        .merge(revisions::router())
        .merge(members::router())
        .merge(roles::router())
        .merge(invitations::router())
        .merge(joining::router())
        .merge(api_keys::router())
        .merge(leaked_keys::router())
        .merge(access_policies::router())
        .merge(audit::router())
        .merge(users::router())
        .merge(trash::router())
        .merge(tokens::router())
        .merge(signing_keys::router())
}
