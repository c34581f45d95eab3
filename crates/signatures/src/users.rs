//! A file of users with hashes of their passwords, in the form of `htpasswd`.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use bcrypt::HashParts;
use thiserror::Error;

use crate::basic::Basic;

/// bcrypt reads no more of a password, in bytes.
const BCRYPT_READS: usize = 72;
/// Below is guessed too fast; above, one request takes seconds.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 8..=15;
/// Most memory of an Argon2id hash, in KiB.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

/// Names with hashes: `name:$argon2id$…` or `name:$2y$…`, one a line; `#` begins a comment.
pub struct UsersFile {
    places: HashMap<Box<str>, usize>,
    hashes: Vec<Hash>,
}

enum Hash {
    Argon2id(Box<str>),
    Bcrypt(Box<str>),
}

impl UsersFile {
    /// Reads a file; all mistakes at once.
    pub fn parse(text: &str) -> Result<Self, BadUsersFile> {
        let mut users = Self {
            places: HashMap::new(),
            hashes: Vec::new(),
        };
        let mut mistakes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(mistake) = users.add(line) {
                mistakes.push((index + 1, mistake));
            }
        }
        if !mistakes.is_empty() {
            return Err(BadUsersFile(mistakes));
        }
        if users.hashes.is_empty() {
            return Err(BadUsersFile(vec![(1, BadUser::Nobody)]));
        }
        Ok(users)
    }

    /// Whether this is a user's password. It takes as long for who is no user.
    ///
    /// That is tens of milliseconds, by design: never call it where other requests wait, bound how many
    /// run at once, and remember the outcome for a while.
    pub fn verify(&self, credentials: &Basic) -> bool {
        let place = self.places.get(credentials.name()).copied();
        // Whoever is unknown is held against somebody's hash, always the same one for a name: files may
        // have hashes of different costs.
        let decoy = self.places.hasher().hash_one(credentials.name()) as usize % self.hashes.len();
        let is_right = self.hashes[place.unwrap_or(decoy)].verify(credentials.expose_password());
        is_right && place.is_some()
    }

    /// A line for a user's new password: Argon2id with 19 MiB and two passes, which is tens of milliseconds of work.
    ///
    /// # Errors
    /// [`BadUser::Name`], also for a name with a colon (RFC 7617 §2) or a `#` at its beginning;
    /// [`BadUser::Unhashed`] if the system has no randomness.
    pub fn line(name: &str, password: &str) -> Result<String, BadUser> {
        let is_name = !name.is_empty()
            && name.trim() == name
            && !name.starts_with('#')
            && !name
                .chars()
                .any(|letter| letter == ':' || letter.is_control());
        if !is_name {
            return Err(BadUser::Name);
        }
        let hash = Argon2::default().hash_password(password.as_bytes());
        let hash = hash.map_err(|_| BadUser::Unhashed)?;
        Ok(format!("{name}:{hash}"))
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Never: a file without users is refused.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    fn add(&mut self, line: &str) -> Result<(), BadUser> {
        let (name, hash) = line.split_once(':').ok_or(BadUser::NoColon)?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(BadUser::Name);
        }
        let hash = Hash::parse(hash)?;
        if self.places.insert(name.into(), self.hashes.len()).is_some() {
            return Err(BadUser::Twice(name.into()));
        }
        self.hashes.push(hash);
        Ok(())
    }
}

impl fmt::Debug for UsersFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UsersFile({} users)", self.hashes.len())
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Self, BadUser> {
        if text.starts_with("$argon2id$") {
            return Self::argon2id(text);
        }
        if ["$2y$", "$2b$", "$2a$"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            return Self::bcrypt(text);
        }
        Err(match text {
            _ if text.starts_with("{SHA}") => BadUser::Weak("SHA-1 without salt"),
            _ if text.starts_with("$apr1$") || text.starts_with("$1$") => BadUser::Weak("MD5"),
            _ if text.starts_with("$5$") || text.starts_with("$6$") => BadUser::Weak("SHA-2 crypt"),
            _ if text.starts_with("$2x$") => BadUser::Weak("a broken bcrypt"),
            _ if text.starts_with("$argon2") => BadUser::Weak("Argon2, but not Argon2id"),
            _ if text.len() == 13 => BadUser::Weak("DES crypt, or no hash at all"),
            _ => BadUser::Unknown,
        })
    }

    fn argon2id(text: &str) -> Result<Self, BadUser> {
        let hash = PasswordHash::new(text).map_err(|_| BadUser::Damaged)?;
        let params = Params::try_from(&hash).map_err(|_| BadUser::Damaged)?;
        if hash.algorithm != Algorithm::Argon2id.ident()
            || hash.hash.is_none()
            || hash.salt.is_none()
        {
            return Err(BadUser::Damaged);
        }
        if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES {
            return Err(BadUser::Cost);
        }
        Ok(Self::Argon2id(text.into()))
    }

    fn bcrypt(text: &str) -> Result<Self, BadUser> {
        let parts: HashParts = text.parse().map_err(|_| BadUser::Damaged)?;
        if !BCRYPT_COSTS.contains(&parts.get_cost()) {
            return Err(BadUser::Cost);
        }
        Ok(Self::Bcrypt(text.into()))
    }

    /// Both compare in constant time.
    fn verify(&self, password: &str) -> bool {
        match self {
            Self::Argon2id(text) => {
                let Ok(hash) = PasswordHash::new(text) else {
                    return false;
                };
                let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
                verified.is_ok()
            }
            Self::Bcrypt(text) => {
                let is_whole = password.len() <= BCRYPT_READS;
                bcrypt::verify(password, text).unwrap_or(false) && is_whole
            }
        }
    }
}

/// Every mistake in a file of users, with the number of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadUsersFile(pub Vec<(usize, BadUser)>);

impl std::error::Error for BadUsersFile {}

impl fmt::Display for BadUsersFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, mistake)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}line {line}: {mistake}")?;
        }
        Ok(())
    }
}

/// What is wrong with a line. Hashes are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadUser {
    /// No name, or no hash.
    #[error("there is no colon between name and hash")]
    NoColon,
    /// No name.
    #[error(
        "the name is empty, or has a colon, control characters, spaces around it or # before it"
    )]
    Name,
    /// A second line for one name.
    #[error("{0:?} stands there twice; remove one of both lines")]
    Twice(Box<str>),
    /// A hash that is guessed too fast.
    #[error(
        "the password is hashed with {0}; hash it anew with bcrypt (htpasswd -B -C 12) or Argon2id"
    )]
    Weak(&'static str),
    /// No hash that is known.
    #[error(
        "the password is not hashed, or in an unknown way; bcrypt (htpasswd -B -C 12) and Argon2id are known"
    )]
    Unknown,
    /// A hash that was cut off.
    #[error("the hash is damaged; hash the password anew")]
    Damaged,
    /// Too cheap or too dear.
    #[error(
        "the hash costs too little or too much; bcrypt takes 8 to 15, Argon2id at most 256 MiB and 16 passes"
    )]
    Cost,
    /// The password could not be hashed.
    #[error("the system gives no randomness to hash with")]
    Unhashed,
    /// A file that lets nobody in.
    #[error("there is no user in the file")]
    Nobody,
}

#[cfg(test)]
mod tests;
