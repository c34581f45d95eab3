//! Sealing everything under the present key, after the installation has got another one.
//!
//! It goes through each table in the order of identifiers, some rows to a transaction, and may be ended and begun again
//! at any point: what is under the present key already is passed by. What somebody changes meanwhile is left to them,
//! and looked at again.

use serde_json::json;
use weir_core::{Id, TenantId};
use weir_store::records::{PlatformTable, Row, Scope, Value};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::error::Result;
use crate::tables::{
    ERASURES, IDEMPOTENCY_KEYS, INSTALLATION, MAIL_OUTBOX, REFRESH_FAMILIES, SIGNING_KEYS, TOTP,
};
use crate::{erase, idempotency, mail, refresh, signing_key, totp};

/// Rows to a transaction.
const BATCH: i64 = 200;
/// How often it is looked again at what was changed meanwhile.
const PASSES: usize = 3;

/// What became of a kind of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// What they are, such as `mail_outbox`.
    pub what: &'static str,
    /// How many there are.
    pub seen: u64,
    /// How many were sealed anew.
    pub anew: u64,
    /// How many open under no key that is known: they stay as they are.
    pub unreadable: u64,
    /// How many somebody was changing again and again.
    pub left: u64,
}

impl Rewrapped {
    /// Of a kind of which nothing was looked at yet.
    pub const fn none_of(what: &'static str) -> Self {
        Self {
            what,
            seen: 0,
            anew: 0,
            unreadable: 0,
            left: 0,
        }
    }

    /// Whether no former key is needed for these any more; what opens under none needs none.
    pub const fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Where secrets are.
struct Place {
    what: &'static str,
    table: PlatformTable,
    column: &'static str,
    purpose: fn(&Row) -> Result<String>,
}

const PLACES: [Place; 6] = [
    Place {
        what: "totp",
        table: TOTP,
        column: "sealed_secret",
        purpose: |row| Ok(totp::purpose(&row.id("user_id")?)),
    },
    Place {
        what: "mail_outbox",
        table: MAIL_OUTBOX,
        column: "sealed_message",
        purpose: |row| Ok(mail::purpose(&row.id("id")?)),
    },
    Place {
        what: "idempotency_keys",
        table: IDEMPOTENCY_KEYS,
        column: "sealed_answer",
        purpose: |row| Ok(idempotency::purpose(&row.bytes("key_hash")?)),
    },
    Place {
        what: "erasures",
        table: ERASURES,
        column: "sealed_state",
        purpose: |row| Ok(erase::job::purpose(&row.id("id")?)),
    },
    Place {
        what: "signing_keys",
        table: SIGNING_KEYS,
        column: "sealed_key",
        purpose: |row| Ok(signing_key::purpose(&row.text("kid")?)),
    },
    Place {
        what: "refresh_families",
        table: REFRESH_FAMILIES,
        column: "sealed_successor",
        purpose: |row| Ok(refresh::purpose(&row.id("id")?)),
    },
];

impl Identity {
    /// Seals what this service keeps under the present key. `progress` is told after each transaction. Several may do so
    /// at once, while nodes run.
    pub async fn rewrap(&self, progress: impl Fn(&Rewrapped)) -> Result<Vec<Rewrapped>> {
        let mut all = Vec::with_capacity(PLACES.len());
        for place in &PLACES {
            let mut anew = 0;
            let mut done = Rewrapped::none_of(place.what);
            for _ in 0..PASSES {
                done = Rewrapped::none_of(place.what);
                self.rewrap_place(place, &mut done, &progress).await?;
                anew += done.anew;
                if done.is_done() {
                    break;
                }
            }
            all.push(Rewrapped { anew, ..done });
        }
        Ok(all)
    }

    async fn rewrap_place(
        &self,
        place: &Place,
        done: &mut Rewrapped,
        progress: &impl Fn(&Rewrapped),
    ) -> Result<()> {
        let rows = place.table.rows();
        let mut after = String::new();
        loop {
            let mut write = self.records.write_unaudited().await?;
            let select = rows.select().with_trashed().filter("id > ?", [&after]);
            let some = write.all(select.order(["id"]).limit(BATCH)).await?;
            let Some(last) = some.last() else {
                return Ok(());
            };
            after = last.text("id")?;
            for row in &some {
                let Some(sealed) = row.optional_bytes(place.column)? else {
                    continue;
                };
                done.seen += 1;
                let purpose = (place.purpose)(row)?;
                match self.shared.sealer.reseal(&purpose, &sealed) {
                    Ok(None) => {}
                    Ok(Some(anew)) => {
                        let values = (Value::from(sealed), Value::from(anew));
                        let id = row.id("id")?;
                        match write.exchange(rows, &id, place.column, values).await? {
                            true => done.anew += 1,
                            false => done.left += 1,
                        }
                    }
                    Err(_) => done.unreadable += 1,
                }
            }
            write.commit().await?;
            progress(done);
        }
    }

    /// Writes down that all is under the present key, with what was done for it.
    pub async fn note_rewrapped(&self, caller: &Caller, done: &[Rewrapped]) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let installation: TenantId = TenantId::platform();
        let id: &Id = installation.id();
        let set = [("rewrapped_at", Value::from(write.now()))];
        write.update(INSTALLATION.rows(), id, None, set).await?;
        let counts = done
            .iter()
            .map(|one| (one.what.to_owned(), one.anew.into()));
        let counts: serde_json::Map<_, _> = counts.collect();
        let change = made(members(json!({ "sealed_anew": counts })));
        let entry = caller.entry("installation.rewrap", "installation", id, change);
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }
}
