//! What there is from the first start on: the organization that is the installation itself, and the
//! fingerprint of its key.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use weir_core::TenantId;
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Select, Value};

use crate::Identity;
use crate::caller::{Caller, members};
use crate::error::{Error, Result};
use crate::organization::NewOrganization;
use crate::settings::Settings;
use crate::tables::{INSTALLATION, ORGANIZATIONS};

const PLATFORM: &str = "platform";

/// What a node's key is to the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing was sealed yet.
    Unused,
    /// It is the one that all is sealed under.
    Settled,
    /// It is the installation's, and some may still be sealed under a former one.
    RewrapDue,
    /// It is to take the place of the installation's, which this node knows as a former one.
    New,
    /// Another one has taken its place.
    Superseded,
    /// The installation's key is not known here.
    Wrong,
}

impl Identity {
    /// Makes what must be there before anything else, unless it is.
    ///
    /// # Errors
    /// [`Error::WrongKey`] if these records were begun with another key than this node has.
    pub async fn prepare(&self) -> Result<()> {
        self.make_platform().await?;
        self.check_key().await?;
        // Before keys: whoever knows a key knows what is revoked of it.
        self.refresh_revocations().await?;
        self.rotate_if_due().await?;
        self.refresh_keys().await
    }

    async fn make_platform(&self) -> Result<()> {
        let id = TenantId::platform();
        let select = ORGANIZATIONS.rows().select().with_trashed();
        if self.records.first(select.with_id(id.id())).await?.is_some() {
            return Ok(());
        }
        let new = NewOrganization {
            slug: PLATFORM.to_owned(),
            name: "Platform".to_owned(),
            settings: Settings::default(),
        };
        let slug = PLATFORM.to_owned();
        match self
            .insert_organization(&Caller::system(), id, slug, new)
            .await
        {
            // Another node was faster.
            Err(Error::Taken(_)) => Ok(()),
            result => result.map(drop),
        }
    }

    async fn check_key(&self) -> Result<()> {
        let own = self.shared.sealer.fingerprint();
        if self.kept_fingerprint().await?.is_none() {
            let mut write = self.records.write_unaudited().await?;
            let id = TenantId::platform();
            let values = [("key_fingerprint", Value::from(&own[..]))];
            let inserted = write.insert(INSTALLATION.rows(), id.id(), values).await;
            // If not, another node was faster: what it kept is looked at below.
            if inserted.is_ok() {
                write.commit().await?;
            }
        }
        match self.key_state().await? {
            KeyState::Settled | KeyState::RewrapDue => Ok(()),
            KeyState::Superseded => {
                tracing::warn!(
                    "this node seals under a former key of the installation: give it the present one"
                );
                Ok(())
            }
            KeyState::New => self.take_over().await,
            KeyState::Unused | KeyState::Wrong => Err(Error::WrongKey),
        }
    }

    /// What this node's key is to these records.
    pub async fn key_state(&self) -> Result<KeyState> {
        let Some(row) = self.records.first(the_installation()).await? else {
            return Ok(KeyState::Unused);
        };
        let sealer = &self.shared.sealer;
        let kept = row.bytes("key_fingerprint")?;
        if verify_slices_are_equal(&kept, sealer.fingerprint()).is_ok() {
            let was_another = !former(&row)?.is_empty();
            return Ok(match row.optional_int("rewrapped_at")? {
                None if was_another => KeyState::RewrapDue,
                _ => KeyState::Settled,
            });
        }
        Ok(match sealer.knows(&kept) {
            true if former(&row)?.contains(&hexadecimal(sealer.fingerprint())) => {
                KeyState::Superseded
            }
            true => KeyState::New,
            false => KeyState::Wrong,
        })
    }

    /// From here on the installation's key is this node's.
    async fn take_over(&self) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let row = write.first(the_installation()).await?;
        let row = row.ok_or(Error::Missing("installation"))?;
        let own = self.shared.sealer.fingerprint();
        let kept = row.bytes("key_fingerprint")?;
        // Another node was faster.
        if kept == own {
            return Ok(());
        }
        let mut all = former(&row)?;
        all.push(hexadecimal(&kept));
        let set = [
            ("key_fingerprint", Value::from(&own[..])),
            (
                "former_fingerprints",
                Value::from(serde_json::to_string(&all).map_err(Error::internal)?),
            ),
            ("rewrapped_at", Value::from(None::<i64>)),
        ];
        let id = TenantId::platform();
        let rows = INSTALLATION.rows();
        write.update(rows, id.id(), None, set).await?;
        let change = Change {
            before: members(json!({ "key": name(&kept) })),
            after: members(json!({ "key": name(own) })),
        };
        let entry = Caller::system().entry("installation.rekey", "installation", id.id(), change);
        write.commit(&Scope::Platform, &entry).await?;
        tracing::warn!(
            "the installation has another key: `weir keys rewrap` seals under it what is under the former one"
        );
        Ok(())
    }

    async fn kept_fingerprint(&self) -> Result<Option<Vec<u8>>> {
        let row = self.records.first(the_installation()).await?;
        Ok(row.map(|row| row.bytes("key_fingerprint")).transpose()?)
    }
}

pub(crate) fn the_installation() -> Select {
    let rows = INSTALLATION.rows();
    rows.select().with_id(TenantId::platform().id())
}

/// Fingerprints of keys that were the installation's, in hexadecimal.
fn former(row: &Row) -> Result<Vec<String>> {
    match row.optional_text("former_fingerprints")? {
        Some(text) => serde_json::from_str(&text).map_err(Error::internal),
        None => Ok(Vec::new()),
    }
}

/// Of a fingerprint, what people tell keys apart by.
fn name(fingerprint: &[u8]) -> String {
    hexadecimal(&fingerprint[..fingerprint.len().min(8)])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
