//! The keys as this node has them in memory: it signs and publishes without asking the records.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use weir_jose::{Algorithm, KeySet};
use weir_store::records::Row;

use super::{SigningKey, Stage, failed, latest, purpose};
use crate::Identity;
use crate::error::{Error, Result};

/// The keys that verifiers are to know, as of one moment.
#[derive(Clone)]
pub struct Published {
    /// For whoever verifies within the process.
    pub set: Arc<KeySet>,
    /// The same for others: a JWK set (RFC 7517 §5).
    pub document: Arc<str>,
    /// Of the document, without quotes.
    pub etag: Arc<str>,
}

impl fmt::Debug for Published {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Published({})", self.document)
    }
}

/// What is known of all keys.
#[derive(Default)]
pub(crate) struct Ring(RwLock<Kept>);

#[derive(Clone, Default)]
struct Kept {
    keys: Vec<Known>,
    published: Option<Published>,
}

#[derive(Clone)]
struct Known {
    version: i64,
    key: SigningKey,
    public: Json,
    /// None where it signs no more.
    private: Option<Arc<weir_jose::SigningKey>>,
}

impl Ring {
    /// What signs at this time; the latest, if nodes were told of two.
    pub(crate) fn signing(&self, now: Timestamp) -> Option<Arc<weir_jose::SigningKey>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let active = kept
            .keys
            .iter()
            .filter(|known| known.key.stage_at(now) == Stage::Active && known.private.is_some());
        let latest = active.max_by_key(|known| known.key.active_from);
        latest.and_then(|known| known.private.clone())
    }

    /// None before the keys were read for the first time.
    pub(crate) fn published(&self) -> Option<Published> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.published.clone()
    }

    /// Unless the keys were read already.
    fn recall(&self, published: Published) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.published.get_or_insert(published);
    }

    fn keys(&self) -> Vec<Known> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.keys.clone()
    }

    /// Time may have moved on, or there are other keys; whether others are published than before.
    fn set(&self, keys: Vec<Known>, now: Timestamp) -> Result<bool> {
        let known = keys.iter();
        let known = known.filter(|known| known.key.stage_at(now).is_published());
        let published: Vec<&Json> = known.map(|known| &known.public).collect();
        let document = json!({ "keys": published }).to_string();
        let former = self.published();
        let former = former.filter(|former| *former.document == *document);
        let is_other = former.is_none();
        let published = former.map_or_else(|| publish(document), Ok)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Kept {
            keys,
            published: Some(published),
        };
        Ok(is_other)
    }
}

impl Identity {
    /// The keys that verifiers of this installation's tokens are to know, from memory: as the records had them a second
    /// ago at most, or when they could last be asked. None before they could be asked for the first time.
    pub fn published_keys(&self) -> Option<Published> {
        self.shared.ring.published()
    }

    /// The key that signs at this time, from memory as well.
    pub fn signing_key(&self, now: Timestamp) -> Option<Arc<weir_jose::SigningKey>> {
        self.shared.ring.signing(now)
    }

    /// Reads the keys, unless records cannot be reached; what is published follows the time in any case.
    pub(crate) async fn refresh_keys(&self) -> Result<()> {
        let read = self.read_keys().await;
        let ring = &self.shared.ring;
        let now = Timestamp::now();
        let (keys, outcome) = match read {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (ring.keys(), Err(error)),
        };
        // Without any, what a former process knew is still better than nothing.
        if (!keys.is_empty() || outcome.is_ok()) && ring.set(keys, now)? {
            self.shared.verification.send_replace(());
        }
        outcome
    }

    /// The keys that were published when this process, or the one before it, last knew: for a start without records.
    ///
    /// # Errors
    /// If this is no set of keys of this installation.
    pub fn recall_keys(&self, document: &str) -> Result<()> {
        let published = publish(document.to_owned())?;
        self.shared.ring.recall(published);
        self.shared.verification.send_replace(());
        Ok(())
    }

    async fn read_keys(&self) -> Result<Vec<Known>> {
        let now = Timestamp::now();
        let former = self.shared.ring.keys();
        let mut keys = Vec::new();
        for row in self.records.all(latest()).await? {
            let key = SigningKey::of(&row, now)?;
            if matches!(key.stage, Stage::Removed | Stage::Revoked) {
                continue;
            }
            let version = row.int("version")?;
            let same = former
                .iter()
                .find(|known| known.version == version && known.key.kid == key.kid);
            keys.push(match same {
                Some(known) => known.clone(),
                None => self.known(&row, key, version)?,
            });
        }
        Ok(keys)
    }

    fn known(&self, row: &Row, key: SigningKey, version: i64) -> Result<Known> {
        let public = row.text("public_jwk")?;
        let sealed = row.optional_bytes("sealed_key")?;
        let private = match sealed.filter(|_| key.stage != Stage::Retired) {
            Some(sealed) => {
                let pkcs8 = self.shared.sealer.open(&purpose(&key.kid), &sealed)?;
                let algorithm = Algorithm::named(&key.algorithm)
                    .ok_or_else(|| Error::internal("a signing key has an unknown algorithm"))?;
                let private = weir_jose::SigningKey::from_pkcs8(algorithm, &pkcs8);
                Some(Arc::new(private.map_err(failed)?))
            }
            None => None,
        };
        Ok(Known {
            version,
            public: serde_json::from_str(&public).map_err(Error::internal)?,
            private,
            key,
        })
    }
}

fn publish(document: String) -> Result<Published> {
    let (set, skipped) = KeySet::parse(document.as_bytes()).map_err(Error::internal)?;
    if !skipped.is_empty() {
        return Err(Error::internal("a key of this installation cannot be read"));
    }
    let digest = Sha256::digest(&document);
    let etag: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Published {
        set: Arc::new(set),
        document: document.into(),
        etag: etag.into(),
    })
}
