//! What a proposal comes to, beside what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use weir_config::{Document, ResourceName, Resources};
use weir_core::{Id, TenantId};
use weir_store::records::Read;

use crate::back::{Staying, leave};
use crate::change::{Action, Precondition, Proposal, What, canonical};
use crate::diff::{ChangeKind, Difference, KeptDifference, differences_between, shown};
use crate::error::{Error, Result};
use crate::resource::{Latest, There, latest, there};
use crate::sealed::{Kept, hide, parse};
use crate::secrets::Secrets;
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
    /// What going back leaves as it is.
    pub(crate) staying: Vec<Staying>,
    /// Everything as it is to be kept.
    pub(crate) wanted: Resources,
    /// The same as it would be used.
    pub(crate) opened: Arc<Resources>,
}

/// A resource that is to be something else.
struct Planned<'p> {
    resource: ResourceName,
    becomes: Becomes<'p>,
    /// Where it is in the trash, if it comes from there.
    from: Option<Id>,
    precondition: Precondition,
}

enum Becomes<'p> {
    /// What somebody wrote.
    Written(&'p Json),
    /// What was kept before.
    Again(Kept),
    Nothing,
}

/// A resource that becomes different.
pub(crate) struct Changed {
    pub(crate) resource: ResourceName,
    /// Where it is kept, if it was there.
    pub(crate) id: Option<Id>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// Where it was in the trash, if it comes from there.
    pub(crate) from: Option<Id>,
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
        let there: BTreeMap<_, _> = there(&mut read).await?.into_iter().collect();
        let what = &proposal.what;
        let planned = self.planned(&mut read, what, latest.number, &there).await?;
        let (planned, staying) = planned;
        let changed = changed(&self.secrets, planned, &there)?;
        let wanted = merged(latest.number + 1, there, &changed)?;
        Ok(Plan {
            latest,
            changed,
            staying,
            opened: Arc::new(self.secrets.open(&wanted)),
            wanted,
        })
    }

    /// The changes that a proposal comes to, and what it leaves as it is.
    async fn planned<'p>(
        &self,
        read: &mut Read,
        what: &'p What,
        latest: i64,
        there: &BTreeMap<ResourceName, There>,
    ) -> Result<(Vec<Planned<'p>>, Vec<Staying>)> {
        match what {
            What::Changes(changes) => {
                let planned = changes.iter().map(|change| Planned {
                    resource: change.resource.clone(),
                    becomes: match &change.action {
                        Action::Put(document) => Becomes::Written(document),
                        Action::Delete => Becomes::Nothing,
                    },
                    from: None,
                    precondition: change.precondition,
                });
                Ok((planned.collect(), Vec::new()))
            }
            What::Rollback { to, certificates } => {
                if !(0..=latest).contains(to) {
                    return Err(Error::Missing("revision"));
                }
                let since = differences_between(read, &self.secrets, *to, latest).await?;
                let (since, staying) = leave(since, *certificates);
                let back = |difference: KeptDifference| Planned {
                    resource: difference.resource,
                    becomes: difference.before.map_or(Becomes::Nothing, Becomes::Again),
                    from: None,
                    precondition: Precondition::None,
                };
                Ok((since.into_iter().map(back).collect(), staying))
            }
            What::Restore(resource, id) => {
                let platform = TenantId::platform();
                let mut select = RESOURCES
                    .of(&platform)
                    .select()
                    .trashed()
                    .filter(
                        "kind = ? AND name = ?",
                        [resource.kind.name(), &resource.name],
                    )
                    .order(["deleted_at", "id"])
                    .descending(true);
                if let Some(id) = id {
                    select = select.with_id(id);
                }
                let row = read.first(select).await?;
                let Some(row) = row else {
                    return Err(nothing_to_restore(resource, id.is_some(), there));
                };
                let planned = Planned {
                    resource: resource.clone(),
                    becomes: Becomes::Again(parse(&row.text("document")?)?),
                    from: Some(row.id("id")?),
                    // Its name may be another's by now.
                    precondition: Precondition::Absent,
                };
                Ok((vec![planned], Vec::new()))
            }
        }
    }
}

/// Whoever names no one in particular may have asked twice: it is there then.
fn nothing_to_restore(
    resource: &ResourceName,
    is_certain: bool,
    there: &BTreeMap<ResourceName, There>,
) -> Error {
    let resource = resource.clone();
    match there.get(&resource) {
        Some(one) if !is_certain => Error::Precondition {
            revision: Some(one.revision),
            resource,
        },
        _ => Error::NotInTrash(resource),
    }
}

impl Plan {
    /// What becomes different, as it may be shown; whoever made many changes has their documents.
    pub(crate) fn differences(
        &self,
        secrets: &Secrets,
        with_documents: bool,
    ) -> Result<Vec<Difference>> {
        if !with_documents {
            let named = self.changed.iter().map(|change| Difference {
                resource: change.resource.clone(),
                change: change.kind(),
                before: None,
                after: None,
                secrets: Vec::new(),
            });
            return Ok(named.collect());
        }
        let parse = |text: &Option<String>| text.as_deref().map(parse).transpose();
        let difference = |change: &Changed| {
            Ok(KeptDifference {
                resource: change.resource.clone(),
                before: parse(&change.before)?,
                after: parse(&change.after)?,
            })
        };
        let kept = self.changed.iter().map(difference);
        let mut kept = kept.collect::<Result<Vec<_>>>()?;
        // What they are to be has just been sealed.
        let before = kept.iter_mut();
        hide(before.filter_map(|one| Some((&one.resource, one.before.as_mut()?))));
        Ok(shown(secrets, kept))
    }
}

impl Changed {
    /// What becomes of the resource.
    pub(crate) const fn kind(&self) -> ChangeKind {
        ChangeKind::of(self.before.is_some(), self.after.is_some())
    }
}

/// A resource as it was, and as it is to be.
struct Weighed<'t> {
    resource: ResourceName,
    there: Option<&'t There>,
    /// Where it is in the trash, if it comes from there.
    from: Option<Id>,
    before: Option<Kept>,
    after: Option<Kept>,
}

/// What becomes different, if every precondition holds.
fn changed(
    secrets: &Secrets,
    planned: Vec<Planned<'_>>,
    there: &BTreeMap<ResourceName, There>,
) -> Result<Vec<Changed>> {
    let mut written = Vec::new();
    let mut weighed = Vec::with_capacity(planned.len());
    for one in planned {
        let now = there.get(&one.resource);
        let revision = now.map(|there| there.revision);
        if !one.precondition.holds(revision) {
            return Err(Error::Precondition {
                resource: one.resource,
                revision,
            });
        }
        let before = now.map(|there| parse(&there.text)).transpose()?;
        let after = match one.becomes {
            Becomes::Written(document) => {
                let (document, taken) = secrets.filled(&one.resource, document, before.as_ref())?;
                let document = canonical(&one.resource, document)?;
                written.push(Clear {
                    at: weighed.len(),
                    document,
                    taken,
                });
                None
            }
            // It may be from before secrets were sealed.
            Becomes::Again(again) if again.sealed.is_empty() => {
                written.push(Clear {
                    at: weighed.len(),
                    document: canonical(&one.resource, again.shown)?,
                    taken: Vec::new(),
                });
                None
            }
            Becomes::Again(again) => Some(again),
            Becomes::Nothing if now.is_none() => return Err(Error::NoResource(one.resource)),
            Becomes::Nothing => None,
        };
        weighed.push(Weighed {
            from: one.from,
            resource: one.resource,
            there: now,
            before,
            after,
        });
    }
    seal(secrets, written, &mut weighed)?;
    let is_same = |one: &Weighed<'_>| match (&one.before, &one.after) {
        (Some(before), Some(after)) => secrets.same(&one.resource, before, after),
        _ => false,
    };
    let different = weighed.into_iter().filter(|one| !is_same(one));
    let different = different.map(|one| Changed {
        id: one.there.map(|there| there.id.clone()),
        before: one.there.map(|there| there.text.clone()),
        after: one.after.map(|after| after.into_json().to_string()),
        from: one.from,
        resource: one.resource,
    });
    let mut different: Vec<_> = different.collect();
    // In one order, whatever the caller's was.
    different.sort_by(|left, right| left.resource.cmp(&right.resource));
    Ok(different)
}

/// A document in the clear.
struct Clear {
    /// Of which change it is.
    at: usize,
    document: Json,
    /// Where it has a secret that was kept sealed: it stays so, whatever is around it by now.
    taken: Vec<String>,
}

/// Seals the secrets of documents, and makes them what the changes come to.
fn seal(secrets: &Secrets, written: Vec<Clear>, weighed: &mut [Weighed<'_>]) -> Result<()> {
    let named = written
        .iter()
        .map(|one| (&weighed[one.at].resource, &one.document));
    let found = weir_config::secrets(&named.collect::<Vec<_>>());
    for (one, found) in written.into_iter().zip(found) {
        let change = &mut weighed[one.at];
        let places: BTreeSet<_> = found.into_iter().chain(one.taken).collect();
        let before = change.before.as_ref();
        change.after = Some(secrets.sealed(&change.resource, one.document, &places, before)?);
    }
    Ok(())
}

/// Everything as it is to be.
fn merged(
    revision: i64,
    there: BTreeMap<ResourceName, There>,
    changed: &[Changed],
) -> Result<Resources> {
    let there = there.into_iter().map(|(name, there)| (name, there.text));
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
