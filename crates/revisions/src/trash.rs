//! Resources that were deleted: seen, and removed for good after their time. What brings one back is a
//! revision like any other ([`What::Restore`](crate::What::Restore)).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use weir_config::ResourceKind;
use weir_core::TenantId;
use weir_store::audit::{Change, Subject};
use weir_store::records::{Scope, Value};

use crate::author::Author;
use crate::error::{Error, Result};
use crate::resource::{Resource, beginning_with};
use crate::{RESOURCES, Revisions};

/// Which deleted resources are wanted.
#[derive(Clone, Debug)]
pub struct Discarded {
    /// Of which kind.
    pub kind: ResourceKind,
    /// Those whose name begins with this.
    pub prefix: String,
    /// Behind the one of this place.
    pub after: Option<[Value; 2]>,
    /// How many at most.
    pub limit: i64,
}

/// A deleted resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Trashed {
    /// As it was.
    pub resource: Resource,
    /// Where it stands in the list.
    pub place: [Value; 2],
}

impl Revisions {
    /// Deleted resources, the latest first.
    pub async fn trashed(&self, discarded: &Discarded) -> Result<Vec<Trashed>> {
        let platform = TenantId::platform();
        let mut select = RESOURCES
            .of(&platform)
            .select()
            .trashed()
            .filter("kind = ?", [discarded.kind.name()])
            .order(["deleted_at", "id"])
            .descending(true)
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
            Ok(Trashed {
                resource,
                place: [row.time("deleted_at")?.into(), (&row.id("id")?).into()],
            })
        });
        trashed.collect()
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
