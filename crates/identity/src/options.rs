//! How the service is set up.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use weir_core::Secret;
use weir_jose::Algorithm;
use weir_store::Records;
use weir_store::seal::Sealer;

use crate::access::Kept;
use crate::api_key::KeyActivity;
use crate::error::Result;
use crate::mail::MailOptions;
use crate::password::{Hasher, Hashing};
use crate::revocation::Revoked;
use crate::session::{Activity, SessionOptions};
use crate::signing_key::{LONGEST_ACCESS, Ring};

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach the console, without a slash at its end: what links in mail begin with. It
    /// never comes from a request.
    pub public_url: String,
    /// The installation's key, with which secrets that must be read again are sealed.
    pub key: Secret<[u8; 32]>,
    /// Keys under which secrets may be sealed as well: what is under them opens.
    pub former_keys: Vec<Secret<[u8; 32]>>,
    /// How access tokens are issued.
    pub tokens: TokenOptions,
    /// How mail leaves; without it, whoever invites is handed the link.
    pub mail: Option<MailOptions>,
    /// What a hash of a password costs, and how many are made at once.
    pub hashing: Hashing,
    /// How long sessions last.
    pub sessions: SessionOptions,
    /// How long things stay in the trash.
    pub retention: Duration,
    /// How many counts of attempts are kept when upkeep comes by: those that would be forgotten first go.
    /// Between two of its visits there cannot be many more: an attempt costs a hash, or counts against its network.
    pub most_counts: u32,
}

impl Options {
    /// The usual bounds, and no mail.
    pub fn new(public_url: impl Into<String>, key: Secret<[u8; 32]>) -> Self {
        Self {
            public_url: public_url.into(),
            key,
            former_keys: Vec::new(),
            tokens: TokenOptions::default(),
            mail: None,
            hashing: Hashing::default(),
            sessions: SessionOptions::default(),
            retention: Duration::from_secs(30 * 86_400),
            most_counts: 100_000,
        }
    }
}

/// How access tokens are issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    /// By which they are signed. With another one, the next key takes the place of the one that signs.
    pub algorithm: SigningAlgorithm,
    /// How long one is good for; an hour at most.
    pub access_lifetime: Duration,
    /// For how long one key signs.
    pub rotate_every: Duration,
    /// When a family of refresh tokens ends that does not end with its session.
    pub refresh_lifetime: Duration,
    /// For how long a refresh token that was used is answered with its successor.
    pub grace: Duration,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            algorithm: SigningAlgorithm::Es256,
            access_lifetime: Duration::from_secs(300),
            rotate_every: Duration::from_secs(90 * 86_400),
            refresh_lifetime: Duration::from_secs(30 * 86_400),
            grace: Duration::from_secs(10),
        }
    }
}

impl TokenOptions {
    /// How long an access token is good for, whatever was asked for.
    pub(crate) fn access_lifetime(&self) -> Duration {
        self.access_lifetime.min(LONGEST_ACCESS)
    }
}

/// By what access tokens can be signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, with keys of 3072 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in `alg`.
    pub const fn as_str(self) -> &'static str {
        self.of_jose().as_str()
    }

    pub(crate) const fn of_jose(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::Rs256,
            Self::Es256 => Algorithm::Es256,
            Self::EdDsa => Algorithm::EdDsa,
        }
    }
}

/// Organizations and people; clones share everything.
#[derive(Clone)]
pub struct Identity {
    pub(crate) records: Records,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) hasher: Hasher,
    pub(crate) sealer: Sealer,
    pub(crate) activity: Activity,
    pub(crate) key_activity: KeyActivity,
    pub(crate) ring: Ring,
    pub(crate) revoked: Revoked,
    /// Told whenever other keys are published, or something else is refused.
    pub(crate) verification: watch::Sender<()>,
    pub(crate) access: Kept,
    /// Whether the engine's log may have what was erased: by this process, or by one before it.
    pub(crate) unscrubbed: AtomicBool,
}

impl Identity {
    /// The service on these records. Nothing is asked of them yet.
    pub fn new(records: Records, options: Options) -> Result<Self> {
        Ok(Self {
            records,
            shared: Arc::new(Shared {
                hasher: Hasher::new(&options.hashing)?,
                sealer: Sealer::with_former(&options.key, &options.former_keys)?,
                activity: Activity::default(),
                key_activity: KeyActivity::default(),
                ring: Ring::default(),
                revoked: Revoked::default(),
                verification: watch::Sender::new(()),
                access: Kept::default(),
                unscrubbed: AtomicBool::new(true),
                options,
            }),
        })
    }

    /// Hears whenever other [keys](Self::published_keys) are published, or something else is
    /// [refused](Self::revocations).
    pub fn verification_changes(&self) -> watch::Receiver<()> {
        self.shared.verification.subscribe()
    }

    /// An address of the pages at which a token is of use. It stands in the query, so that no script is
    /// needed; the page takes it out of the address at once.
    pub fn link(&self, page: &str, token: &Secret<String>) -> Secret<String> {
        let base = &self.shared.options.public_url;
        Secret::new(format!("{base}/{page}?token={}", token.expose()))
    }
}
