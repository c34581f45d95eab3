//! What a proposal comes to, beside what there is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use weir_config::{Document, ResourceName, Resources};
use weir_core::{Id, TenantId};
use weir_store::records::Read;

use crate::change::{Action, Change, Precondition, Proposal, What, canonical};
use crate::diff::{Difference, differences_between};
use crate::error::{Error, Result};
use crate::resource::{Kept, Latest, kept, latest};
use crate::{RESOURCES, Revisions};

/// Resources in all.
const MOST_RESOURCES: usize = 50_000;
/// Bytes of all their documents: every node has them in memory, and parses them for each revision.
const MOST_BYTES: usize = 64 << 20;

/// What is to be done if it is found good.
pub(crate) struct Plan {
    /// The revision that it begins with.
    pub(crate) latest: Latest,
    /// What becomes different, by kind and name.
    pub(crate) changed: Vec<Changed>,
    /// Everything as it is to be.
    pub(crate) wanted: Arc<Resources>,
}

/// A resource that becomes different.
pub(crate) struct Changed {
    pub(crate) resource: ResourceName,
    /// Where it is kept, if it was there.
    pub(crate) id: Option<Id>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

impl Revisions {
    /// What a proposal comes to now. Nothing is held meanwhile.
    pub(crate) async fn plan(&self, proposal: &Proposal) -> Result<Plan> {
        let mut read = self.records.read().await?;
        let latest = latest(&mut read).await?;
        if proposal
            .expected
            .is_some_and(|expected| expected != latest.number)
        {
            let latest = latest.number;
            return Err(Error::Stale { latest });
        }
        let there: BTreeMap<_, _> = kept(&mut read).await?.into_iter().collect();
        let changes = changes(&mut read, &proposal.what, latest.number).await?;
        let changed = changed(&changes, &there)?;
        let wanted = Arc::new(merged(latest.number + 1, there, &changed)?);
        Ok(Plan {
            latest,
            changed,
            wanted,
        })
    }
}

impl Plan {
    pub(crate) fn differences(&self) -> Result<Vec<Difference>> {
        let parse = |text: &Option<String>| {
            let text = text.as_deref();
            text.map(serde_json::from_str)
                .transpose()
                .map_err(Error::internal)
        };
        let difference = |change: &Changed| {
            Ok(Difference {
                resource: change.resource.clone(),
                before: parse(&change.before)?,
                after: parse(&change.after)?,
            })
        };
        self.changed.iter().map(difference).collect()
    }
}

/// The changes that a proposal comes to.
async fn changes<'w>(read: &mut Read, what: &'w What, latest: i64) -> Result<Cow<'w, [Change]>> {
    let without = |resource, action| Change {
        resource,
        action,
        precondition: Precondition::None,
    };
    match what {
        What::Changes(changes) => Ok(Cow::Borrowed(changes)),
        What::Rollback(number) => {
            if !(0..=latest).contains(number) {
                return Err(Error::Missing("revision"));
            }
            let since = differences_between(read, *number, latest).await?;
            let back = |difference: Difference| {
                let action = difference.before.map_or(Action::Delete, Action::Put);
                without(difference.resource, action)
            };
            Ok(Cow::Owned(since.into_iter().map(back).collect()))
        }
        What::Restore(resource) => {
            let platform = TenantId::platform();
            let select = RESOURCES
                .of(&platform)
                .select()
                .trashed()
                .filter(
                    "kind = ? AND name = ?",
                    [resource.kind.name(), &resource.name],
                )
                .order(["deleted_at", "id"])
                .descending(true);
            let row = read.first(select).await?;
            let row = row.ok_or_else(|| Error::NoResource(resource.clone()))?;
            let document = serde_json::from_str(&row.text("document")?).map_err(Error::internal)?;
            let put = without(resource.clone(), Action::Put(document));
            Ok(Cow::Owned(vec![Change {
                // Its name may be another's by now.
                precondition: Precondition::Absent,
                ..put
            }]))
        }
    }
}

/// What becomes different, if every precondition holds.
fn changed(changes: &[Change], there: &BTreeMap<ResourceName, Kept>) -> Result<Vec<Changed>> {
    let mut changed = Vec::with_capacity(changes.len());
    for change in changes {
        let now = there.get(&change.resource);
        let revision = now.map(|kept| kept.revision);
        if !change.precondition.holds(revision) {
            return Err(Error::Precondition {
                resource: change.resource.clone(),
                revision,
            });
        }
        let after = match &change.action {
            Action::Put(document) => Some(canonical(&change.resource, document)?),
            Action::Delete if now.is_none() => {
                return Err(Error::NoResource(change.resource.clone()));
            }
            Action::Delete => None,
        };
        if now.map(|kept| &kept.text) == after.as_ref() {
            continue;
        }
        changed.push(Changed {
            id: now.map(|kept| kept.id.clone()),
            before: now.map(|kept| kept.text.clone()),
            after,
            resource: change.resource.clone(),
        });
    }
    // In one order, whatever the caller's was.
    changed.sort_by(|left, right| left.resource.cmp(&right.resource));
    Ok(changed)
}

/// Everything as it is to be.
fn merged(
    revision: i64,
    there: BTreeMap<ResourceName, Kept>,
    changed: &[Changed],
) -> Result<Resources> {
    let there = there.into_iter().map(|(name, kept)| (name, kept.text));
    let mut wanted: BTreeMap<_, _> = there.collect();
    for change in changed {
        match &change.after {
            Some(text) => wanted.insert(change.resource.clone(), text.clone()),
            None => wanted.remove(&change.resource),
        };
    }
    if wanted.len() > MOST_RESOURCES {
        let why = format!("make more than {MOST_RESOURCES} resources in all");
        return Err(Error::invalid("changes", why));
    }
    if wanted.values().map(String::len).sum::<usize>() > MOST_BYTES {
        let why = format!("make all resources together larger than {MOST_BYTES} bytes");
        return Err(Error::invalid("changes", why));
    }
    let documents = wanted.into_iter().map(|(id, text)| Document {
        id,
        text: text.into(),
    });
    let wanted = Resources::new(revision, documents.collect());
    let digest = digest(&wanted);
    Ok(wanted.with_digest(&digest))
}

fn digest(wanted: &Resources) -> String {
    let mut digest = Sha256::new();
    for document in wanted.documents() {
        for part in [document.id.kind.name(), &document.id.name, &document.text] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
