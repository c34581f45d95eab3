//! How the service is set up.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use weir_core::Secret;
use weir_store::Records;
use weir_store::seal::Sealer;

use crate::access::Kept;
use crate::error::Result;
use crate::mail::MailOptions;
use crate::password::{Hasher, Hashing};
use crate::session::Activity;

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach the console, without a slash at its end: what links in mail begin with. It
    /// never comes from a request.
    pub public_url: String,
    /// The installation's key, with which secrets that must be read again are sealed.
    pub key: Secret<[u8; 32]>,
    /// How mail leaves; without it, whoever invites is handed the link.
    pub mail: Option<MailOptions>,
    /// What a hash of a password costs, and how many are made at once.
    pub hashing: Hashing,
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
            mail: None,
            hashing: Hashing::default(),
            retention: Duration::from_secs(30 * 86_400),
            most_counts: 100_000,
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
                sealer: Sealer::new(&options.key)?,
                activity: Activity::default(),
                access: Kept::default(),
                unscrubbed: AtomicBool::new(true),
                options,
            }),
        })
    }

    /// An address of the console at which a token is of use. It stands behind `#`, which no browser
    /// sends and no server logs.
    pub fn link(&self, page: &str, token: &Secret<String>) -> Secret<String> {
        let base = &self.shared.options.public_url;
        Secret::new(format!("{base}/{page}#{}", token.expose()))
    }
}
