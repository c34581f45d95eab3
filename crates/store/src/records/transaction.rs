//! Transactions: one that reads, one that changes and tells of it, and one for mere bookkeeping.

use std::ops::{Deref, DerefMut};

use futures_util::StreamExt as _;
use tokio::sync::broadcast;
use weir_core::TenantId;

use super::Records;
use super::changes::Changes;
use super::engine::{Engine, OnEngine, Purpose};
use super::notices::Topic;
use super::row::Row;
use super::select::Select;
use super::statement::Statement;
use crate::audit::{self, Entry, Head};
use crate::error::{Error, Result};

/// Whose records a change is about; each has an audit chain of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The installation: organizations themselves, people, configuration.
    Platform,
    /// One organization.
    Tenant(TenantId),
}

impl Scope {
    /// The scope of what belongs to this organization.
    pub fn of(tenant: &TenantId) -> Self {
        match *tenant == TenantId::platform() {
            true => Self::Platform,
            false => Self::Tenant(tenant.clone()),
        }
    }

    /// The name of its audit chain.
    pub fn name(&self) -> &str {
        match self {
            Self::Platform => "platform",
            Self::Tenant(tenant) => tenant.as_str(),
        }
    }

    /// The scope of this name.
    pub(crate) fn of_name(name: &str) -> Result<Self> {
        if name == Self::Platform.name() {
            return Ok(Self::Platform);
        }
        let tenant = name
            .parse()
            .map_err(|_| Error::internal("not the name of a scope"))?;
        Ok(Self::Tenant(tenant))
    }
}

impl std::str::FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> std::result::Result<Self, NotAScope> {
        match text {
            "platform" => Ok(Self::Platform),
            text => text.parse().map(Self::Tenant).map_err(|_| NotAScope),
        }
    }
}

/// Text that names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is `platform` or the identifier of an organization, such as org_01kc2q8r5nf0hb6x2v9w4t7zde"
)]
pub struct NotAScope;

/// Queries that all see the same state.
pub struct Read {
    transaction: OnEngine,
}

impl Read {
    /// Reads within what is to be a change as well.
    pub(crate) const fn within(transaction: OnEngine) -> Self {
        Self { transaction }
    }

    pub(crate) fn into_transaction(self) -> OnEngine {
        self.transaction
    }

    /// All rows that a query finds.
    pub async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        self.transaction.fetch(select.into_statement()).await
    }

    /// The first row that a query finds.
    pub async fn first(&mut self, select: Select) -> Result<Option<Row>> {
        Ok(self.all(select.limit(1)).await?.into_iter().next())
    }

    /// Hands over the rows that a query finds, one by one, so that they are never in memory together.
    pub async fn each<E: From<Error>>(
        &mut self,
        select: Select,
        mut take: impl FnMut(&Row) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut rows = self.transaction.stream(select.into_statement())?;
        while let Some(row) = rows.next().await {
            take(&row?)?;
        }
        Ok(())
    }

    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>> {
        self.transaction.fetch(statement).await
    }
}

/// A change that cannot be committed without an entry for the audit. Dropped, it is undone.
pub struct Write {
    changes: Changes,
    held: Vec<Held>,
    notices: Vec<Topic>,
    committed: Option<broadcast::Sender<Topic>>,
}

/// The end of a chain that this transaction alone can extend.
struct Held {
    scope: Scope,
    head: Head,
}

/// A change that is not worth an entry: activity of sessions, counters, leases.
pub struct Unaudited {
    changes: Changes,
}

impl Records {
    /// Begins to read.
    pub async fn read(&self) -> Result<Read> {
        let transaction = self.pools.begin(Purpose::Read).await?;
        Ok(Read { transaction })
    }

    /// Begins to change what belongs to a scope; waits for others who do.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such organization.
    pub async fn write(&self, scope: &Scope) -> Result<Write> {
        let transaction = self.pools.begin(Purpose::Write).await?;
        let mut write = Write {
            changes: Changes::new(transaction),
            held: Vec::with_capacity(1),
            notices: Vec::new(),
            committed: self.pools.committed(),
        };
        write.hold(scope).await?;
        Ok(write)
    }

    /// Begins a change of which the audit is told nothing.
    pub async fn write_unaudited(&self) -> Result<Unaudited> {
        let transaction = self.pools.begin(Purpose::Write).await?;
        Ok(Unaudited {
            changes: Changes::new(transaction),
        })
    }
}

impl Write {
    /// Takes up another scope. Whoever needs several takes the platform's first, so that two never
    /// wait for each other.
    pub async fn hold(&mut self, scope: &Scope) -> Result<()> {
        if self.held.iter().any(|held| held.scope == *scope) {
            return Ok(());
        }
        let mut statement = Statement::new(Head::OF_SCOPE);
        statement.bind(scope.name());
        if self.changes.transaction.engine() == Engine::Postgres {
            statement.push(" FOR UPDATE");
        }
        let rows = self.changes.transaction.fetch(statement).await?;
        let row = rows.first().ok_or(Error::Missing("scopes"))?;
        self.held.push(Held {
            scope: scope.clone(),
            head: Head::of(row)?,
        });
        Ok(())
    }

    /// The number that the next entry of a scope will have.
    pub(crate) fn next_sequence(&self, scope: &Scope) -> Result<i64> {
        self.held
            .iter()
            .find(|held| held.scope == *scope)
            .map(|held| held.head.sequence + 1)
            .ok_or_else(|| Error::internal("a scope that is not held"))
    }

    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>> {
        self.changes.transaction.fetch(statement).await
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        self.changes.transaction.execute(statement).await
    }

    /// Makes the scope of a new organization, and holds it.
    pub async fn open_scope(&mut self, tenant: &TenantId) -> Result<()> {
        let head = Head::default();
        let statement = Statement::new(
            "INSERT INTO scopes (id, audit_sequence, audit_hash, audit_at) VALUES (?, ?, ?, ?)",
        )
        .with(tenant.as_str())
        .with(head.sequence)
        .with(&head.hash[..])
        .with(head.at);
        self.changes.transaction.execute(statement).await?;
        self.held.push(Held {
            scope: Scope::Tenant(tenant.clone()),
            head,
        });
        Ok(())
    }

    /// Tells the audit of one thing that this transaction does.
    ///
    /// # Errors
    /// A scope that is not held is a mistake of the program.
    pub async fn tell(&mut self, scope: &Scope, entry: &Entry) -> Result<()> {
        let held = self
            .held
            .iter_mut()
            .find(|held| held.scope == *scope)
            .ok_or_else(|| Error::internal("an entry for a scope that is not held"))?;
        let now = self.changes.now;
        let statement = audit::append(&mut held.head, scope, now, entry)?;
        self.changes.transaction.execute(statement).await?;
        Ok(())
    }

    /// Has all who [listen](Records::notices), in every process, hear of this once it is committed.
    pub async fn notify(&mut self, topic: Topic) -> Result<()> {
        if !self.notices.contains(&topic) {
            self.changes.transaction.notify(topic).await?;
            self.notices.push(topic);
        }
        Ok(())
    }

    /// Tells the audit, and makes it all so. Once this has returned, no crash undoes it.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the engine was lost before it answered; [`Error::Taken`] if the request was
    /// to take effect once, and has.
    pub async fn commit(mut self, scope: &Scope, entry: &Entry) -> Result<()> {
        self.tell(scope, entry).await?;
        if let Some(once) = &entry.once {
            let subject = entry.subject.id.as_ref();
            once.remember(&mut self.changes, subject).await?;
        }
        for held in &self.held {
            let statement = Statement::new(
                "UPDATE scopes SET audit_sequence = ?, audit_hash = ?, audit_at = ? WHERE id = ?",
            )
            .with(held.head.sequence)
            .with(&held.head.hash[..])
            .with(held.head.at)
            .with(held.scope.name());
            self.changes.transaction.execute(statement).await?;
        }
        let result = self.changes.transaction.commit().await;
        // Told even if it did not take effect: a look too many does no harm.
        if let Some(committed) = self.committed {
            for topic in self.notices {
                // Fails if nobody listens.
                let _ = committed.send(topic);
            }
        }
        result
    }
}

impl Unaudited {
    /// Makes it so.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the engine was lost before it answered.
    pub async fn commit(self) -> Result<()> {
        self.changes.transaction.commit().await
    }
}

impl Deref for Write {
    type Target = Changes;

    fn deref(&self) -> &Changes {
        &self.changes
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Changes {
        &mut self.changes
    }
}

impl Deref for Unaudited {
    type Target = Changes;

    fn deref(&self) -> &Changes {
        &self.changes
    }
}

impl DerefMut for Unaudited {
    fn deref_mut(&mut self) -> &mut Changes {
        &mut self.changes
    }
}
