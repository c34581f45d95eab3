//! Making a revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use weir_config::{Diagnostic, Document, Report, ResourceName, Resources, Severity};
use weir_core::{Id, TenantId};
use weir_store::audit::{Change as Told, Subject};
use weir_store::records::{Scope, Topic, Value, Write};

use crate::author::Author;
use crate::change::{Proposal, What};
use crate::diff::{Difference, KeptDifference, shown};
use crate::error::{Error, Result};
use crate::plan::{Changed, changed};
use crate::resource::{There, latest, there};
use crate::revision::{Outcome, Revision};
use crate::sealed::{hide, parse};
use crate::secrets::Secrets;
use crate::{CHANGES, RESOURCES, REVISIONS, Revisions};

/// Resources in all.
const MOST_RESOURCES: usize = 50_000;
/// Resources that an entry of the audit names; the revision has them all.
const MOST_NAMED: usize = 100;

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
        let there: BTreeMap<_, _> = there(&mut *write).await?.into_iter().collect();
        let planned = self.planned(&mut write, &proposal.what, latest).await?;
        let changed = changed(&self.secrets, planned, &there)?;
        if changed.is_empty() {
            return Ok(Outcome {
                revision: None,
                latest,
                differences: Vec::new(),
                warnings: Vec::new(),
            });
        }
        let wanted = merged(latest + 1, there, &changed)?;
        let opened = Arc::new(self.secrets.open(&wanted));
        let warnings = judge(opened)
            .await
            .map_err(|report| Error::Refused(Box::new(report)))?;
        refuse_outdated(&warnings, &changed)?;
        let differences = differences(&self.secrets, &changed)?;
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

/// Refuses what may stay as it is, and may not become so.
fn refuse_outdated(warnings: &[Diagnostic], changed: &[Changed]) -> Result<()> {
    let is_put = |name: &ResourceName| {
        let change = changed.binary_search_by(|change| change.resource.cmp(name));
        change.is_ok_and(|at| changed[at].after.is_some())
    };
    let refused = warnings
        .iter()
        .filter(|one| one.refuses_its_resource() && one.resource.as_ref().is_some_and(is_put));
    let refused: Vec<_> = refused
        .cloned()
        .map(|mut one| {
            one.severity = Severity::Error;
            one
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(Box::new(Report {
        diagnostics: refused,
        omitted: 0,
        files: Vec::new(),
    })))
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

fn differences(secrets: &Secrets, changed: &[Changed]) -> Result<Vec<Difference>> {
    let parse = |text: &Option<String>| text.as_deref().map(parse).transpose();
    let difference = |change: &Changed| {
        Ok(KeptDifference {
            resource: change.resource.clone(),
            before: parse(&change.before)?,
            after: parse(&change.after)?,
        })
    };
    let mut kept = changed.iter().map(difference).collect::<Result<Vec<_>>>()?;
    // What they are to be has just been sealed.
    let before = kept.iter_mut();
    hide(before.filter_map(|one| Some((&one.resource, one.before.as_mut()?))));
    Ok(shown(secrets, kept))
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
