//! Taking a person's data out of entries, while the chain stays whole.

use serde_json::{Map, json};
use weir_core::Id;

use super::entry::{Actor, Change, Entry, Origin, Subject};
use super::verify::ERASURE;
use crate::error::{Error, Result};
use crate::records::{Row, Scope, Statement, Write};

/// Whose data is to go.
#[derive(Clone, Debug)]
pub struct Person {
    /// The identifier, which stays: by itself it names nobody.
    pub id: Id,
    /// The e-mail addresses by which entries may name the person.
    pub emails: Vec<String>,
}

/// What was taken out of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Which chain.
    pub scope: Scope,
    /// The numbers of the entries that lost their text.
    pub entries: Vec<i64>,
    /// The number of the entry that tells so.
    pub told_by: i64,
}

impl Write {
    /// The e-mail addresses that entries about a person have recorded as that person's.
    pub async fn recorded_emails(&mut self, person: &Id) -> Result<Vec<String>> {
        let statement = Statement::new(
            "SELECT change FROM audit WHERE scope = ? AND subject_id = ? AND change IS NOT NULL",
        )
        .with(Scope::Platform.name())
        .with(person);
        let mut emails = Vec::new();
        for row in self.fetch(statement).await? {
            let change: Change = serde_json::from_str(&row.text("change")?)
                .map_err(|error| Error::Internal(error.into()))?;
            for state in [&change.before, &change.after] {
                if let Some(email) = state.get("email").and_then(|email| email.as_str())
                    && !emails.iter().any(|known| known == email)
                {
                    emails.push(email.to_owned());
                }
            }
        }
        Ok(emails)
    }

    /// Removes origin and change, with their salts, of every entry in every chain that the person
    /// did, that is about the person or that names one of the addresses; each chain is told of it.
    /// The platform's scope must be held; those of organizations are taken up here.
    pub async fn erase_from_audit(
        &mut self,
        person: &Person,
        by: &Actor,
        origin: &Origin,
        request_id: Option<&str>,
    ) -> Result<Vec<Erased>> {
        let mut scopes = self.scopes_with(person).await?;
        // Everybody takes up scopes in this order, the platform's first.
        scopes.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        for scope in &scopes {
            self.hold(scope).await?;
        }
        let mut erased = Vec::with_capacity(scopes.len());
        for scope in scopes {
            // What was added before the scope was held belongs to it as well.
            let entries = self.entries_with(&scope, person).await?;
            let told_by = self.next_sequence(&scope)?;
            for entry in &entries {
                self.erase_text(&scope, entry, told_by).await?;
            }
            let entries: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
            let mut after = Map::new();
            after.insert("entries".to_owned(), json!(entries));
            let entry = Entry {
                actor: by.clone(),
                origin: origin.clone(),
                action: ERASURE,
                subject: Subject {
                    kind: "user",
                    id: Some(person.id.clone()),
                },
                change: Change {
                    before: Map::new(),
                    after,
                },
                request_id: request_id.map(str::to_owned),
                once: None,
            };
            self.tell(&scope, &entry).await?;
            erased.push(Erased {
                scope,
                entries,
                told_by,
            });
        }
        Ok(erased)
    }

    async fn scopes_with(&mut self, person: &Person) -> Result<Vec<Scope>> {
        let mut statement = Statement::new("SELECT DISTINCT scope FROM audit WHERE ");
        concerns(&mut statement, person);
        let rows = self.fetch(statement).await?;
        rows.iter()
            .map(|row| Scope::named(&row.text("scope")?))
            .collect()
    }

    async fn entries_with(&mut self, scope: &Scope, person: &Person) -> Result<Vec<Found>> {
        let mut statement =
            Statement::new("SELECT sequence, action FROM audit WHERE scope = ?").with(scope.name());
        statement.push(" AND ");
        concerns(&mut statement, person);
        statement.push(" ORDER BY sequence");
        let rows = self.fetch(statement).await?;
        rows.iter().map(Found::of).collect()
    }

    async fn erase_text(&mut self, scope: &Scope, entry: &Found, told_by: i64) -> Result<()> {
        let mut statement =
            Statement::new("UPDATE audit SET erased_by = ?, origin = NULL, origin_salt = NULL")
                .with(told_by);
        // What an erasure erased must stay known; it names nobody.
        if !entry.is_erasure {
            statement.push(", change = NULL, change_salt = NULL");
        }
        statement
            .push(" WHERE scope = ? AND sequence = ?")
            .bind(scope.name())
            .bind(entry.sequence);
        self.execute(statement).await.map(drop)
    }
}

struct Found {
    sequence: i64,
    is_erasure: bool,
}

impl Found {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            sequence: row.int("sequence")?,
            is_erasure: row.text("action")? == ERASURE,
        })
    }
}

/// An address counts where it is a whole string of the JSON; that one is part of another is no reason
/// to erase.
fn concerns(statement: &mut Statement, person: &Person) {
    statement.push("erased_by IS NULL AND (actor_id = ");
    statement.push_value(&person.id);
    statement.push(" OR subject_id = ").push_value(&person.id);
    for email in &person.emails {
        let text = json!(email).to_string();
        // Neither engine's LIKE would do: what is a wildcard there may stand in an address.
        for condition in [
            " OR REPLACE(origin, ?, '') <> origin",
            " OR REPLACE(change, ?, '') <> change",
        ] {
            statement.push(condition).bind(&text);
        }
    }
    statement.push(")");
}
