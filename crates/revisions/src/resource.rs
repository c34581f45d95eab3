//! Resources as they are wanted now.

use jiff::Timestamp;
use serde_json::Value as Json;
use weir_config::{Document, ResourceKind, ResourceName, Resources};
use weir_core::{Id, TenantId};
use weir_store::records::{Changes, Read, Row, Select, Value};

use crate::error::{Error, Result};
use crate::sealed::{Kept, hide, parse};
use crate::{RESOURCES, REVISIONS, Revisions};

/// A resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Which one.
    pub name: ResourceName,
    /// What the file would say, with `•••` in place of secrets.
    pub document: Json,
    /// The revision that changed it last.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when it is in the trash.
    pub deleted_at: Option<Timestamp>,
}

/// Which resources are wanted, by name.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of which kind.
    pub kind: ResourceKind,
    /// Those whose name begins with this.
    pub prefix: String,
    /// From this name on, itself included.
    pub from: Option<String>,
    /// The last name first.
    pub descending: bool,
    /// How many at most.
    pub limit: i64,
}

/// Which revision is the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// 0 before the first.
    pub number: i64,
    /// Tells revisions of one number apart: records that were restored from a backup count on from an
    /// earlier one.
    pub digest: String,
}

/// What a change has to know of a resource that is there.
pub(crate) struct There {
    pub(crate) id: Id,
    pub(crate) text: String,
    pub(crate) revision: i64,
}

/// One state of the records.
pub(crate) trait Reader {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>>;
}

impl Reader for Read {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        Ok(Self::all(self, select).await?)
    }
}

impl Reader for Changes {
    async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        Ok(Self::all(self, select).await?)
    }
}

impl Resource {
    pub(crate) fn all(rows: &[Row]) -> Result<Vec<Self>> {
        let kept = |row: &Row| Ok((name_of(row)?, parse(&row.text("document")?)?));
        let mut kept = rows.iter().map(kept).collect::<Result<Vec<_>>>()?;
        hide(kept.iter_mut().map(|(name, kept)| (&*name, kept)));
        let resource = |(row, (name, kept)): (&Row, (ResourceName, Kept))| {
            Ok(Self {
                name,
                document: kept.shown,
                revision: row.int("revision")?,
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
                deleted_at: row.optional_time("deleted_at")?,
            })
        };
        rows.iter().zip(kept).map(resource).collect()
    }
}

pub(crate) fn name_of(row: &Row) -> Result<ResourceName> {
    let kind = row.text("kind")?;
    let kind = ResourceKind::of_name(&kind)
        .ok_or_else(|| Error::internal(format!("a resource of the unknown kind {kind}")))?;
    Ok(ResourceName {
        kind,
        name: row.text("name")?,
    })
}

/// Everything that is there.
pub(crate) async fn there(reader: &mut impl Reader) -> Result<Vec<(ResourceName, There)>> {
    let select = RESOURCES.of(&TenantId::platform()).select();
    let rows = reader.all(select).await?;
    let there = |row: &Row| {
        let there = There {
            id: row.id("id")?,
            text: row.text("document")?,
            revision: row.int("revision")?,
        };
        Ok((name_of(row)?, there))
    };
    rows.iter().map(there).collect()
}

/// The latest revision.
pub(crate) async fn latest(reader: &mut impl Reader) -> Result<Latest> {
    let rows = reader.all(latest_select()).await?;
    Latest::of(rows.first())
}

fn latest_select() -> Select {
    let select = REVISIONS.rows().select().columns("number, digest");
    select.order(["number"]).descending(true).limit(1)
}

impl Latest {
    fn of(row: Option<&Row>) -> Result<Self> {
        let Some(row) = row else {
            return Ok(Self::default());
        };
        Ok(Self {
            number: row.int("number")?,
            digest: row.text("digest")?,
        })
    }
}

/// Between what names lie that begin with this; none if all do.
pub(crate) fn beginning_with(prefix: &str) -> Result<Option<[String; 2]>> {
    // No name has one, and no engine takes one.
    if prefix.contains('\0') {
        return Err(Error::invalid("name", "has characters that are not text"));
    }
    let end = || format!("{prefix}{}", char::MAX);
    Ok((!prefix.is_empty()).then(|| [prefix.to_owned(), end()]))
}

impl Revisions {
    /// The latest revision. As cheap as a question can be.
    pub async fn latest(&self) -> Result<Latest> {
        let row = self.records.first(latest_select()).await?;
        Latest::of(row.as_ref())
    }

    /// Everything that is wanted now, as it is kept: [`Secrets::open`](crate::Secrets::open) makes it
    /// something to use.
    pub async fn snapshot(&self) -> Result<Resources> {
        let mut read = self.records.read().await?;
        let latest = latest(&mut read).await?;
        let documents = there(&mut read).await?.into_iter();
        let documents = documents.map(|(id, there)| Document {
            id,
            text: there.text.into(),
        });
        Ok(Resources::new(latest.number, documents.collect()).with_digest(&latest.digest))
    }

    /// Resources of a kind, by name.
    pub async fn resources(&self, wanted: &Wanted) -> Result<Vec<Resource>> {
        let platform = TenantId::platform();
        let mut select = RESOURCES
            .of(&platform)
            .select()
            .filter("kind = ?", [wanted.kind.name()])
            .order(["name"])
            .descending(wanted.descending)
            .limit(wanted.limit);
        if let Some(bounds) = beginning_with(&wanted.prefix)? {
            select = select.filter("name >= ? AND name < ?", bounds);
        }
        if let Some(from) = &wanted.from {
            let condition = match wanted.descending {
                true => "name <= ?",
                false => "name >= ?",
            };
            select = select.filter(condition, [from]);
        }
        Resource::all(&self.records.all(select).await?)
    }

    /// A resource.
    pub async fn resource(&self, name: &ResourceName) -> Result<Resource> {
        let platform = TenantId::platform();
        let select = RESOURCES.of(&platform).select().filter(
            "kind = ? AND name = ?",
            [Value::from(name.kind.name()), Value::from(&name.name)],
        );
        let row = self.records.first(select).await?;
        let mut found = Resource::all(row.as_slice())?;
        found.pop().ok_or_else(|| Error::NoResource(name.clone()))
    }
}
