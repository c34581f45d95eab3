//! Passwords: which are taken (NIST SP 800-63B §3.1.1.2), and how they are hashed (Argon2id, RFC 9106).

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;
use zxcvbn::feedback::Feedback;
use zxcvbn::{Score, zxcvbn};

use crate::error::{Error, Result};

const LEAST: usize = 12;
const MOST: usize = 256;
/// A password as somebody typed it. It is wiped from memory when it goes, and cannot be printed.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Password(Zeroizing<String>);

impl From<String> for Password {
    fn from(text: String) -> Self {
        let text = Zeroizing::new(text);
        // Keyboards write one letter in several ways.
        Self(Zeroizing::new(text.nfkc().collect()))
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.nfkc().collect()))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl Password {
    /// Whether it may become somebody's; `names` are those of the person and the organization, which
    /// who guesses would try first.
    pub(crate) fn check(&self, names: &[&str]) -> Result<()> {
        let refuse = |why: String| Err(Error::invalid("password", why));
        let length = self.0.chars().count();
        if length < LEAST {
            return refuse(format!("has fewer than {LEAST} characters"));
        }
        if length > MOST {
            return refuse(format!("has more than {MOST} characters"));
        }
        let locals = names.iter().filter_map(|name| name.split('@').next());
        let inputs: Vec<&str> = names.iter().copied().chain(locals).collect();
        // Whoever tries common passwords, words, names, dates, rows of keys and what one makes of these
        // needs less than 10⁸ guesses below this.
        let estimate = zxcvbn(&self.0, &inputs);
        if estimate.score() >= Score::Three {
            return Ok(());
        }
        match estimate.feedback().and_then(Feedback::warning) {
            Some(warning) => refuse(format!("is guessed too easily: {warning}")),
            None => refuse("is guessed too easily: take more words, and less common ones".into()),
        }
    }

    /// Longer ones are nobody's, and would only cost time.
    pub(crate) fn is_too_long(&self) -> bool {
        self.0.chars().count() > MOST
    }
}

/// What a hash costs, and how many are made at once. The figures are OWASP's: 19 MiB, 2 passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Memory of one, in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// How many are made at once.
    pub at_once: usize,
    /// How many may wait for their turn; one more is told [`Error::Busy`].
    pub waiting: usize,
}

impl Default for Hashing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory: 19 * 1_024,
            passes: 2,
            // Traffic needs the other half.
            at_once: (cores / 2).max(1),
            waiting: 32,
        }
    }
}

/// What a look at a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed in a way that is not today's.
    RightButOld,
}

/// What looks like a hash of today, made without the work of one: a start does not wait for it.
fn nobodys(hashing: &Hashing) -> Result<String> {
    let salt = STANDARD_NO_PAD.encode(crate::token::random::<16>()?);
    let hash = STANDARD_NO_PAD.encode(crate::token::random::<32>()?);
    let Hashing { memory, passes, .. } = hashing;
    Ok(format!(
        "$argon2id$v=19$m={memory},t={passes},p=1${salt}${hash}"
    ))
}

/// Makes and checks hashes, on threads that may wait.
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// The hash of a password that nobody has.
    dummy: String,
}

impl Hasher {
    pub(crate) fn new(hashing: &Hashing) -> Result<Self> {
        let params =
            Params::new(hashing.memory, hashing.passes, 1, None).map_err(Error::internal)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            dummy: nobodys(hashing)?,
            argon2,
            turns: Arc::new(Semaphore::new(hashing.at_once.max(1))),
            places: Arc::new(Semaphore::new(hashing.at_once.max(1) + hashing.waiting)),
        })
    }

    /// A hash in the PHC string format.
    pub(crate) async fn hash(&self, password: &Password) -> Result<String> {
        let password = password.clone();
        self.run(move |argon2| Ok(argon2.hash_password(password.0.as_bytes())?.to_string()))
            .await
    }

    /// Compares; where there is no hash, it takes as long and is wrong.
    pub(crate) async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<Verdict> {
        let password = password.clone();
        let is_somebodys = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy).to_owned();
        self.run(move |argon2| {
            let parsed = PasswordHash::new(&hash)?;
            match argon2.verify_password(password.0.as_bytes(), &parsed) {
                Ok(()) if !is_somebodys => Ok(Verdict::Wrong),
                Ok(()) if is_todays(argon2, &parsed) => Ok(Verdict::Right),
                Ok(()) => Ok(Verdict::RightButOld),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> argon2::password_hash::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::Busy("passwords"))?;
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        let argon2 = self.argon2.clone();
        let held: [OwnedSemaphorePermit; 2] = [place, turn];
        tokio::task::spawn_blocking(move || {
            let result = work(&argon2);
            // Also if who asked is gone: the work was done nevertheless.
            drop(held);
            result
        })
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)
    }
}

fn is_todays(argon2: &Argon2<'_>, hash: &PasswordHash) -> bool {
    let ours = argon2.params();
    hash.algorithm == Algorithm::Argon2id.ident()
        && Params::try_from(hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (ours.m_cost(), ours.t_cost(), ours.p_cost())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_and_composition_does_not() {
        for good in [
            "correct horse battery",
            "zwölf zeichen!",
            "🦀🦞🦐🐙🦑🐚🐌🦋🐛🐜🐝🐞",
            "onlysmallletters",
            &"long words ".repeat(23),
        ] {
            assert!(Password::from(good).check(&[]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "elevenchars",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "abcdefghijkl",
            "zyxwvutsrqponm",
            "PasswordPassword",
            "123456789012",
            &"long words ".repeat(24),
        ] {
            assert!(Password::from(bad).check(&[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_no_passwords() {
        let names = ["zoe.miller@acme.example", "Acme Widgets"];
        for bad in [
            "zoe.miller@acme.example",
            "Zoe.Miller2026",
            "acme widgets 1!",
            "acme widgetszoe.miller",
        ] {
            let Err(Error::Invalid { why, .. }) = Password::from(bad).check(&names) else {
                panic!("{bad}");
            };
            assert!(why.starts_with("is guessed too easily: "), "{why}");
        }
        let good = Password::from("acme widgets are no secret");
        assert!(good.check(&names).is_ok());
    }

    #[test]
    fn one_password_however_a_keyboard_writes_it() {
        let (composed, decomposed) = (Password::from("zw\u{f6}lf"), Password::from("zwo\u{308}lf"));
        assert_eq!(*composed.0, *decomposed.0);
        assert_eq!(format!("{composed:?}"), "[redacted]");
    }

    fn cheap() -> Hashing {
        Hashing {
            memory: 64,
            passes: 1,
            at_once: 1,
            waiting: 1,
        }
    }

    #[tokio::test]
    async fn hashes_are_checked_and_old_ones_told() {
        let hasher = Hasher::new(&cheap()).unwrap();
        let password = Password::from("correct horse battery");
        let hash = hasher.hash(&password).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_eq!(
            hasher.verify(&password, Some(&hash)).await.unwrap(),
            Verdict::Right
        );
        let wrong = Password::from("correct horse batterx");
        assert_eq!(
            hasher.verify(&wrong, Some(&hash)).await.unwrap(),
            Verdict::Wrong
        );
        assert_eq!(
            hasher.verify(&password, None).await.unwrap(),
            Verdict::Wrong
        );
        let today = Hasher::new(&Hashing {
            passes: 2,
            ..cheap()
        })
        .unwrap();
        let verdict = today.verify(&password, Some(&hash)).await.unwrap();
        assert_eq!(verdict, Verdict::RightButOld);
    }

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_is_told_at_once() {
        let hasher = Hasher::new(&cheap()).unwrap();
        let _place = Arc::clone(&hasher.places)
            .acquire_many_owned(2)
            .await
            .unwrap();
        let answer = hasher.hash(&Password::from("correct horse battery")).await;
        assert!(matches!(answer, Err(Error::Busy("passwords"))));
    }
}
