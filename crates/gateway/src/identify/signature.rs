//! Requests that are signed by RFC 9421.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use serde_json::{Map, json};
use weir_config::model;
use weir_core::Principal;
use weir_core::principal::Method;
use weir_signatures::{DigestChecker, Fault, Message, Verified};

use super::Verdict;
use super::known::Known;
use super::message::{self, Open};
use super::replays::Replays;
use crate::fields::Fields;

static INPUT: HeaderName = HeaderName::from_static("signature-input");
static SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// A `signature` policy.
pub(super) struct Signature {
    pub(super) model: Box<model::Signature>,
    /// Places of keys, by their `keyid`.
    places: HashMap<String, usize>,
    pub(super) replays: Arc<Replays>,
}

impl Signature {
    pub(super) fn compile(model: &model::Signature, former: Option<&Self>) -> Self {
        let keys = model.keys.iter().enumerate();
        Self {
            places: keys.map(|(at, key)| (key.key_id.clone(), at)).collect(),
            replays: match former {
                // What was used under another key set was used.
                Some(former) => Arc::clone(&former.replays),
                None => Arc::default(),
            },
            model: Box::new(model.clone()),
        }
    }

    /// Judges the fields.
    pub(super) fn open<'a, F>(&self, message: &Message<'a, F>, now: u64) -> Result<Open, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let key = |id: &str| Some(&*self.party(id)?.key);
        let verified = self.model.required.verify(message, key, now)?;
        if self.replays.was_used(&verified) {
            return Err(Fault::Replayed);
        }
        let digest = match verified.covers_digest {
            true => DigestChecker::of(message)?,
            false => None,
        };
        Ok(Open::Signature { verified, digest })
    }

    /// Who signed it, after its body.
    pub(super) fn close(
        &self,
        verified: &Verified,
        digest: Option<DigestChecker>,
        now: u64,
    ) -> Verdict {
        match self.admit(verified, digest, now) {
            Ok(principal) => {
                // `until` is the last second in which it is good.
                let ends_at = verified.until.saturating_add(1);
                Verdict::Good(Known::new(principal, ends_at, None))
            }
            Err(fault) => message::refused(fault),
        }
    }

    fn admit(
        &self,
        verified: &Verified,
        digest: Option<DigestChecker>,
        now: u64,
    ) -> Result<Principal, Fault> {
        if let Some(digest) = digest {
            digest.finish()?;
        }
        let party = self.party(&verified.key_id).ok_or(Fault::UnknownKey)?;
        self.replays.admit(verified, self.model.remembered, now)?;
        let mut claims = Map::new();
        claims.insert("keyid".to_owned(), json!(verified.key_id));
        claims.insert("algorithm".to_owned(), json!(verified.algorithm.as_str()));
        claims.insert("created".to_owned(), json!(verified.created));
        Ok(Principal {
            method: Method::Signature,
            issuer: None,
            subject: party.subject.as_str().into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims,
        })
    }

    fn party(&self, key_id: &str) -> Option<&model::SigningParty> {
        self.model.keys.get(*self.places.get(key_id)?)
    }
}

/// What says that a request is signed.
pub(super) fn presented(fields: &Fields) -> Option<&[u8]> {
    let found = fields.get(&INPUT).or_else(|| fields.get(&SIGNATURE));
    found.map(http::HeaderValue::as_bytes)
}

pub(super) fn remove(fields: &mut Fields) {
    fields.remove(&INPUT);
    fields.remove(&SIGNATURE);
}
