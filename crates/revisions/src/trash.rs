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
use crate::resource::Resource;
use crate::{RESOURCES, Revisions};

impl Revisions {
    /// Deleted resources of a kind, the latest first.
    pub async fn trashed(&self, kind: ResourceKind, limit: i64) -> Result<Vec<Resource>> {
        let platform = TenantId::platform();
        let select = RESOURCES
            .of(&platform)
            .select()
            .trashed()
            .filter("kind = ?", [kind.name()])
            .order(["deleted_at", "id"])
            .descending(true)
            .limit(limit);
        Resource::all(&self.records.all(select).await?)
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
