//! The keys of one issuer.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::algorithm::Algorithm;
use crate::jwk::Jwk;
use crate::key::{Key, KeyFault};
use crate::thumbprint::KeyId;
use crate::token::NotVerified;

/// Longest text of a set, in bytes.
pub const LONGEST_SET: usize = 1 << 20;
/// Most keys of a set, used or not.
pub const MOST_KEYS: usize = 256;

/// Keys of which each token has at most one: no two have the same `kid` and algorithm.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// A key of a set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Why it is not used.
    pub fault: KeyFault,
}

/// Why there is no set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// More than [`LONGEST_SET`].
    #[error("the set of keys has {0} bytes; at most {LONGEST_SET} are read")]
    TooLong(usize),
    /// Not JSON, or without `keys` (RFC 7517 §5).
    #[error("the set of keys is not a JSON object with the array keys: {0}")]
    Form(String),
    /// Not JSON, or without `public_keys`.
    #[error(
        "the keys are not a JSON object with the array public_keys, as GitHub publishes them: {0}"
    )]
    GithubForm(String),
    /// More than [`MOST_KEYS`].
    #[error("the set has {0} keys; at most {MOST_KEYS} are read")]
    TooMany(usize),
    /// Keys that cannot be told apart.
    #[error(
        "several keys have the kid {kid:?} and the algorithm {algorithm}: tokens could not say which one they mean"
    )]
    SameKid {
        /// What both are called, if anything.
        kid: Option<String>,
        /// By which both verify.
        algorithm: Algorithm,
    },
}

impl KeySet {
    /// Of keys that somebody configured; the same key may be there twice.
    ///
    /// # Errors
    /// If there are too many, or different ones have the same `kid` and algorithm.
    pub fn new(keys: Vec<Key>) -> Result<Self, SetError> {
        if keys.len() > MOST_KEYS {
            return Err(SetError::TooMany(keys.len()));
        }
        let mut set = Self::default();
        for key in keys {
            if set.keys.iter().any(|other| are_rivals(&key, other)) {
                return Err(SetError::SameKid {
                    kid: key.kid().map(ToString::to_string),
                    algorithm: key.algorithm(),
                });
            }
            if !set.keys.iter().any(|other| is_same(&key, other)) {
                set.keys.push(key);
            }
        }
        Ok(set)
    }

    /// From the JSON that an issuer publishes (RFC 7517 §5), with the keys of it that are not used. An empty set is one:
    /// an issuer may take all of its keys back.
    ///
    /// A shared secret in it is not used: what is published is no secret. Neither are different keys of the same `kid`
    /// and algorithm.
    ///
    /// # Errors
    /// If the text is too long, has too many keys, or is no set.
    pub fn parse(json: &[u8]) -> Result<(Self, Vec<Skipped>), SetError> {
        if json.len() > LONGEST_SET {
            return Err(SetError::TooLong(json.len()));
        }
        let document: Document<'_> =
            serde_json::from_slice(json).map_err(|error| SetError::Form(error.to_string()))?;
        if document.keys.len() > MOST_KEYS {
            return Err(SetError::TooMany(document.keys.len()));
        }
        let keys = document.keys.iter();
        Ok(Self::sorted_out(
            keys.map(|json| published(json.get().as_bytes())),
        ))
    }

    /// From the JSON in which GitHub publishes what it signs its reports and requests with:
    /// `{"public_keys":[{"key_identifier":…,"key":PEM,"is_current":…}]}`. The identifier is the `kid`, the algorithm
    /// ES256; whether a key is current is not asked, since reports may still be under way.
    ///
    /// # Errors
    /// As of [`KeySet::parse`].
    pub fn parse_github(json: &[u8]) -> Result<(Self, Vec<Skipped>), SetError> {
        if json.len() > LONGEST_SET {
            return Err(SetError::TooLong(json.len()));
        }
        let document: GithubDocument = serde_json::from_slice(json)
            .map_err(|error| SetError::GithubForm(error.to_string()))?;
        if document.public_keys.len() > MOST_KEYS {
            return Err(SetError::TooMany(document.public_keys.len()));
        }
        let keys = document.public_keys.iter();
        Ok(Self::sorted_out(keys.map(|published| {
            let kid = Some(published.key_identifier.as_str());
            Key::from_pem(published.key.as_bytes(), Some(Algorithm::Es256), kid)
        })))
    }

    /// The keys that can be used, each once, and those that cannot, in their order.
    fn sorted_out(keys: impl Iterator<Item = Result<Key, KeyFault>>) -> (Self, Vec<Skipped>) {
        let mut skipped = Vec::new();
        let mut usable: Vec<(usize, Key)> = Vec::new();
        for (index, key) in keys.enumerate() {
            match key {
                Ok(key) => usable.push((index, key)),
                Err(fault) => skipped.push(Skipped { index, fault }),
            }
        }
        let rivals: Vec<bool> = usable
            .iter()
            .map(|(_, one)| usable.iter().any(|(_, other)| are_rivals(one, other)))
            .collect();
        let mut set = Self::default();
        for ((index, key), has_rival) in usable.into_iter().zip(rivals) {
            if has_rival {
                let fault = KeyFault::SameKid;
                skipped.push(Skipped { index, fault });
            } else if !set.keys.iter().any(|other| is_same(&key, other)) {
                set.keys.push(key);
            }
        }
        skipped.sort_by_key(|one| one.index);
        (set, skipped)
    }

    /// The one key that can have signed a token with this header.
    ///
    /// A key is found by its `kid`; one that has none stands for every `kid` that no other key has. A token without
    /// `kid` is checked only if exactly one key has its algorithm.
    ///
    /// # Errors
    /// [`NotVerified::UnknownKey`] if no key has this `kid`, so that a newer set may; otherwise why none fits.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, NotVerified> {
        let Some(kid) = kid else {
            return only(self.keys.iter().filter(|key| key.algorithm() == algorithm));
        };
        let mut named = self
            .keys
            .iter()
            .filter(|key| key.kid().is_some_and(|one| **one == *kid))
            .peekable();
        if named.peek().is_some() {
            return only(named.filter(|key| key.algorithm() == algorithm));
        }
        let nameless = self
            .keys
            .iter()
            .filter(|key| key.kid().is_none() && key.algorithm() == algorithm);
        only(nameless).map_err(|fault| match fault {
            NotVerified::WrongAlgorithm => NotVerified::UnknownKey,
            other => other,
        })
    }

    /// Whether a key is among them, so that what it verified still stands.
    pub fn contains(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id() == id)
    }

    /// Whether both have the same keys under the same names, in whatever order.
    pub fn is_like(&self, other: &Self) -> bool {
        let has_all = |one: &Self, other: &Self| {
            let mut keys = one.keys.iter();
            keys.all(|key| other.keys.iter().any(|same| is_same(key, same)))
        };
        self.keys.len() == other.keys.len() && has_all(self, other) && has_all(other, self)
    }

    /// The keys, in the order of the set.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Whether nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct GithubDocument {
    public_keys: Vec<GithubKey>,
}

#[derive(Deserialize)]
struct GithubKey {
    key_identifier: String,
    key: String,
}

fn published(json: &[u8]) -> Result<Key, KeyFault> {
    let jwk = Jwk::parse(json)?;
    if jwk.is_shared_secret() {
        return Err(KeyFault::SecretPublished);
    }
    Key::new(&jwk.parts()?, jwk.algorithm()?, jwk.kid.as_deref())
}

/// Whether a token that means one could mean the other.
fn are_rivals(one: &Key, other: &Key) -> bool {
    one.kid() == other.kid() && one.algorithm() == other.algorithm() && one.id() != other.id()
}

fn is_same(one: &Key, other: &Key) -> bool {
    one.kid() == other.kid() && one.algorithm() == other.algorithm() && one.id() == other.id()
}

/// The only one of the keys that have the right algorithm.
fn only<'a>(mut fitting: impl Iterator<Item = &'a Key>) -> Result<&'a Key, NotVerified> {
    let first = fitting.next().ok_or(NotVerified::WrongAlgorithm)?;
    if fitting.next().is_some() {
        return Err(NotVerified::KeyNotNamed);
    }
    Ok(first)
}

#[cfg(test)]
mod tests;
