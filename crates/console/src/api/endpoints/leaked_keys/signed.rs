//! Reports that GitHub's secret scanning partner programme signs: ECDSA on P-256 with SHA-256 over the body, byte by byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Semaphore, SemaphorePermit};
use weir_config::model::Keys;
use weir_jose::remote::{Asked, Published};
use weir_jose::{Algorithm, Key, KeySet};

use crate::problem::Problem;

const KEY: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";
/// Characters of an identifier; those of GitHub have 64.
const MOST_KEY: usize = 256;
/// Reports that are remembered.
const REMEMBERED: usize = 1024;
/// Reports that are longer than anybody's may be, and are read at a time.
const LARGE_AT_ONCE: usize = 4;
/// Seconds after which the keys are likely to be there.
const SOON: u16 = 60;

/// A signature that comes with a report, and whose it says that it is.
pub(super) struct Claimed {
    key: String,
    signature: Vec<u8>,
}

/// The keys among which the one of a report is.
pub(super) enum Signers {
    Configured(Arc<KeySet>),
    Published(Arc<Published>),
}

/// What is known of signed reports.
pub(in crate::api) struct SignedReports {
    /// Those of late, by what they say: no time stands in one, so that whoever has one can send it again.
    latest: Mutex<VecDeque<[u8; 32]>>,
    /// Places of those that are read before it is known whether their signature is good.
    places: Semaphore,
}

impl Default for SignedReports {
    fn default() -> Self {
        Self {
            latest: Mutex::default(),
            places: Semaphore::new(LARGE_AT_ONCE),
        }
    }
}

impl Claimed {
    /// The signature in a head; none if it has neither field.
    ///
    /// # Errors
    /// 403 if it has only one of them, one twice, or no signature in it.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let field = |name| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(Some(value.as_bytes())),
                (None, _) => Ok(None),
                (Some(_), Some(_)) => Err(refused("A field of the signature is there twice.")),
            }
        };
        let (key, signature) = match (field(KEY)?, field(SIGNATURE)?) {
            (Some(key), Some(signature)) => (key, signature),
            (None, None) => return Ok(None),
            _ => return Err(refused("One field of the signature is missing.")),
        };
        let key = str::from_utf8(key).ok();
        let key = key.filter(|key| !key.is_empty() && key.len() <= MOST_KEY);
        let signature = STANDARD.decode(signature).ok();
        match (key, signature) {
            (Some(key), Some(signature)) => Ok(Some(Self {
                key: key.to_owned(),
                signature,
            })),
            _ => Err(refused("The signature is not in base64, or names no key.")),
        }
    }

    /// The keys among which is the one that it names. A publisher who may have a newer set is asked, once in a while.
    ///
    /// # Errors
    /// 403 if there is no such key; 503 if that cannot be known.
    pub(super) async fn signers(&self, keys: &Keys, now: Instant) -> Result<Signers, Problem> {
        let unknown = || refused("There is no key of this identifier.");
        let followed = match keys {
            Keys::Set(set) if self.is_among(set) => {
                return Ok(Signers::Configured(Arc::clone(set)));
            }
            Keys::Set(_) | Keys::Own(_) => return Err(unknown()),
            Keys::Published(published) => published.followed.as_ref().ok_or_else(away)?,
        };
        let published = followed.keys().ok_or_else(away)?;
        if self.is_among(&published.set) {
            return Ok(Signers::Published(published));
        }
        match followed.ask_again(published.generation, now).await {
            Asked::Newer(published) if self.is_among(&published.set) => {
                Ok(Signers::Published(published))
            }
            Asked::Newer(_) | Asked::Same => Err(unknown()),
            Asked::Unreachable => Err(away()),
        }
    }

    /// Goes on if this is the signature of the body.
    ///
    /// # Errors
    /// 403.
    pub(super) fn verify(&self, signers: &Signers, body: &[u8]) -> Result<(), Problem> {
        let set = match signers {
            Signers::Configured(set) => set,
            Signers::Published(published) => &published.set,
        };
        let is_verified = self
            .key_in(set)
            .is_some_and(|key| key.verifies_asn1(body, &self.signature));
        match is_verified {
            true => Ok(()),
            false => Err(refused("The signature is not that of this body.")),
        }
    }

    fn is_among(&self, set: &KeySet) -> bool {
        self.key_in(set).is_some()
    }

    fn key_in<'s>(&self, set: &'s KeySet) -> Option<&'s Key> {
        set.find(Some(&self.key), Algorithm::Es256).ok()
    }
}

impl SignedReports {
    /// A place for a report of more than `short` bytes, or of which nobody says how long it is.
    ///
    /// # Errors
    /// 503 if all are taken.
    pub(super) fn place(
        &self,
        body: &Body,
        short: u64,
    ) -> Result<Option<SemaphorePermit<'_>>, Problem> {
        let is_short = body.size_hint().upper().is_some_and(|most| most <= short);
        if is_short {
            return Ok(None);
        }
        let place = self.places.try_acquire().map_err(|_| {
            let detail = "Other reports of this length are being read.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(SOON)
        })?;
        Ok(Some(place))
    }

    /// Whether a report was not there lately; it is remembered from now on.
    pub(super) fn is_first(&self, body: &[u8]) -> bool {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, body).as_ref());
        let mut former = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if former.contains(&hash) {
            return false;
        }
        if former.len() == REMEMBERED {
            former.pop_front();
        }
        former.push_back(hash);
        true
    }
}

pub(super) fn refused(detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "bad_signature", detail)
}

fn away() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "keys_unavailable",
        "The keys that reports are signed with cannot be read for now: the log of this node says why.",
    )
    .retry_after(SOON)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn claimed(fields: &[(&'static str, &[u8])]) -> Result<Option<Claimed>, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        Claimed::of(&headers)
    }

    #[test]
    fn a_signature_has_both_fields_once() {
        assert!(claimed(&[]).unwrap().is_none());
        let read = claimed(&[(KEY, b"a1"), (SIGNATURE, b"MEQC")]).unwrap();
        assert_eq!(read.unwrap().key, "a1");
        let long = [b'a'; MOST_KEY + 1];
        for fields in [
            &[(KEY, &b"a1"[..])][..],
            &[(SIGNATURE, b"MEQC")],
            &[(KEY, b"a1"), (KEY, b"a1"), (SIGNATURE, b"MEQC")],
            &[(KEY, b"a1"), (SIGNATURE, b"MEQC"), (SIGNATURE, b"MEQC")],
            &[(KEY, b""), (SIGNATURE, b"MEQC")],
            &[(KEY, &long), (SIGNATURE, b"MEQC")],
            &[(KEY, b"\xff"), (SIGNATURE, b"MEQC")],
            &[(KEY, b"a1"), (SIGNATURE, b"MEQ\xff")],
            &[(KEY, b"a1"), (SIGNATURE, b"ME QC")],
        ] {
            assert!(claimed(fields).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn a_report_is_remembered_until_many_others_came() {
        let reports = SignedReports::default();
        assert!(reports.is_first(b"a") && !reports.is_first(b"a"));
        for number in 1..REMEMBERED {
            assert!(reports.is_first(&number.to_be_bytes()));
        }
        assert!(!reports.is_first(b"a"));
        assert!(reports.is_first(b"b") && reports.is_first(b"a"));
    }
}
