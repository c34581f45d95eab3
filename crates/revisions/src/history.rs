//! Revisions that were made.

use weir_store::records::Value;

use crate::diff::{Difference, differences_between, hide_both, shown};
use crate::error::{Error, Result};
use crate::resource::latest;
use crate::revision::Revision;
use crate::{REVISIONS, Revisions};

impl Revisions {
    /// Revisions, the latest or the oldest first, behind the one of this number.
    pub async fn revisions(
        &self,
        after: Option<i64>,
        latest_first: bool,
        limit: i64,
    ) -> Result<Vec<Revision>> {
        let mut select = REVISIONS
            .rows()
            .select()
            .order(["number"])
            .descending(latest_first)
            .limit(limit);
        if let Some(after) = after {
            select = select.after([Value::from(after)]);
        }
        let rows = self.records.all(select).await?;
        rows.iter().map(Revision::of).collect()
    }

    /// A revision.
    pub async fn revision(&self, number: i64) -> Result<Revision> {
        let select = REVISIONS.rows().select().filter("number = ?", [number]);
        let row = self.records.first(select).await?;
        Revision::of(&row.ok_or(Error::Missing("revision"))?)
    }

    /// What is different in `to` from what was in `from`; 0 is before the first.
    pub async fn diff(&self, from: i64, to: i64) -> Result<Vec<Difference>> {
        let mut read = self.records.read().await?;
        let latest = latest(&mut read).await?.number;
        if !(0..=latest).contains(&from) || !(0..=latest).contains(&to) {
            return Err(Error::Missing("revision"));
        }
        let (first, last) = (from.min(to), from.max(to));
        let mut kept = differences_between(&mut read, &self.secrets, first, last).await?;
        hide_both(&mut kept);
        let differences = shown(&self.secrets, kept);
        Ok(match from <= to {
            true => differences,
            false => differences.into_iter().map(Difference::reversed).collect(),
        })
    }
}
