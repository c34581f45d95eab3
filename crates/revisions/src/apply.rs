//! Making a revision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::time::timeout;
use weir_config::{Diagnostic, Lending, Report, ResourceKind, ResourceName, Resources, Severity};
use weir_core::{Id, TenantId};
use weir_store::audit::{Change as Told, Subject};
use weir_store::records::{Scope, Topic, Value, Write};

use crate::author::Author;
use crate::change::{Proposal, What};
use crate::error::{Error, Result};
use crate::plan::{Changed, Plan};
use crate::resource::latest;
use crate::revision::{Outcome, Revision};
use crate::trash::PREFIX;
use crate::{CHANGES, RESOURCES, REVISIONS, Revisions};

/// Resources that an entry of the audit names; the revision has them all.
const MOST_NAMED: usize = 100;

/// Changes of a revision that are told with their documents; whoever makes more has them.
const MOST_SHOWN: usize = 100;

/// How often a proposal is judged anew because another node made a revision meanwhile.
const ATTEMPTS: usize = 5;
/// How long it is waited for those whose proposals came before.
const TURN: Duration = Duration::from_secs(30);
/// How long judging may take.
const JUDGING: Duration = Duration::from_secs(60);

const OTHERS: &str = "other revisions are being made";
const SLOW: &str = "this node takes too long to check the whole";

/// What a judge says of resources that can be used.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What should be looked at all the same.
    pub warnings: Vec<Diagnostic>,
    /// Which routes send on secrets of resources.
    pub lendings: Vec<Lending>,
}

/// Why resources are not taken.
#[derive(Debug)]
pub enum Objection {
    /// With them the whole could not be used.
    Refused(Report),
    /// Nobody has time to look at them.
    Busy,
}

impl From<Report> for Objection {
    fn from(report: Report) -> Self {
        Self::Refused(report)
    }
}

impl Objection {
    /// To these changes.
    fn to(self, changed: &[Changed]) -> Error {
        match self {
            Self::Refused(report) => refused(report, changed),
            Self::Busy => Error::Busy(OTHERS),
        }
    }
}

fn refused(report: Report, changed: &[Changed]) -> Error {
    let changed = changed.iter().map(|change| change.resource.clone());
    Error::Refused {
        report: Box::new(report),
        changed: changed.collect(),
    }
}

impl Revisions {
    /// Makes a revision. `judge` is handed everything as it would be from then on, and refuses it or
    /// tells what should be looked at. It takes its time, so nothing in the records is locked meanwhile: if
    /// another node makes a revision, the proposal is judged again beside that.
    ///
    /// Changes that change nothing are left out; if that is all of them, no revision is made. What has secrets
    /// sent on must be the author's to lend, but for a way back: that was decided before.
    pub async fn apply<F, J>(
        &self,
        author: &Author,
        proposal: Proposal,
        judge: J,
    ) -> Result<Outcome>
    where
        J: Fn(Arc<Resources>) -> F + Send,
        F: Future<Output = std::result::Result<Judgement, Objection>> + Send,
    {
        proposal.check()?;
        // Those of one node would only make each other's judgements worthless.
        let turn = timeout(TURN, self.turn.acquire()).await;
        let _turn = turn
            .map_err(|_| Error::Busy(OTHERS))?
            .map_err(Error::internal)?;
        for _ in 0..ATTEMPTS {
            let plan = self.plan(&proposal).await?;
            if plan.changed.is_empty() {
                return Ok(Outcome {
                    revision: None,
                    latest: plan.latest.number,
                    differences: Vec::new(),
                    staying: plan.staying,
                    warnings: Vec::new(),
                    lent: BTreeSet::new(),
                });
            }
            let judgement = timeout(JUDGING, judge(Arc::clone(&plan.opened))).await;
            let judgement = judgement.map_err(|_| Error::Busy(SLOW))?;
            let Judgement { warnings, lendings } =
                judgement.map_err(|objection| objection.to(&plan.changed))?;
            refuse_outdated(&warnings, &plan.changed)?;
            let lent = match proposal.what {
                What::Changes(_) | What::Restore(..) => lent(author, &lendings, &plan.changed)?,
                What::Rollback { .. } => BTreeSet::new(),
            };
            let revision = match proposal.dry_run {
                true => None,
                false => match self.commit(author, &proposal, &plan).await? {
                    Some(revision) => Some(revision),
                    None => continue,
                },
            };
            let latest = revision.as_ref().map(|revision| revision.number);
            let with_documents = revision.is_none() || plan.changed.len() <= MOST_SHOWN;
            return Ok(Outcome {
                latest: latest.unwrap_or(plan.latest.number),
                revision,
                // Not before it is made: meanwhile other nodes could follow.
                differences: plan.differences(&self.secrets, with_documents)?,
                staying: plan.staying,
                warnings,
                lent,
            });
        }
        Err(Error::Busy(OTHERS))
    }

    /// Does what was found good; none if there is another revision by now.
    async fn commit(
        &self,
        author: &Author,
        proposal: &Proposal,
        plan: &Plan,
    ) -> Result<Option<Revision>> {
        let mut write = self.records.write(&Scope::Platform).await?;
        if latest(&mut *write).await? != plan.latest {
            return Ok(None);
        }
        let revision = Revision {
            number: plan.wanted.revision(),
            created_at: write.now(),
            author_kind: author.actor.kind().to_owned(),
            author_id: author.actor.id().map(ToString::to_string),
            comment: proposal.comment.clone(),
            rolled_back_to: match proposal.what {
                What::Rollback { to, .. } => Some(to),
                What::Changes(_) | What::Restore(..) => None,
            },
            changes: i64::try_from(plan.changed.len()).map_err(Error::internal)?,
            digest: plan.wanted.digest().to_owned(),
        };
        commit(write, author, &revision, &plan.changed).await?;
        Ok(Some(revision))
    }
}

/// Whether a resource becomes something else, and stays.
fn is_put(name: &ResourceName, changed: &[Changed]) -> bool {
    let change = changed.binary_search_by(|change| change.resource.cmp(name));
    change.is_ok_and(|at| changed[at].after.is_some())
}

/// The kinds of resources whose secrets go elsewhere by these changes: a route that sends them, one of its
/// policies or upstreams becomes another one. Refuses what is not the author's to lend.
fn lent(
    author: &Author,
    lendings: &[Lending],
    changed: &[Changed],
) -> Result<BTreeSet<ResourceKind>> {
    let mut lent = BTreeSet::new();
    for lending in lendings {
        let mut through = lending.through.iter();
        let Some(through) = through.find(|name| is_put(name, changed)) else {
            continue;
        };
        for lender in &lending.lenders {
            if !author.lends.contains(&lender.kind) {
                return Err(Error::NotLent {
                    lender: lender.clone(),
                    through: through.clone(),
                });
            }
            lent.insert(lender.kind);
        }
    }
    Ok(lent)
}

/// Refuses what may stay as it is, and may not become so.
fn refuse_outdated(warnings: &[Diagnostic], changed: &[Changed]) -> Result<()> {
    let is_put = |name: &ResourceName| is_put(name, changed);
    let outdated = warnings
        .iter()
        .filter(|one| one.refuses_its_resource() && one.resource.as_ref().is_some_and(is_put));
    let outdated: Vec<_> = outdated
        .cloned()
        .map(|mut one| {
            one.severity = Severity::Error;
            one
        })
        .collect();
    if outdated.is_empty() {
        return Ok(());
    }
    let report = Report {
        diagnostics: outdated,
        omitted: 0,
        files: Vec::new(),
    };
    Err(refused(report, changed))
}

async fn commit(
    mut write: Write,
    author: &Author,
    revision: &Revision,
    changed: &[Changed],
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
        told(revision, changed),
    );
    keep(&mut write, revision.number, changed).await?;
    write.notify(Topic::Revisions).await?;
    Ok(write.commit(&Scope::Platform, &entry).await?)
}

/// What the audit is told: names, not documents, which may have secrets in them.
fn told(revision: &Revision, changed: &[Changed]) -> Told {
    let named = changed.iter().take(MOST_NAMED).map(|change| {
        json!({
            "kind": change.resource.kind,
            "name": change.resource.name,
            "change": change.kind().word(),
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
async fn keep(write: &mut Write, number: i64, changed: &[Changed]) -> Result<()> {
    let platform = TenantId::platform();
    let rows = RESOURCES.of(&platform);
    let (mut new, mut other, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut history = Vec::with_capacity(changed.len());
    for change in changed {
        let kind = Value::from(change.resource.kind.name());
        let name = Value::from(&change.resource.name);
        match (change.id.clone(), &change.after) {
            (Some(id), Some(text)) => other.push((id, text.clone())),
            (Some(id), None) => gone.push(id),
            (None, text) => {
                let values = [
                    kind.clone(),
                    name.clone(),
                    text.clone().into(),
                    number.into(),
                ];
                new.push((Id::new(PREFIX), values));
            }
        }
        let values = [
            number.into(),
            kind,
            name,
            change.before.as_ref().into(),
            change.after.as_ref().into(),
        ];
        history.push((Id::new("rvc"), values));
    }
    for from in changed.iter().filter_map(|change| change.from.as_ref()) {
        write.purge(rows, "id = ?", [from]).await?;
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
