//! Reading what was recorded.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::records::{Read, Records, Row, Scope, Statement};

/// Which entries of one scope are wanted.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Done by this one.
    pub actor: Option<String>,
    /// Done to this one.
    pub subject: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Oldest first, instead of newest first.
    pub oldest_first: bool,
    /// Only what comes behind this number in that order.
    pub after: Option<i64>,
}

/// An entry as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number in the chain, from 1.
    pub sequence: i64,
    /// When it was done.
    pub at: Timestamp,
    /// `user`, `system`, `operator`, `target` or `anonymous`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<String>,
    /// What.
    pub action: String,
    /// To what kind of thing.
    pub subject_kind: String,
    /// To which one.
    pub subject_id: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// From where; null if it was erased.
    pub origin: Option<Json>,
    /// What became different; null if it was erased.
    pub change: Option<Json>,
    /// The entry that tells of the erasure.
    pub erased_by: Option<i64>,
    /// The chain's hash up to here.
    pub hash: Vec<u8>,
}

impl Records {
    /// Entries of a scope, at most `limit`.
    pub async fn audit(&self, scope: &Scope, query: &Query, limit: i64) -> Result<Vec<Recorded>> {
        let rows = if query.since.is_none() && query.until.is_none() {
            self.fetch(statement(scope, query, &Span::of(query), limit))
                .await?
        } else {
            let mut read = self.read().await?;
            match Span::in_time(&mut read, scope, query).await? {
                Some(span) => read.fetch(statement(scope, query, &span, limit)).await?,
                None => Vec::new(),
            }
        };
        rows.iter().map(Recorded::of).collect()
    }

    /// The chain's hash at one entry of a scope, if it is there.
    pub async fn audit_hash(&self, scope: &Scope, sequence: i64) -> Result<Option<Vec<u8>>> {
        let statement = Statement::new("SELECT hash FROM audit WHERE scope = ? AND sequence = ?")
            .with(scope.name())
            .with(sequence);
        let rows = self.fetch(statement).await?;
        rows.first().map(|row| row.bytes("hash")).transpose()
    }

    /// All scopes, the platform's first.
    pub async fn scopes(&self) -> Result<Vec<Scope>> {
        let statement = Statement::new("SELECT id FROM scopes ORDER BY id DESC");
        let rows = self.fetch(statement).await?;
        rows.iter()
            .map(|row| {
                let id = row.text("id")?;
                id.parse().map_err(|error| Error::Internal(Box::new(error)))
            })
            .collect()
    }
}

/// Between which numbers entries are wanted. As one bound on each side, each is a bound of the index: an
/// engine would look through all that lies between two.
struct Span {
    above: Option<i64>,
    below: Option<i64>,
}

impl Span {
    /// Behind where the page before ended.
    const fn of(query: &Query) -> Self {
        let (above, below) = match query.oldest_first {
            true => (query.after, None),
            false => (None, query.after),
        };
        Self { above, below }
    }

    /// The same, within the query's times: they never go back along a chain. None if nothing is that
    /// young.
    async fn in_time(read: &mut Read, scope: &Scope, query: &Query) -> Result<Option<Self>> {
        let mut span = Self::of(query);
        if let Some(since) = query.since {
            let Some(first) = first_from(read, scope, since).await? else {
                return Ok(None);
            };
            span.above = span.above.max(Some(first - 1));
        }
        if let Some(until) = query.until
            && let Some(first) = first_from(read, scope, until).await?
        {
            span.below = Some(span.below.map_or(first, |below| below.min(first)));
        }
        Ok(Some(span))
    }
}

/// The number of the first entry that is not older than this.
async fn first_from(read: &mut Read, scope: &Scope, time: Timestamp) -> Result<Option<i64>> {
    let statement = Statement::new(
        "SELECT sequence FROM audit WHERE scope = ? AND at >= ? ORDER BY at, sequence LIMIT 1",
    )
    .with(scope.name())
    .with(time);
    let rows = read.fetch(statement).await?;
    rows.first().map(|row| row.int("sequence")).transpose()
}

fn statement(scope: &Scope, query: &Query, span: &Span, limit: i64) -> Statement {
    let mut statement = Statement::new(
        "SELECT sequence, at, actor_kind, actor_id, action, subject_kind, subject_id, request_id, \
             origin, change, erased_by, hash FROM audit WHERE scope = ?",
    )
    .with(scope.name());
    for (condition, value) in [
        (" AND actor_id = ?", &query.actor),
        (" AND subject_id = ?", &query.subject),
        (" AND action = ?", &query.action),
    ] {
        if let Some(value) = value {
            statement.push(condition).bind(value);
        }
    }
    for (condition, number) in [
        (" AND sequence > ?", span.above),
        (" AND sequence < ?", span.below),
    ] {
        if let Some(number) = number {
            statement.push(condition).bind(number);
        }
    }
    statement.push(match query.oldest_first {
        true => " ORDER BY sequence LIMIT ?",
        false => " ORDER BY sequence DESC LIMIT ?",
    });
    statement.bind(limit);
    statement
}

impl Recorded {
    fn of(row: &Row) -> Result<Self> {
        let json = |column| -> Result<Option<Json>> {
            row.optional_text(column)?
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|error| Error::Internal(error.into()))
        };
        Ok(Self {
            sequence: row.int("sequence")?,
            at: row.time("at")?,
            actor_kind: row.text("actor_kind")?,
            actor_id: row.optional_text("actor_id")?,
            action: row.text("action")?,
            subject_kind: row.text("subject_kind")?,
            subject_id: row.optional_text("subject_id")?,
            request_id: row.optional_text("request_id")?,
            origin: json("origin")?,
            change: json("change")?,
            erased_by: row.optional_int("erased_by")?,
            hash: row.bytes("hash")?,
        })
    }
}
