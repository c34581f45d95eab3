//! Resources in the trash of the platform. Each kind is for those who may read, or change, that kind.

use axum::response::Response;
use weir_config::ResourceKind;
use weir_core::Id;
use weir_identity::{Key, Listing, Page, Position, Trashed};
use weir_revisions::{Discarded, PREFIX, Proposal, RETENTION, What};
use weir_store::records::Value;

use crate::api::answer::done;
use crate::api::guard::Guard;
use crate::api::making::{author, make, reading, writing};
use crate::api::services::Services;
use crate::problem::Problem;

/// Whether something of this identifier is a resource.
pub(super) fn is_one(id: &Id) -> bool {
    id.prefix() == PREFIX
}

/// One more than a page, so that it is known whether there are more.
pub(super) async fn page(
    guard: &Guard,
    services: &Services,
    listing: &Listing,
) -> Result<Vec<Trashed>, Problem> {
    let rights = guard.platform_rights();
    let kinds = ResourceKind::ALL.into_iter();
    let wanted = Discarded {
        kinds: kinds.filter(|kind| rights.has(reading(*kind))).collect(),
        prefix: String::new(),
        after: listing.after.as_ref().map(|position| {
            let key = match &position.key {
                Key::Time(time) => Value::from(*time),
                Key::Text(text) => Value::from(text),
            };
            [key, Value::from(&position.id)]
        }),
        descending: listing.descending,
        limit: i64::from(listing.limit) + 1,
    };
    let found = services.configuration().revisions.trashed(&wanted).await?;
    let shown = found.into_iter().filter_map(|one| {
        let deleted_at = one.resource.deleted_at?;
        Some(Trashed {
            kind: one.resource.name.kind.name(),
            id: one.id,
            name: Some(one.resource.name.name),
            deleted_at,
            purged_at: deleted_at.checked_add(RETENTION).ok()?,
        })
    });
    Ok(shown.collect())
}

/// Both, in the order of the list.
pub(super) fn merged(
    found: Page<Trashed>,
    resources: Vec<Trashed>,
    listing: &Listing,
) -> Page<Trashed> {
    let limit = listing.limit as usize;
    let mut items = found.items;
    let has_more = found.next.is_some() || items.len() + resources.len() > limit;
    items.extend(resources);
    items.sort_unstable_by(|one, other| {
        let order = (one.deleted_at, &one.id).cmp(&(other.deleted_at, &other.id));
        match listing.descending {
            true => order.reverse(),
            false => order,
        }
    });
    items.truncate(limit);
    let last = items.last().filter(|_| has_more);
    let next = last.map(|last| Position {
        key: Key::Time(last.deleted_at.as_microsecond()),
        id: last.id.clone(),
    });
    Page { items, next }
}

/// It makes a revision.
pub(super) async fn restore(
    guard: &Guard,
    services: &Services,
    id: &Id,
) -> Result<Response, Problem> {
    let resource = services.configuration().revisions.discarded(id).await?;
    let proposal = Proposal {
        what: What::Restore(resource, Some(id.clone())),
        comment: String::new(),
        expected: None,
        dry_run: false,
    };
    make(guard, services, proposal).await?;
    Ok(done())
}

pub(super) async fn purge(
    guard: &Guard,
    services: &Services,
    id: &Id,
) -> Result<Response, Problem> {
    let revisions = &services.configuration().revisions;
    guard.platform(writing(revisions.discarded(id).await?.kind))?;
    revisions.purge_one(&author(guard), id).await?;
    Ok(done())
}
