//! From a proposal to what becomes different.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use weir_config::ResourceName;
use weir_core::{Id, TenantId};
use weir_store::records::Write;

use crate::change::{Action, Precondition, What, canonical};
use crate::diff::{KeptDifference, between, fold};
use crate::error::{Error, Result};
use crate::resource::There;
use crate::sealed::{Kept, parse};
use crate::secrets::Secrets;
use crate::{RESOURCES, Revisions};

/// A resource that is to be something else.
pub(crate) struct Planned {
    resource: ResourceName,
    becomes: Becomes,
    precondition: Precondition,
}

enum Becomes {
    /// What somebody wrote.
    Written(Json),
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
}

impl Revisions {
    /// The changes that a proposal comes to.
    pub(crate) async fn planned(
        &self,
        write: &mut Write,
        what: &What,
        latest: i64,
    ) -> Result<Vec<Planned>> {
        match what {
            What::Changes(changes) => {
                let planned = changes.iter().map(|change| Planned {
                    resource: change.resource.clone(),
                    becomes: match &change.action {
                        Action::Put(document) => Becomes::Written(document.clone()),
                        Action::Delete => Becomes::Nothing,
                    },
                    precondition: change.precondition,
                });
                Ok(planned.collect())
            }
            What::Rollback(number) => {
                if !(0..=latest).contains(number) {
                    return Err(Error::Missing("revision"));
                }
                let since = fold(&self.secrets, &write.all(between(*number, latest)).await?)?;
                let back = |difference: KeptDifference| Planned {
                    resource: difference.resource,
                    becomes: difference.before.map_or(Becomes::Nothing, Becomes::Again),
                    precondition: Precondition::None,
                };
                Ok(since.into_iter().map(back).collect())
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
                let row = write.first(select).await?;
                let row = row.ok_or_else(|| Error::NoResource(resource.clone()))?;
                Ok(vec![Planned {
                    resource: resource.clone(),
                    becomes: Becomes::Again(parse(&row.text("document")?)?),
                    // Its name may be another's by now.
                    precondition: Precondition::Absent,
                }])
            }
        }
    }
}

/// What becomes different, if every precondition holds.
pub(crate) fn changed(
    secrets: &Secrets,
    planned: Vec<Planned>,
    there: &BTreeMap<ResourceName, There>,
) -> Result<Vec<Changed>> {
    let mut written = Vec::new();
    let mut changed = Vec::with_capacity(planned.len());
    for one in planned {
        let now = there.get(&one.resource);
        let revision = now.map(|there| there.revision);
        if !one.precondition.holds(revision) {
            return Err(Error::Precondition {
                resource: one.resource,
                revision,
            });
        }
        let kept = now.map(|there| parse(&there.text)).transpose()?;
        let after = match one.becomes {
            Becomes::Written(document) => {
                let (document, taken) = secrets.filled(&one.resource, &document, kept.as_ref())?;
                let document = canonical(&one.resource, &document)?;
                written.push(Clear {
                    at: changed.len(),
                    document,
                    taken,
                });
                None
            }
            // It may be from before secrets were sealed.
            Becomes::Again(again) if again.sealed.is_empty() => {
                written.push(Clear {
                    at: changed.len(),
                    document: canonical(&one.resource, &again.shown)?,
                    taken: Vec::new(),
                });
                None
            }
            Becomes::Again(again) => Some(again.into_json().to_string()),
            Becomes::Nothing if now.is_none() => return Err(Error::NoResource(one.resource)),
            Becomes::Nothing => None,
        };
        let change = Changed {
            id: now.map(|there| there.id.clone()),
            before: now.map(|there| there.text.clone()),
            after,
            resource: one.resource,
        };
        changed.push((change, kept));
    }
    seal(secrets, written, &mut changed)?;
    let mut different = Vec::with_capacity(changed.len());
    for (change, before) in changed {
        let after = change.after.as_deref().map(parse).transpose()?;
        let is_same = match (&before, &after) {
            (Some(before), Some(after)) => secrets.same(&change.resource, before, after),
            _ => false,
        };
        if !is_same {
            different.push(change);
        }
    }
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
fn seal(
    secrets: &Secrets,
    written: Vec<Clear>,
    changed: &mut [(Changed, Option<Kept>)],
) -> Result<()> {
    let named = written
        .iter()
        .map(|one| (&changed[one.at].0.resource, &one.document));
    let found = weir_config::secrets(&named.collect::<Vec<_>>());
    for (one, found) in written.into_iter().zip(found) {
        let (change, before) = &mut changed[one.at];
        let places: BTreeSet<_> = found.into_iter().chain(one.taken).collect();
        let text = secrets.sealed(&change.resource, one.document, &places, before.as_ref())?;
        change.after = Some(text);
    }
    Ok(())
}
