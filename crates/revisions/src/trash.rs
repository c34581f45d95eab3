//! Resources that were deleted: seen, and removed for good after their time. What brings one back is a
//! revision like any other ([`What::Restore`](crate::What::Restore)).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use weir_config::{ResourceKind, ResourceName};
use weir_core::{Id, TenantId};
use weir_store::audit::{Change, Subject};
use weir_store::records::{Scope, Value};

use crate::author::Author;
use crate::error::{Error, Result};
use crate::resource::{Resource, beginning_with, name_of};
use crate::{RESOURCES, Revisions};

/// How long what was deleted can be brought back, as with everything that is deleted.
pub const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// What identifiers of resources begin with.
pub const PREFIX: &str = "res";

/// Which deleted resources are wanted.
#[derive(Clone, Debug)]
pub struct Discarded {
    /// Of which kinds.
    pub kinds: Vec<ResourceKind>,
    /// Those whose name begins with this.
    pub prefix: String,
    /// Behind the one of this place.
    pub after: Option<[Value; 2]>,
    /// The latest first.
    pub descending: bool,
    /// How many at most.
    pub limit: i64,
}

/// A deleted resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Trashed {
    /// By which it is told from others that had its name.
    pub id: Id,
    /// As it was.
    pub resource: Resource,
    /// Where it stands in the list.
    pub place: [Value; 2],
}

impl Revisions {
    /// Deleted resources, by the time of it.
    pub async fn trashed(&self, discarded: &Discarded) -> Result<Vec<Trashed>> {
        let Some(first) = discarded.kinds.first() else {
            return Ok(Vec::new());
        };
        // One query, however many they are.
        let kinds = ResourceKind::ALL.map(|kind| match discarded.kinds.contains(&kind) {
            true => kind.name(),
            false => first.name(),
        });
        let platform = TenantId::platform();
        let mut select = RESOURCES
            .of(&platform)
            .select()
            .trashed()
            .filter("kind IN (?, ?, ?, ?)", kinds)
            .order(["deleted_at", "id"])
            .descending(discarded.descending)
            .limit(discarded.limit);
        if let Some(bounds) = beginning_with(&discarded.prefix)? {
            select = select.filter("name >= ? AND name < ?", bounds);
        }
        if let Some(after) = &discarded.after {
            select = select.after(after.clone());
        }
        let rows = self.records.all(select).await?;
        let resources = Resource::all(&rows)?;
        let trashed = rows.iter().zip(resources).map(|(row, resource)| {
            let id = row.id("id")?;
            Ok(Trashed {
                resource,
                place: [row.time("deleted_at")?.into(), (&id).into()],
                id,
            })
        });
        trashed.collect()
    }

    /// What was deleted and is called so.
    ///
    /// # Errors
    /// [`Error::Missing`] if nothing in the trash is.
    pub async fn discarded(&self, id: &Id) -> Result<ResourceName> {
        let platform = TenantId::platform();
        let select = RESOURCES.of(&platform).select().trashed().with_id(id);
        let row = self.records.first(select).await?;
        row.as_ref()
            .map_or(Err(Error::Missing("deleted thing")), name_of)
    }

    /// Removes one for good, before its time.
    ///
    /// # Errors
    /// [`Error::Missing`] if it is not in the trash.
    pub async fn purge_one(&self, author: &Author, id: &Id) -> Result<()> {
        let platform = TenantId::platform();
        let rows = RESOURCES.of(&platform);
        let mut write = self.records.write(&Scope::Platform).await?;
        let row = write.first(rows.select().trashed().with_id(id)).await?;
        let ResourceName { kind, name } = row
            .as_ref()
            .map_or(Err(Error::Missing("deleted thing")), name_of)?;
        write.purge(rows, "id = ?", [id]).await?;
        let mut before = Map::new();
        before.insert("kind".to_owned(), Json::from(kind.name()));
        before.insert("name".to_owned(), Json::from(name));
        let change = Change {
            before,
            after: Map::new(),
        };
        let subject = Subject {
            kind: "resource",
            id: Some(id.clone()),
        };
        let entry = author.entry("resource.purge", subject, change);
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Removes for good what has been in the trash for longer than `retention`; tells how many they were.
    pub async fn purge(&self, author: &Author, retention: Duration) -> Result<u64> {
        let before = Timestamp::now()
            .checked_sub(retention)
            .map_err(Error::internal)?;
        let platform = TenantId::platform();
        let rows = RESOURCES.of(&platform);
        let old = rows.select().trashed();
        let old = old.filter("deleted_at < ?", [before]);
        if self.records.first(old).await?.is_none() {
            return Ok(0);
        }
        let mut write = self.records.write(&Scope::Platform).await?;
        let purged = write
            .purge(rows, "deleted_at < ?", [Value::from(before)])
            .await?;
        let mut before = Map::new();
        before.insert("resources".to_owned(), Json::from(purged));
        let change = Change {
            before,
            after: Map::new(),
        };
        let subject = Subject {
            kind: "resource",
            id: None,
        };
        let entry = author.entry("resource.purge", subject, change);
        write.commit(&Scope::Platform, &entry).await?;
        Ok(purged)
    }
}
