//! The schema: numbered steps, each taken once, by one process at a time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Records;
use super::engine::{Engine, OnEngine, Purpose};
use super::open::make;
use super::statement::Statement;
use crate::error::{Error, Result};

/// A step; its text never changes once it was released.
pub(crate) struct Migration {
    number: i64,
    name: &'static str,
    /// SQL for both engines, in which `{bytes}` and the like stand for what they write differently.
    pub(super) text: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal,)+) => {
        &[$(Migration {
            number: $number,
            name: $name,
            text: include_str!(concat!("../../migrations/", $name, ".sql")),
        },)+]
    };
}

pub(super) const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_audit",
    2 "0002_organizations",
    3 "0003_people",
    4 "0004_api",
    5 "0005_resources",
    6 "0006_kept_answers",
    7 "0007_accounts",
    8 "0008_lookups",
    9 "0009_api_keys",
    10 "0010_tokens",
    11 "0011_sessions",
    12 "0012_access_policies",
};

/// Any number that is ours alone: "weir" in ASCII.
const LOCK: i64 = 0x7765_6972;

/// How long one step may take; far beyond what any should.
const STEP_TIMEOUT: Duration = Duration::from_secs(3_600);

/// What stands between this program and a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaMismatch {
    /// A newer program has been here.
    #[error(
        "the database has migration {0}, which this version of weir does not know: it was made by a newer one"
    )]
    Newer(i64),
    /// A step was changed after it had been taken.
    #[error("migration {number} in the database is not the one of this version of weir ({name})")]
    Different {
        /// The step.
        number: i64,
        /// Its name here.
        name: &'static str,
    },
    /// The database is further than it was to be brought.
    #[error("the database has migration {0} already, which is beyond where it was to be brought")]
    Beyond(i64),
    /// Steps are still to be taken.
    #[error("the database lacks {0} migrations; weir migrate applies them")]
    Pending(usize),
}

/// How far a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// The last step that was taken; 0 before the first.
    pub applied: i64,
    /// Steps still to take, in order.
    pub pending: Vec<&'static str>,
}

impl SchemaState {
    /// Of a database that is not there yet.
    pub fn of_nothing() -> Self {
        Self {
            applied: 0,
            pending: MIGRATIONS.iter().map(|step| step.name).collect(),
        }
    }
}

/// What [`Records::migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The steps, in order; none if the database was up to date.
    pub applied: Vec<&'static str>,
}

impl Records {
    /// How far the database is; changes nothing.
    ///
    /// # Errors
    /// [`Error::Schema`] if it is not this program's.
    pub async fn schema(&self) -> Result<SchemaState> {
        let mut transaction = self.pools.begin(Purpose::Read).await?;
        let taken = taken(&mut transaction).await?;
        let pending = pending(&taken)?;
        Ok(SchemaState {
            applied: taken.last().map_or(0, |step| step.number),
            pending: pending.iter().map(|step| step.name).collect(),
        })
    }

    /// Takes the steps that are still to be taken. Several processes may call this at once: one does
    /// it, the others wait and find it done. A step that fails leaves what was before it.
    pub async fn migrate(&self) -> Result<Migrated> {
        // It may not have been possible when records were opened.
        self.pools.file().map_or(Ok(()), make)?;
        self.pools.renew().await?;
        let mut applied = Vec::new();
        // One transaction a step: what is done is not done again after a failure further on.
        while let Some(name) = self.take_next_step().await? {
            tracing::info!(migration = name, "records migrated");
            applied.push(name);
        }
        Ok(Migrated { applied })
    }

    async fn take_next_step(&self) -> Result<Option<&'static str>> {
        let mut transaction = self.pools.begin(Purpose::Write).await?;
        lock(&mut transaction).await?;
        let taken = taken(&mut transaction).await?;
        let Some(step) = pending(&taken)?.first() else {
            return Ok(None);
        };
        take(&mut transaction, step).await?;
        transaction.commit().await?;
        Ok(Some(step.name))
    }
}

/// Takes, within a transaction of the caller's that holds the [`lock`], the steps that lead to where another database was.
///
/// # Errors
/// [`SchemaMismatch`] if that one, or this one, is not this program's; [`SchemaMismatch::Beyond`] if
/// this one is further already.
pub(crate) async fn raise(transaction: &mut OnEngine, level: &[Taken]) -> Result<()> {
    pending(level)?;
    let taken = taken(transaction).await?;
    pending(&taken)?;
    if taken.len() > level.len() {
        let last = taken.last().map_or(0, |step| step.number);
        return Err(SchemaMismatch::Beyond(last).into());
    }
    for step in &MIGRATIONS[taken.len()..level.len()] {
        take(transaction, step).await?;
    }
    Ok(())
}

async fn take(transaction: &mut OnEngine, step: &Migration) -> Result<()> {
    let engine = transaction.engine();
    if !has_table(transaction).await? {
        let text = format!("CREATE TABLE {TABLE} {COLUMNS}");
        transaction.script(translate(&text, engine)?).await?;
    }
    transaction.script(translate(step.text, engine)?).await?;
    let statement = Statement::new(
        "INSERT INTO weir_migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
    )
    .with(step.number)
    .with(step.name)
    .with(step.checksum())
    .with(Timestamp::now());
    transaction.execute(statement).await?;
    Ok(())
}

/// Where a database remembers its steps.
pub(crate) const TABLE: &str = "weir_migrations";

const COLUMNS: &str = "(
    number BIGINT NOT NULL PRIMARY KEY,
    name {text} NOT NULL,
    checksum {bytes} NOT NULL,
    applied_at BIGINT NOT NULL
);";

/// Has others who change the schema wait. SQLite's write transaction is a lock by itself.
pub(crate) async fn lock(transaction: &mut OnEngine) -> Result<()> {
    if transaction.engine() == Engine::Postgres {
        let timeout = STEP_TIMEOUT.as_millis();
        transaction
            .script(format!("SET LOCAL statement_timeout = {timeout}"))
            .await?;
        transaction
            .fetch(Statement::new("SELECT pg_advisory_xact_lock(?)").with(LOCK))
            .await?;
    }
    Ok(())
}

async fn has_table(transaction: &mut OnEngine) -> Result<bool> {
    let statement = match transaction.engine() {
        Engine::Sqlite => {
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'weir_migrations'"
        }
        Engine::Postgres => "SELECT 1 WHERE to_regclass('weir_migrations') IS NOT NULL",
    };
    let rows = transaction.fetch(Statement::new(statement)).await?;
    Ok(!rows.is_empty())
}

/// A step that a database remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    number: i64,
    /// SHA-256 of its text.
    checksum: Vec<u8>,
}

/// The steps that were taken, in order; none in an empty database.
pub(crate) async fn taken(transaction: &mut OnEngine) -> Result<Vec<Taken>> {
    if !has_table(transaction).await? {
        return Ok(Vec::new());
    }
    let statement = Statement::new("SELECT number, checksum FROM weir_migrations ORDER BY number");
    let rows = transaction.fetch(statement).await?;
    rows.iter()
        .map(|row| {
            Ok(Taken {
                number: row.int("number")?,
                checksum: row.bytes("checksum")?,
            })
        })
        .collect()
}

/// The steps behind those that were taken, which must be the first ones of ours.
pub(crate) fn pending(
    taken: &[Taken],
) -> std::result::Result<&'static [Migration], SchemaMismatch> {
    for (at, step) in taken.iter().enumerate() {
        let Some(ours) = MIGRATIONS.get(at) else {
            return Err(SchemaMismatch::Newer(step.number));
        };
        if ours.number != step.number || ours.checksum() != step.checksum {
            return Err(SchemaMismatch::Different {
                number: step.number,
                name: ours.name,
            });
        }
    }
    Ok(&MIGRATIONS[taken.len()..])
}

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.text).to_vec()
    }
}

/// Puts an engine's phrases in place of `{…}`.
fn translate(text: &str, engine: Engine) -> Result<String> {
    let mut translated = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        translated.push_str(before);
        let (name, behind) = behind
            .split_once('}')
            .ok_or_else(|| Error::internal("a migration has a brace that nothing closes"))?;
        let phrase = engine
            .phrase(name)
            .ok_or_else(|| Error::internal(format!("a migration has an unknown {{{name}}}")))?;
        translated.push_str(phrase);
        rest = behind;
    }
    translated.push_str(rest);
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_through_and_named_for_it() {
        for (at, step) in MIGRATIONS.iter().enumerate() {
            assert_eq!(step.number, at as i64 + 1);
            assert!(step.name.starts_with(&format!("{:04}_", step.number)));
            for engine in [Engine::Sqlite, Engine::Postgres] {
                translate(step.text, engine).unwrap();
            }
        }
    }

    #[test]
    fn a_database_of_another_program_is_told_apart() {
        let step = |at: usize| Taken {
            number: MIGRATIONS[at].number,
            checksum: MIGRATIONS[at].checksum(),
        };
        assert_eq!(pending(&[]).unwrap().len(), MIGRATIONS.len());
        assert_eq!(pending(&[step(0)]).unwrap().len(), MIGRATIONS.len() - 1);
        let changed = Taken {
            checksum: vec![0; 32],
            ..step(0)
        };
        assert!(matches!(
            pending(&[changed]),
            Err(SchemaMismatch::Different { number: 1, .. })
        ));
        let mut all: Vec<_> = (0..MIGRATIONS.len()).map(step).collect();
        all.push(Taken {
            number: 99,
            checksum: vec![],
        });
        assert!(matches!(pending(&all), Err(SchemaMismatch::Newer(99))));
    }
}
