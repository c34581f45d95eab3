//! What a policy asks of signatures, and the check against it (RFC 9421 §3.2).

use crate::algorithm::Algorithm;
use crate::base;
use crate::component::RequiredComponent;
use crate::fault::Fault;
use crate::input::Input;
use crate::key::VerifyingKey;
use crate::message::Message;
use crate::replay::ReplayId;

/// What a signature must be like to be accepted. All times are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Required {
    /// What it covers at least.
    pub components: Vec<RequiredComponent>,
    /// Age from which on it is too old. There is always one: a signature for ever is a password.
    pub max_age: u64,
    /// How far the signer's clock may be off.
    pub clock_skew: u64,
    /// Whether it carries a nonce.
    pub require_nonce: bool,
    /// The application that it is for (§2.3, `tag`).
    pub tag: Option<Box<str>>,
    /// Algorithms of keys that are accepted; empty for all.
    pub algorithms: Vec<Algorithm>,
    /// Whether a request with a body has its `content-digest` covered. Without, the body is not signed.
    pub digest_of_bodies: bool,
}

impl Default for Required {
    /// Method, whole target and body, for five minutes.
    fn default() -> Self {
        let whole = ["@method", "@target-uri"];
        Self {
            components: whole
                .into_iter()
                .flat_map(RequiredComponent::parse)
                .collect(),
            max_age: 300,
            clock_skew: 30,
            require_nonce: false,
            tag: None,
            algorithms: Vec::new(),
            digest_of_bodies: true,
        }
    }
}

/// A signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its label.
    pub label: String,
    /// Its key.
    pub key_id: String,
    /// The key's algorithm.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created: u64,
    /// Last second in which it is accepted; until then [`Verified::replay`] must be remembered.
    pub until: u64,
    /// By what it is known again.
    pub replay: ReplayId,
    /// Whether `content-digest` is signed: the body must then be checked with a
    /// [`crate::DigestChecker`], or it is not what was signed.
    pub covers_digest: bool,
}

impl Required {
    /// Checks the signatures of a request; the first that is accepted counts, others are not needed.
    ///
    /// `keys` finds a key by its `keyid`. `now` is in seconds since 1970. At most four signatures with 32
    /// components each, in 8 KiB, are looked at. Whether it was used before is not looked at: see
    /// [`crate::ReplayGuard`].
    ///
    /// # Errors
    /// [`Fault::NoSignature`] if there is none; otherwise what is wrong with the one that came furthest.
    pub fn verify<'a, 'k, F, K>(
        &self,
        message: &Message<'a, F>,
        keys: K,
        now: u64,
    ) -> Result<Verified, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
        K: Fn(&str) -> Option<&'k VerifyingKey>,
    {
        let mut furthest = Fault::NoSignature;
        for input in &Input::read(message)? {
            match self.verify_one(message, input, &keys, now) {
                Ok(verified) => return Ok(verified),
                Err(fault) if rank(fault) > rank(furthest) => furthest = fault,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    /// What costs little comes first: only who has a key of ours makes us calculate.
    fn verify_one<'a, 'k, F, K>(
        &self,
        message: &Message<'a, F>,
        input: &Input<'a>,
        keys: &K,
        now: u64,
    ) -> Result<Verified, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
        K: Fn(&str) -> Option<&'k VerifyingKey>,
    {
        let tag = input.text("tag")?;
        if self.tag.is_some() && self.tag.as_deref() != tag {
            return Err(Fault::WrongTag);
        }
        let key_id = input.text("keyid")?.ok_or(Fault::NoKeyId)?;
        let key = keys(key_id).ok_or(Fault::UnknownKey)?;
        self.check_algorithm(input, key)?;
        let (created, until) = self.check_times(input, now)?;
        let nonce = input.text("nonce")?;
        if self.require_nonce && nonce.is_none_or(str::is_empty) {
            return Err(Fault::NoNonce);
        }
        let covers_digest = self.check_coverage(message.has_body, input)?;

        let base = base::write(message, input)?;
        key.verify(base.as_bytes(), &input.signature)?;
        Ok(Verified {
            label: input.label.to_owned(),
            key_id: key_id.to_owned(),
            algorithm: key.algorithm(),
            created,
            until,
            // Not the signature itself: for ECDSA, whoever saw one can make another that is valid as well.
            replay: match nonce {
                Some(nonce) => ReplayId::of_nonce(key_id, nonce),
                None => ReplayId::of_content(key_id, base.as_bytes()),
            },
            covers_digest,
        })
    }

    fn check_algorithm(&self, input: &Input<'_>, key: &VerifyingKey) -> Result<(), Fault> {
        let algorithm = key.algorithm();
        let stated = input.text("alg")?;
        if stated.is_some_and(|stated| stated != algorithm.as_str()) {
            return Err(Fault::WrongAlgorithm);
        }
        if !self.algorithms.is_empty() && !self.algorithms.contains(&algorithm) {
            return Err(Fault::AlgorithmNotAllowed);
        }
        Ok(())
    }

    /// When it was made, and until when it is accepted.
    fn check_times(&self, input: &Input<'_>, now: u64) -> Result<(u64, u64), Fault> {
        let created = input.time("created")?.ok_or(Fault::NoCreated)?;
        let expires = input.time("expires")?;
        if created > now.saturating_add(self.clock_skew) {
            return Err(Fault::FromTheFuture);
        }
        if expires.is_some_and(|expires| expires < created) {
            return Err(Fault::ExpiresBeforeCreated);
        }
        let of_age = created
            .saturating_add(self.max_age)
            .saturating_add(self.clock_skew);
        if now > of_age {
            return Err(Fault::TooOld);
        }
        let expires = expires.unwrap_or(u64::MAX).saturating_add(self.clock_skew);
        if now > expires {
            return Err(Fault::Expired);
        }
        Ok((created, of_age.min(expires)))
    }

    /// Whether `content-digest` is among what is covered.
    fn check_coverage(&self, has_body: bool, input: &Input<'_>) -> Result<bool, Fault> {
        let mut components = self.components.iter();
        if !components.all(|component| component.is_covered(&input.components)) {
            return Err(Fault::NotCovered);
        }
        let covers_digest = RequiredComponent::content_digest().is_covered(&input.components);
        if has_body && self.digest_of_bodies && !covers_digest {
            return Err(Fault::DigestNotCovered);
        }
        Ok(covers_digest)
    }
}

/// Of several signatures, which one its holder wants to hear of: others may be for somebody else.
const fn rank(fault: Fault) -> u8 {
    match fault {
        Fault::NoSignature => 0,
        Fault::WrongTag => 1,
        Fault::NoKeyId | Fault::UnknownKey => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests;
