//! The admin API: what its endpoints have in common (errors, credentials, preconditions, pages), and
//! the endpoints over records.
//!
//! It serves no connections and knows no data plane; the server adds what belongs to the running
//! process and puts both behind one listener.
//!
//! # To add an endpoint
//!
//! ```text
//! /// Show a role
//! #[utoipa::path(get, path = "/v1/organizations/{organization}/roles/{role}", tag = "roles",
//!     params(InOrganization, OfRole),
//!     responses((status = 200, description = "The role.", body = Role)))]
//! async fn show_role(guard: Guard, Path(path): Path<(…)>) -> Result<Response, Problem> {
//!     let organization = guard.organization(&path.organization, Permission::RoleRead).await?;
//!     let role = guard.identity().role(&organization.id, &path.role).await?;
//!     Ok(shown(role.version, &role))
//! }
//! ```
//!
//! 1. A file in `api/endpoints/` for each kind of thing, with a `router()` that `endpoints/mod.rs`
//!    merges. The function's name is the operation's id, so it says of what: `list_roles`.
//! 2. `Guard` comes first among the arguments: who has no credential hears nothing of the rest.
//!    `guard.organization(…)` finds the organization, asks for the permission, and refuses changes of a
//!    suspended one; `guard.platform(…)` asks on the platform; `guard.user()` is the person themselves,
//!    `guard.recent_user()` for what a stolen session must not do. Without a credential: `Visitor` in
//!    place of `Guard`, and `security(())` in the description.
//! 3. `Body<T>` reads JSON (`#[serde(deny_unknown_fields)]` on `T`), `Patch` a merge patch onto what can
//!    be changed, `IfMatch` the version; `update_organization` shows all three. `List<F>` reads a page's
//!    parameters; `list_organizations` shows it. `Path<T>` and `Query<T>` are those of
//!    `api/parameters.rs`, whose refusals are problems.
//! 4. Answers: `shown`, `created`, `told`, `done` of `api/answer.rs`, and `list.page(…)`. Errors of
//!    `weir_identity` and `weir_store` become problems by `?` (`api/error.rs`, `problem.rs`).
//! 5. In the description only what is particular: `request_body`, success, and conflicts in a sentence. Answers that many
//!    have (401, 403, 404, 412, 415, 422, 503 …) are added by `api/document.rs`.

mod api;
mod authenticate;
mod configuration;
mod cursor;
mod page;
mod pages;
mod people;
mod precondition;
mod problem;
mod site;
mod under_way;
mod well_known;

pub use api::{Lasting, Services, api, caller, caller_as};
pub use authenticate::{OperatorToken, Principal, bearer};
pub use configuration::{Configuration, Judge, Judged, LeftOut, Refused, Running};
pub use cursor::{BadCursor, CursorKey};
pub use page::Page;
pub use pages::{is_page, pages};
pub use people::People;
pub use precondition::{Expected, entity_tag, expected_version};
pub use problem::{FieldError, NOTHING_HERE, Problem, finish};
pub use site::{FromOwnPage, Site, keep_session};
pub use under_way::{OneRequest, UnderWay};
pub use well_known::well_known;
