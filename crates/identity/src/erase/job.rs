//! An erasure under way: what is known of it survives the process.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_core::Id;
use weir_store::audit::{Actor, Change, Entry, Eraser, Origin, Person, Subject};
use weir_store::records::{Changes, Once, Row, Scope, Value};

use super::certificate::ErasedChain;
use super::rows::Removed;
use crate::Identity;
use crate::error::{Error, Result};
use crate::tables::ERASURES;
use crate::throttle::later;

/// For how long it belongs to whoever is about it; longer than a stretch can take.
const LEASE: Duration = Duration::from_secs(60);
const RENEW: Duration = Duration::from_secs(10);

pub(super) const UNDER_WAY: Error = Error::Conflict("this erasure is under way already");

/// An erasure, and how far it is.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    #[serde(skip, default = "nobody")]
    pub(super) id: Id,
    #[serde(skip)]
    pub(super) version: i64,
    #[serde(skip, default = "Instant::now")]
    leased_at: Instant,
    pub(super) person: Person,
    actor_kind: String,
    actor_id: Option<Id>,
    origin: Origin,
    request_id: Option<String>,
    /// What was removed of tables.
    pub(super) rows: Removed,
    pub(super) audit: Vec<ErasedChain>,
    /// The chain that it is at. Those before it are done.
    scope: String,
    /// The last number of it that is done.
    pub(super) after: i64,
}

/// Until its row says which.
fn nobody() -> Id {
    Id::new("ers")
}

impl Job {
    pub(super) fn new(person: Person, by: &Eraser, rows: Removed) -> Self {
        Self {
            id: nobody(),
            version: 1,
            leased_at: Instant::now(),
            person,
            actor_kind: by.actor.kind().to_owned(),
            actor_id: by.actor.id().cloned(),
            origin: by.origin.clone(),
            request_id: by.request_id.clone(),
            rows,
            audit: Vec::new(),
            scope: String::new(),
            after: 0,
        }
    }

    /// Who asked for it.
    pub(super) fn by(&self) -> Result<Eraser> {
        let actor = match (self.actor_kind.as_str(), &self.actor_id) {
            ("user", Some(id)) => Actor::User(id.clone()),
            ("api_key", Some(id)) => Actor::ApiKey(id.clone()),
            ("operator", _) => Actor::Operator,
            ("system", _) => Actor::System,
            _ => return Err(Error::internal("an erasure is nobody's")),
        };
        Ok(Eraser {
            actor,
            origin: self.origin.clone(),
            request_id: self.request_id.clone(),
        })
    }

    /// What the platform's audit is told of it.
    pub(super) fn entry(
        &self,
        action: &'static str,
        change: Change,
        once: Option<Once>,
    ) -> Result<Entry> {
        let by = self.by()?;
        Ok(Entry {
            actor: by.actor,
            origin: by.origin,
            action,
            subject: Subject {
                kind: "user",
                id: self.person.ids.first().cloned(),
            },
            change,
            request_id: by.request_id,
            once,
        })
    }

    /// Chains are gone through from the greatest name to the least, the platform's first.
    pub(super) fn is_done_with(&self, scope: &Scope) -> bool {
        !self.scope.is_empty() && scope.name() > self.scope.as_str()
    }

    pub(super) fn enter(&mut self, scope: &Scope) {
        if self.scope != scope.name() {
            scope.name().clone_into(&mut self.scope);
            self.after = 0;
        }
    }

    pub(super) fn note(&mut self, scope: &Scope, entries: Vec<i64>, told_by: i64) {
        match self.audit.last_mut() {
            Some(last) if last.scope == scope.name() => {
                last.entries.extend(entries);
                last.told_by.push(told_by);
            }
            _ => self.audit.push(ErasedChain {
                scope: scope.name().to_owned(),
                entries,
                told_by: vec![told_by],
            }),
        }
    }

    pub(super) fn is_lease_old(&self) -> bool {
        self.leased_at.elapsed() > RENEW
    }
}

impl Identity {
    /// The erasure under way of whom `is_about` knows, taken over if nobody is about it.
    pub(super) async fn erasure_under_way(
        &self,
        is_about: impl Fn(&Person) -> bool,
    ) -> Result<Option<Job>> {
        for row in self.records.all(ERASURES.rows().select()).await? {
            // Upkeep tells of one that cannot be read; it keeps nobody from another.
            let Ok(job) = self.read_erasure(&row) else {
                continue;
            };
            if is_about(&job.person) {
                return match row.time("leased_until")? < Timestamp::now() {
                    true => Ok(Some(self.claim_erasure(&row).await?)),
                    false => Err(UNDER_WAY),
                };
            }
        }
        Ok(None)
    }

    /// Takes one over, unless another node was faster.
    pub(super) async fn claim_erasure(&self, row: &Row) -> Result<Job> {
        let mut job = self.read_erasure(row)?;
        self.renew_erasure(&mut job).await?;
        Ok(job)
    }

    pub(super) async fn renew_erasure(&self, job: &mut Job) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        self.update_erasure(&mut write, job).await?;
        Ok(write.commit().await?)
    }

    pub(super) async fn insert_erasure(&self, changes: &mut Changes, job: &mut Job) -> Result<()> {
        let values = self.erasure_values(changes, job)?;
        Ok(changes.insert(ERASURES.rows(), &job.id, values).await?)
    }

    /// Writes down how far it is.
    pub(super) async fn update_erasure(&self, changes: &mut Changes, job: &mut Job) -> Result<()> {
        let values = self.erasure_values(changes, job)?;
        let updated = changes.update(ERASURES.rows(), &job.id, Some(job.version), values);
        job.version = updated.await.map_err(|error| match error {
            weir_store::Error::Stale { .. } | weir_store::Error::Missing(_) => UNDER_WAY,
            error => error.into(),
        })?;
        job.leased_at = Instant::now();
        Ok(())
    }

    fn erasure_values(&self, changes: &Changes, job: &Job) -> Result<[(&'static str, Value); 2]> {
        let text = zeroize::Zeroizing::new(serde_json::to_vec(job).map_err(Error::internal)?);
        let sealed = self.shared.sealer.seal(&purpose(&job.id), &text)?;
        Ok([
            ("sealed_state", Value::from(sealed)),
            ("leased_until", Value::from(later(changes.now(), LEASE)?)),
        ])
    }

    fn read_erasure(&self, row: &Row) -> Result<Job> {
        let id = row.id("id")?;
        let sealed = row.bytes("sealed_state")?;
        let text = self.shared.sealer.open(&purpose(&id), &sealed)?;
        let job: Job = serde_json::from_slice(&text).map_err(Error::internal)?;
        Ok(Job {
            id,
            version: row.int("version")?,
            ..job
        })
    }
}

pub(crate) fn purpose(id: &Id) -> String {
    format!("erasure {id}")
}
