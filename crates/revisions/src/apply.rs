//! Making a revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use weir_config::{Diagnostic, Document, Report, ResourceName, Resources};
use weir_core::{Id, TenantId};
use weir_store::audit::{Change as Told, Subject};
use weir_store::records::{Scope, Topic, Value, Write};

use crate::author::Author;
use crate::change::{Action, Change, Precondition, Proposal, What, canonical};
use crate::diff::{Difference, between, fold};
use crate::error::{Error, Result};
use crate::resource::{Kept, kept, latest};
use crate::revision::{Outcome, Revision};
use crate::{CHANGES, RESOURCES, REVISIONS, Revisions};

/// Resources in all.
const MOST_RESOURCES: usize = 50_000;
/// Resources that an entry of the audit names; the revision has them all.
const MOST_NAMED: usize = 100;

/// A resource that becomes different.
struct Changed {
    resource: ResourceName,
    /// Where it is kept, if it was there.
    id: Option<Id>,
    before: Option<String>,
    after: Option<String>,
}

impl Revisions {
    /// Makes a revision. `judge` is handed everything as it would be from then on, and refuses it or
    /// tells what should be looked at; until it has answered nobody else can make a revision.
    ///
    /// Changes that change nothing are left out; if that is all of them, no revision is made.
    pub async fn apply<F, J>(
        &self,
        author: &Author,
        proposal: Proposal,
        judge: J,
    ) -> Result<Outcome>
    where
        J: FnOnce(Arc<Resources>) -> F + Send,
        F: Future<Output = std::result::Result<Vec<Diagnostic>, Report>> + Send,
    {
        proposal.check()?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let latest = latest(&mut *write).await?;
        if proposal.expected.is_some_and(|expected| expected != latest) {
            return Err(Error::Stale { latest });
        }
        let there: BTreeMap<_, _> = kept(&mut *write).await?.into_iter().collect();
        let changes = changes(&mut write, &proposal.what, latest).await?;
        let changed = changed(changes, &there)?;
        if changed.is_empty() {
            return Ok(Outcome {
                revision: None,
                latest,
                differences: Vec::new(),
                warnings: Vec::new(),
            });
        }
        let wanted = Arc::new(merged(latest + 1, there, &changed)?);
        let warnings = judge(Arc::clone(&wanted))
            .await
            .map_err(|report| Error::Refused(Box::new(report)))?;
        let differences = differences(&changed)?;
        if proposal.dry_run {
            return Ok(Outcome {
                revision: None,
                latest,
                differences,
                warnings,
            });
        }
        let revision = Revision {
            number: wanted.revision(),
            created_at: write.now(),
            author_kind: author.actor.kind().to_owned(),
            author_id: author.actor.id().map(ToString::to_string),
            comment: proposal.comment,
            rolled_back_to: match proposal.what {
                What::Rollback(number) => Some(number),
                What::Changes(_) | What::Restore(_) => None,
            },
            changes: i64::try_from(changed.len()).map_err(Error::internal)?,
            digest: digest(&wanted),
        };
        commit(write, author, &revision, changed).await?;
        Ok(Outcome {
            latest: revision.number,
            revision: Some(revision),
            differences,
            warnings,
        })
    }
}

/// The changes that a proposal comes to.
async fn changes(write: &mut Write, what: &What, latest: i64) -> Result<Vec<Change>> {
    let without = |resource, action| Change {
        resource,
        action,
        precondition: Precondition::None,
    };
    match what {
        What::Changes(changes) => Ok(changes.clone()),
        What::Rollback(number) => {
            if !(0..=latest).contains(number) {
                return Err(Error::Missing("revision"));
            }
            let since = fold(&write.all(between(*number, latest)).await?)?;
            let back = |difference: Difference| {
                let action = difference.before.map_or(Action::Delete, Action::Put);
                without(difference.resource, action)
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
            let document = serde_json::from_str(&row.text("document")?).map_err(Error::internal)?;
            let put = without(resource.clone(), Action::Put(document));
            Ok(vec![Change {
                // Its name may be another's by now.
                precondition: Precondition::Absent,
                ..put
            }])
        }
    }
}

/// What becomes different, if every precondition holds.
fn changed(changes: Vec<Change>, there: &BTreeMap<ResourceName, Kept>) -> Result<Vec<Changed>> {
    let mut changed = Vec::with_capacity(changes.len());
    for change in changes {
        let now = there.get(&change.resource);
        let revision = now.map(|kept| kept.revision);
        if !change.precondition.holds(revision) {
            return Err(Error::Precondition {
                resource: change.resource,
                revision,
            });
        }
        let after = match &change.action {
            Action::Put(document) => Some(canonical(&change.resource, document)?),
            Action::Delete if now.is_none() => return Err(Error::NoResource(change.resource)),
            Action::Delete => None,
        };
        if now.map(|kept| &kept.text) == after.as_ref() {
            continue;
        }
        changed.push(Changed {
            id: now.map(|kept| kept.id.clone()),
            before: now.map(|kept| kept.text.clone()),
            after,
            resource: change.resource,
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
    let documents = wanted.into_iter().map(|(id, text)| Document {
        id,
        text: text.into(),
    });
    Ok(Resources::new(revision, documents.collect()))
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

fn differences(changed: &[Changed]) -> Result<Vec<Difference>> {
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
    changed.iter().map(difference).collect()
}

async fn commit(
    mut write: Write,
    author: &Author,
    revision: &Revision,
    changed: Vec<Changed>,
) -> Result<()> {
    let id = Id::new("rev");
    write
        .insert(
            REVISIONS.rows(),
            &id,
            [
                ("number", Value::from(revision.number)),
                ("author_kind", Value::from(&revision.author_kind)),
                ("author_id", Value::from(revision.author_id.as_ref())),
                ("comment", Value::from(&revision.comment)),
                ("rolled_back_to", Value::from(revision.rolled_back_to)),
                ("changes", Value::from(revision.changes)),
                ("digest", Value::from(&revision.digest)),
            ],
        )
        .await?;
    let entry = author.entry(
        match revision.rolled_back_to {
            Some(_) => "revision.rollback",
            None => "revision.create",
        },
        Subject {
            kind: "revision",
            id: Some(id),
        },
        told(revision, &changed),
    );
    keep(&mut write, revision.number, changed).await?;
    write.notify(Topic::Revisions).await?;
    Ok(write.commit(&Scope::Platform, &entry).await?)
}

/// What the audit is told: names, not documents, which may have secrets in them.
fn told(revision: &Revision, changed: &[Changed]) -> Told {
    let named = changed.iter().take(MOST_NAMED).map(|change| {
        let what = match (&change.before, &change.after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        };
        json!({
            "kind": change.resource.kind,
            "name": change.resource.name,
            "change": what,
        })
    });
    let named: Vec<Json> = named.collect();
    let mut after = Map::new();
    after.insert("number".to_owned(), revision.number.into());
    after.insert("comment".to_owned(), revision.comment.as_str().into());
    after.insert("digest".to_owned(), revision.digest.as_str().into());
    after.insert("changes".to_owned(), revision.changes.into());
    after.insert("resources".to_owned(), named.into());
    if let Some(number) = revision.rolled_back_to {
        after.insert("rolled_back_to".to_owned(), number.into());
    }
    Told {
        before: Map::new(),
        after,
    }
}

/// Writes what becomes different, and what it was.
async fn keep(write: &mut Write, number: i64, changed: Vec<Changed>) -> Result<()> {
    let platform = TenantId::platform();
    let rows = RESOURCES.of(&platform);
    let (mut new, mut other, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut history = Vec::with_capacity(changed.len());
    for change in changed {
        let kind = Value::from(change.resource.kind.name());
        let name = Value::from(change.resource.name);
        match (change.id, &change.after) {
            (Some(id), Some(text)) => other.push((id, text.clone())),
            (Some(id), None) => gone.push(id),
            (None, text) => {
                let values = [
                    kind.clone(),
                    name.clone(),
                    text.clone().into(),
                    number.into(),
                ];
                new.push((Id::new("res"), values));
            }
        }
        let values = [
            number.into(),
            kind,
            name,
            change.before.into(),
            change.after.into(),
        ];
        history.push((Id::new("rvc"), values));
    }
    // What goes makes room for what comes.
    write.trash_many(rows, gone).await?;
    let same = [("revision", Value::from(number))];
    write.update_many(rows, "document", other, &same).await?;
    let columns = ["kind", "name", "document", "revision"];
    write.insert_many(rows, columns, new).await?;
    let columns = [
        "revision",
        "kind",
        "name",
        "document_before",
        "document_after",
    ];
    write.insert_many(CHANGES.rows(), columns, history).await?;
    Ok(())
}
