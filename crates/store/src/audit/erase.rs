//! Taking a person's data out of entries, while the chain stays whole.
//!
//! It goes along a chain in stretches, so that nobody waits long for the chain, and each stretch is a change
//! of its own that tells what it took: after any of them one can stop, and go on later.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use weir_core::Id;

use super::entry::{Actor, Change, Entry, Origin, Subject};
use super::verify::ERASURE;
use crate::error::{Error, Result};
use crate::records::{Records, Row, Scope, Statement, Write};

/// The action of the entry that an erasure begins with.
pub const ERASURE_BEGUN: &str = "user.erase_begin";
/// The action of the entry that an erasure ends with.
pub const ERASURE_DONE: &str = "user.erase";

/// Entries that are looked at together.
const STRETCH: i64 = 5_000;
/// Entries that one entry tells of: whoever verifies the chain reads it again for each of them.
const MOST: i64 = 500;

/// Whose data is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The identifiers of their accounts, which stay: by themselves they name nobody.
    pub ids: Vec<Id>,
    /// The e-mail addresses by which entries may name the person.
    pub emails: Vec<String>,
}

/// Who has it erased, as entries name them.
#[derive(Clone, Debug)]
pub struct Eraser {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// By which request.
    pub request_id: Option<String>,
}

/// What was taken out of a stretch of one chain.
#[derive(Clone, Debug)]
pub struct ErasedStretch {
    /// The numbers of the entries that lost their text.
    pub entries: Vec<i64>,
    /// Up to which number no entry names the person any more.
    pub until: i64,
    /// Whether that is the last one.
    pub is_end: bool,
    /// What the chain must be told if it was any: its number is `told_by`.
    pub entry: Entry,
    /// The number that this will have.
    pub told_by: i64,
}

impl Records {
    /// Up to which number, from `after` on, no entry of a chain names a person: `after` itself, if the next
    /// one does or there is none. Looks at one stretch, and holds nobody up.
    pub async fn skip_unnamed(&self, scope: &Scope, person: &Person, after: i64) -> Result<i64> {
        let (named, until) = self.next_named(scope, person, after).await?;
        Ok(named.map_or(until, |named| named - 1))
    }

    /// Whether an entry of a chain names a person. Goes from stretch to stretch, and holds nobody up.
    pub async fn is_named(&self, scope: &Scope, person: &Person) -> Result<bool> {
        let mut after = 0;
        loop {
            let (named, until) = self.next_named(scope, person, after).await?;
            if named.is_some() || until == after {
                return Ok(named.is_some());
            }
            after = until;
        }
    }

    /// The next entry from `after` on that names a person, if one does in one stretch; and up to where that goes.
    async fn next_named(
        &self,
        scope: &Scope,
        person: &Person,
        after: i64,
    ) -> Result<(Option<i64>, i64)> {
        let head = Statement::new("SELECT audit_sequence FROM scopes WHERE id = ?");
        let head = self.fetch(head.with(scope.name())).await?;
        let head = head.first().ok_or(Error::Missing("scopes"))?;
        let until = head.int("audit_sequence")?.min(after + STRETCH).max(after);
        let mut first = Statement::new("SELECT sequence FROM audit WHERE ");
        within(&mut first, scope, after, until, person);
        first.push(" ORDER BY sequence LIMIT 1");
        let first = self.fetch(first).await?;
        let named = first.first().map(|row| row.int("sequence"));
        Ok((named.transpose()?, until))
    }

    /// The accounts that entries say had this address: in one stretch of the platform's chain, with the
    /// number up to which it goes; none at the end.
    pub async fn accounts_of(&self, email: &str, after: i64) -> Result<Option<(Vec<Id>, i64)>> {
        let scope = Scope::Platform;
        let person = Person {
            emails: vec![email.to_owned()],
            ..Person::default()
        };
        let head = Statement::new("SELECT audit_sequence FROM scopes WHERE id = ?");
        let head = self.fetch(head.with(scope.name())).await?;
        let head = head.first().ok_or(Error::Missing("scopes"))?;
        let until = head.int("audit_sequence")?.min(after + STRETCH);
        if until <= after {
            return Ok(None);
        }
        let mut statement =
            Statement::new("SELECT subject_id, change FROM audit WHERE subject_kind = 'user' AND ");
        statement.push(OWN_ADDRESS).push(" AND ");
        within(&mut statement, &scope, after, until, &person);
        let mut ids: Vec<Id> = Vec::new();
        for row in self.fetch(statement).await? {
            if let Some(id) = row.optional_id("subject_id")?
                && !ids.contains(&id)
                && emails_in(&row)?.iter().any(|known| known == email)
            {
                ids.push(id);
            }
        }
        Ok(Some((ids, until)))
    }
}

impl Write {
    /// The e-mail addresses that entries about a person have recorded as that person's.
    pub async fn recorded_emails(&mut self, person: &Id) -> Result<Vec<String>> {
        let mut statement =
            Statement::new("SELECT change FROM audit WHERE scope = ? AND subject_id = ? AND ")
                .with(Scope::Platform.name())
                .with(person);
        statement.push(OWN_ADDRESS);
        let mut emails = Vec::new();
        for row in self.fetch(statement).await? {
            for email in emails_in(&row)? {
                if !emails.contains(&email) {
                    emails.push(email);
                }
            }
        }
        Ok(emails)
    }

    /// Whether the platform's chain still tells something of a person, by the identifier.
    pub async fn is_told_of(&mut self, person: &Id) -> Result<bool> {
        // One condition each, so that an index serves it: this waits for nobody's whole chain.
        for condition in [
            "actor_id = ?",
            "action NOT IN ('person.erase', 'user.erase_begin', 'user.erase') AND subject_id = ?",
        ] {
            let mut statement = Statement::new(
                "SELECT sequence FROM audit WHERE erased_by IS NULL AND scope = ? AND ",
            );
            statement.bind(Scope::Platform.name());
            statement.push(condition).bind(person);
            statement.push(" LIMIT 1");
            if !self.fetch(statement).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes origin and change, with their salts, of the entries behind `after` in one stretch of a chain
    /// that the person did, that are about the person or that name one of the addresses. The scope must be
    /// held. If there were any, this is to be committed with the entry that comes back.
    pub async fn erase_from_audit(
        &mut self,
        scope: &Scope,
        person: &Person,
        after: i64,
        by: &Eraser,
    ) -> Result<ErasedStretch> {
        let told_by = self.next_sequence(scope)?;
        let end = told_by - 1;
        let mut until = end.min(after + STRETCH).max(after);
        let mut found = Statement::new("SELECT sequence FROM audit WHERE ");
        within(&mut found, scope, after, until, person);
        found.push(" ORDER BY sequence LIMIT ").push_value(MOST);
        let rows = self.fetch(found).await?;
        let entries: Vec<i64> = rows
            .iter()
            .map(|row| row.int("sequence"))
            .collect::<Result<_>>()?;
        if let (true, Some(last)) = (rows.len() as i64 == MOST, entries.last()) {
            until = *last;
        }
        if !entries.is_empty() {
            // What an erasure erased must stay known; it names nobody.
            let mut statement = Statement::new(
                "UPDATE audit SET origin = NULL, origin_salt = NULL, \
                 change = CASE WHEN action IN (?, ?, ?) THEN change END, \
                 change_salt = CASE WHEN action IN (?, ?, ?) THEN change_salt END, \
                 erased_by = ",
            );
            for action in OF_ERASURE.iter().chain(&OF_ERASURE) {
                statement.bind(*action);
            }
            statement.push_value(told_by).push(" WHERE ");
            within(&mut statement, scope, after, until, person);
            self.execute(statement).await?;
        }
        let mut after = Map::new();
        after.insert("entries".to_owned(), json!(entries));
        let entry = Entry {
            actor: by.actor.clone(),
            origin: by.origin.clone(),
            action: ERASURE,
            subject: Subject {
                kind: "user",
                id: person.ids.first().cloned(),
            },
            change: Change {
                before: Map::new(),
                after,
            },
            request_id: by.request_id.clone(),
            once: None,
        };
        Ok(ErasedStretch {
            entries,
            until,
            is_end: until == end,
            entry,
            told_by,
        })
    }
}

/// Entries that tell of erasures: what they say of whom they are about names nobody.
const OF_ERASURE: [&str; 3] = [ERASURE, ERASURE_BEGUN, ERASURE_DONE];

/// An address that somebody only asked for may be anybody's.
const OWN_ADDRESS: &str = "change IS NOT NULL AND action <> 'email.change_request'";

/// What the member `email` of a change was and became.
fn emails_in(row: &Row) -> Result<Vec<String>> {
    let change: Change = serde_json::from_str(&row.text("change")?)
        .map_err(|error| Error::Internal(error.into()))?;
    let states = [&change.before, &change.after].into_iter();
    let emails = states.filter_map(|state| state.get("email")?.as_str().map(str::to_owned));
    Ok(emails.collect())
}

/// The entries of a chain with numbers beyond `after` up to `until` that concern a person. An address counts
/// where it is a whole string of the JSON; that one is part of another is no reason to erase.
fn within(statement: &mut Statement, scope: &Scope, after: i64, until: i64, person: &Person) {
    statement.push("scope = ").push_value(scope.name());
    statement.push(" AND sequence > ").push_value(after);
    statement.push(" AND sequence <= ").push_value(until);
    statement.push(" AND erased_by IS NULL AND (1 = 0");
    for id in &person.ids {
        statement.push(" OR actor_id = ").push_value(id);
        statement.push(" OR (subject_id = ").push_value(id);
        statement.push(" AND action NOT IN (?, ?, ?))");
        for action in OF_ERASURE {
            statement.bind(action);
        }
    }
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
