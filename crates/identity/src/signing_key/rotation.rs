//! How one key takes the place of another.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use weir_core::Id;
use weir_store::records::{Changes, Scope, Topic, Value, Write};

use super::{AHEAD, LEEWAY, LONGEST_ACCESS, SigningKey, Stage, failed, latest, purpose};
use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::revocation::{self, RevocationKind};
use crate::tables::SIGNING_KEYS;
use crate::throttle::later;

/// When the next key is to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Once every verifier can have read of it.
    Soon,
    /// At once: verifiers that have not read the set since must do so when they meet it.
    Now,
}

/// What is to be done about the keys at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Rotation(Rotation),
}

impl Identity {
    /// Makes the next key, which takes the place of the one that signs; tells of the next one.
    ///
    /// # Errors
    /// [`Error::Conflict`] for [`Rotation::Soon`] while the next one waits for its time already.
    pub async fn rotate_signing_key(
        &self,
        caller: &Caller,
        rotation: Rotation,
    ) -> Result<SigningKey> {
        let rotated = self.rotate(caller, |_, _| Due::Rotation(rotation)).await?;
        rotated.ok_or(Error::Conflict(
            "the next key is published already, and waits until verifiers can know it",
        ))
    }

    /// Rotates as is due by the keys that there are once nobody else can change them; none if nothing is.
    async fn rotate(
        &self,
        caller: &Caller,
        due: impl Fn(&[SigningKey], Timestamp) -> Due,
    ) -> Result<Option<SigningKey>> {
        let fresh = self.generate().await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let (keys, now) = (within(&mut write).await?, write.now());
        let Due::Rotation(rotation) = due(&keys, now) else {
            return Ok(None);
        };
        let next = keys.iter().find(|key| key.stage == Stage::Next);
        let kid = match (next, rotation) {
            (Some(_), Rotation::Soon) => return Ok(None),
            (Some(next), Rotation::Now) => {
                let set = [("active_from", Value::from(now))];
                let rows = SIGNING_KEYS.rows();
                write.update(rows, &next.id, None, set).await?;
                retire(&mut write, &keys, now).await?;
                next.kid.clone()
            }
            (None, rotation) => {
                let from = active_from(&keys, rotation, now)?;
                retire(&mut write, &keys, from).await?;
                self.insert(&mut write, &fresh, from).await?
            }
        };
        self.rotated(write, caller, &kid).await.map(Some)
    }

    /// Takes a key out at once, since somebody else may have it: nothing that it has signed is good from here on.
    /// Another one signs.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Conflict`] if it is out already.
    pub async fn revoke_signing_key(&self, caller: &Caller, kid: &str) -> Result<()> {
        let fresh = self.generate().await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let keys = within(&mut write).await?;
        let key = keys.iter().find(|key| key.kid == kid);
        let key = key.ok_or(Error::Missing("signing key"))?;
        if !key.stage.is_published() {
            return Err(Error::Conflict(
                "the key is out of the published set already",
            ));
        }
        let now = write.now();
        let set = [
            ("revoked_at", Value::from(now)),
            ("retired_at", Value::from(now)),
            ("removed_at", Value::from(now)),
            ("sealed_key", Value::from(None::<&[u8]>)),
        ];
        let rows = SIGNING_KEYS.rows();
        write.update(rows, &key.id, None, set).await?;
        if key.stage == Stage::Active {
            match keys.iter().find(|key| key.stage == Stage::Next) {
                Some(next) => {
                    let set = [("active_from", Value::from(now))];
                    write.update(rows, &next.id, None, set).await?;
                }
                None => {
                    self.insert(&mut write, &fresh, now).await?;
                }
            }
        } else if key.stage == Stage::Next {
            // The one that signs was to make way for it.
            for active in keys.iter().filter(|key| key.stage == Stage::Active) {
                let set = [
                    ("retired_at", Value::from(None::<i64>)),
                    ("removed_at", Value::from(None::<i64>)),
                ];
                write.update(rows, &active.id, None, set).await?;
            }
        }
        revocation::add(&mut write, RevocationKind::Key, kid).await?;
        let mut change = made(members(json!({ "kid": kid })));
        std::mem::swap(&mut change.before, &mut change.after);
        let entry = caller.entry("signing_key.revoke", "signing_key", &key.id, change);
        note_change(&mut write, CredentialKind::SigningKey, kid).await?;
        write.commit(&Scope::Platform, &entry).await?;
        self.refresh_keys().await
    }

    /// Sees to it that a key signs, and that none signs for longer than it should. Several nodes may do so: one does it.
    pub(crate) async fn rotate_if_due(&self) -> Result<()> {
        let keys = self.signing_keys().await?;
        if self.due(&keys, Timestamp::now()) != Due::Nothing {
            let caller = Caller::system();
            self.rotate(&caller, |keys, now| self.due(keys, now))
                .await?;
        }
        self.forget_retired().await
    }

    fn due(&self, keys: &[SigningKey], now: Timestamp) -> Due {
        let tokens = &self.shared.options.tokens;
        due(keys, tokens.algorithm.as_str(), tokens.rotate_every, now)
    }

    /// Private keys that sign no more need not be there.
    async fn forget_retired(&self) -> Result<()> {
        let now = Timestamp::now();
        let rows = self.records.all(latest()).await?;
        for row in &rows {
            let is_retired = row.optional_time("retired_at")?.is_some_and(|at| at <= now);
            if !is_retired || row.optional_bytes("sealed_key")?.is_none() {
                continue;
            }
            let mut write = self.records.write_unaudited().await?;
            let set = [("sealed_key", Value::from(None::<&[u8]>))];
            let rows = SIGNING_KEYS.rows();
            let condition = "id = ? AND retired_at <= ?";
            let values = [Value::from(&row.id("id")?), Value::from(now)];
            write.update_where(rows, condition, values, set).await?;
            write.commit().await?;
        }
        Ok(())
    }

    async fn rotated(&self, mut write: Write, caller: &Caller, kid: &str) -> Result<SigningKey> {
        let keys = within(&mut write).await?;
        let key = keys.into_iter().find(|key| key.kid == kid);
        let key = key.ok_or(Error::Missing("signing key"))?;
        let change = made(members(json!({
            "kid": key.kid, "algorithm": key.algorithm, "active_from": key.active_from,
        })));
        let entry = caller.entry("signing_key.rotate", "signing_key", &key.id, change);
        write.notify(Topic::Credentials).await?;
        write.commit(&Scope::Platform, &entry).await?;
        self.refresh_keys().await?;
        Ok(key)
    }

    /// The key that an installation begins with.
    pub(crate) async fn insert_first_key(&self, write: &mut Write) -> Result<()> {
        let fresh = self.generate().await?;
        let now = write.now();
        self.insert(write, &fresh, now).await.map(drop)
    }

    /// An RSA key takes a while to find.
    async fn generate(&self) -> Result<weir_jose::SigningKey> {
        let algorithm = self.shared.options.tokens.algorithm.of_jose();
        let made = tokio::task::spawn_blocking(move || weir_jose::SigningKey::generate(algorithm));
        made.await.map_err(Error::internal)?.map_err(failed)
    }

    async fn insert(
        &self,
        changes: &mut Changes,
        key: &weir_jose::SigningKey,
        active_from: Timestamp,
    ) -> Result<String> {
        let kid = key.id().to_string();
        let pkcs8 = key.to_pkcs8().map_err(failed)?;
        let sealed = self.shared.sealer.seal(&purpose(&kid), pkcs8.expose())?;
        let values = [
            ("kid", Value::from(&kid)),
            ("algorithm", Value::from(key.algorithm().as_str())),
            ("public_jwk", Value::from(key.public_jwk().to_string())),
            ("sealed_key", Value::from(sealed)),
            ("active_from", Value::from(active_from)),
        ];
        let rows = SIGNING_KEYS.rows();
        changes.insert(rows, &Id::new("sig"), values).await?;
        Ok(kid)
    }
}

async fn within(changes: &mut Changes) -> Result<Vec<SigningKey>> {
    let now = changes.now();
    let rows = changes.all(latest()).await?;
    rows.iter().map(|row| SigningKey::of(row, now)).collect()
}

/// Has those that sign make way from then on.
async fn retire(changes: &mut Changes, keys: &[SigningKey], from: Timestamp) -> Result<()> {
    let removed_at = later(from, LONGEST_ACCESS + LEEWAY)?;
    for key in keys.iter().filter(|key| key.stage == Stage::Active) {
        let set = [
            ("retired_at", Value::from(from)),
            ("removed_at", Value::from(removed_at)),
        ];
        let rows = SIGNING_KEYS.rows();
        changes.update(rows, &key.id, None, set).await?;
    }
    Ok(())
}

/// Without one that signs, nothing is gained by waiting.
fn active_from(keys: &[SigningKey], rotation: Rotation, now: Timestamp) -> Result<Timestamp> {
    let has_active = keys.iter().any(|key| key.stage == Stage::Active);
    match rotation {
        Rotation::Soon if has_active => later(now, AHEAD),
        Rotation::Soon | Rotation::Now => Ok(now),
    }
}

/// A key signs for `every` at most, and by the algorithm that is wanted.
fn due(keys: &[SigningKey], algorithm: &str, every: Duration, now: Timestamp) -> Due {
    let in_stage = |stage| keys.iter().filter(move |key| key.stage_at(now) == stage);
    if in_stage(Stage::Next).next().is_some() {
        return Due::Nothing;
    }
    let active = in_stage(Stage::Active).max_by_key(|key| key.active_from);
    let Some(active) = active else {
        return Due::Rotation(Rotation::Now);
    };
    let age = now.duration_since(active.active_from);
    let is_old = !age.is_negative() && age.unsigned_abs() + AHEAD >= every;
    match is_old || active.algorithm != algorithm {
        true => Due::Rotation(Rotation::Soon),
        false => Due::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_due_in_time_and_not_twice() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let key = |active_from, retired_at: Option<i64>| SigningKey {
            id: Id::new("sig"),
            kid: "a".to_owned(),
            algorithm: "ES256".to_owned(),
            stage: Stage::Next,
            created_at: at(0),
            active_from: at(active_from),
            retired_at: retired_at.map(at),
            removed_at: retired_at.map(|second| at(second + 3_660)),
            revoked_at: None,
        };
        let due =
            |keys: &[SigningKey], now| due(keys, "ES256", Duration::from_secs(10_000), at(now));
        assert_eq!(due(&[], 0), Due::Rotation(Rotation::Now));
        let one = [key(0, None)];
        assert_eq!(due(&one, 9_099), Due::Nothing);
        assert_eq!(due(&one, 9_100), Due::Rotation(Rotation::Soon));
        let both = [key(0, Some(10_000)), key(10_000, None)];
        assert_eq!(due(&both, 9_500), Due::Nothing);
        assert_eq!(due(&both, 10_000), Due::Nothing);
        // It was retired, and nothing took its place: as after a restore by hand.
        assert_eq!(due(&[key(0, Some(10))], 20), Due::Rotation(Rotation::Now));
        let by = |algorithm| super::due(&one, algorithm, Duration::from_secs(10_000), at(10));
        assert_eq!(by("EdDSA"), Due::Rotation(Rotation::Soon));
    }
}
