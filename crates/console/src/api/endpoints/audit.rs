//! What was done: pages of it, and all of it as an export.

use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::{Id, TenantId};
use weir_identity::Permission;
use weir_store::audit::{Query, Recorded};
use weir_store::records::Value;

use crate::api::audit::{AuditEntry, Form, export};
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::parameters::{InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::{FieldError, Problem};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_audit))
        .routes(routes!(list_platform_audit))
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Entries {
    /// What was done by this person.
    actor: Option<Id>,
    /// What was done to this one.
    subject: Option<Id>,
    /// Exactly this.
    #[param(example = "organization.suspend", pattern = "^[a-z_.]+$")]
    action: Option<String>,
    /// Not before this.
    #[param(example = "2026-01-01T00:00:00Z")]
    since: Option<Timestamp>,
    /// Before this.
    #[param(example = "2027-01-01T00:00:00Z")]
    until: Option<Timestamp>,
    /// In which form; without it, as `Accept` says. But for `json`, everything is sent at once.
    #[param(inline)]
    format: Option<Form>,
}

impl Listed for Entries {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("at", ())];
    const GREATEST_FIRST: bool = true;
}

/// List what was done in an organization
///
/// A page in JSON; with `Accept: application/x-ndjson` or `text/csv`, or with `format`, everything that
/// the filters let through, as it is read.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/audit",
    tag = "audit",
    params(InOrganization, List<Entries>),
    responses((
        status = 200,
        description = "The entries; in CSV the first line names the fields.",
        content(
            (Page<AuditEntry> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )
    ))
)]
async fn list_audit(
    guard: Guard,
    Path(path): Path<InOrganization>,
    headers: HeaderMap,
    list: List<Entries>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::AuditRead)
        .await?;
    answer(&guard, organization.id, &headers, &list).await
}

/// List what was done on the platform
///
/// In the same forms as that of an organization.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(List<Entries>),
    responses((
        status = 200,
        description = "The entries; in CSV the first line names the fields.",
        content(
            (Page<AuditEntry> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )
    ))
)]
async fn list_platform_audit(
    guard: Guard,
    headers: HeaderMap,
    list: List<Entries>,
) -> Result<Response, Problem> {
    guard.platform(Permission::AuditRead)?;
    answer(&guard, TenantId::platform(), &headers, &list).await
}

async fn answer(
    guard: &Guard,
    tenant: TenantId,
    headers: &HeaderMap,
    list: &List<Entries>,
) -> Result<Response, Problem> {
    let query = query(list)?;
    let form = list
        .filter
        .format
        .unwrap_or_else(|| Form::accepted(headers));
    if form != Form::Json {
        return export(guard.identity(), tenant, query, form).await;
    }
    let limit = list.limit as usize;
    // One more, to know whether there is more.
    let entries = guard.identity().audit(&tenant, &query, list.limit + 1);
    let mut entries = entries.await?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| has_more);
    let next = last.map(|last: &Recorded| vec![Value::from(last.sequence)]);
    Ok(list.answer(entries.into_iter().map(AuditEntry::from).collect(), next))
}

fn query(list: &List<Entries>) -> Result<Query, Problem> {
    let after = match list.after.as_slice() {
        [] => None,
        [Value::Int(Some(sequence))] => Some(*sequence),
        _ => return Err(invalid("cursor", "is of another list")),
    };
    let filter = &list.filter;
    let is_word = |action: &String| {
        let is_of_word = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
        !action.is_empty() && action.bytes().all(is_of_word)
    };
    if !filter.action.as_ref().is_none_or(is_word) {
        return Err(invalid(
            "action",
            "must be words, such as organization.suspend",
        ));
    }
    Ok(Query {
        actor: filter.actor.as_ref().map(ToString::to_string),
        subject: filter.subject.as_ref().map(ToString::to_string),
        action: filter.action.clone(),
        since: filter.since,
        until: filter.until,
        oldest_first: !list.descending,
        after,
    })
}

fn invalid(parameter: &str, detail: &str) -> Problem {
    Problem::invalid(vec![FieldError {
        pointer: parameter.to_owned(),
        detail: detail.to_owned(),
    }])
}
