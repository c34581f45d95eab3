//! How the service is set up.

use std::sync::Arc;

use weir_core::Secret;
use weir_store::Records;

/// How the service is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach the console, without a slash at its end: what links in mail begin with. It
    /// never comes from a request.
    pub public_url: String,
    /// The installation's key, with which secrets that must be read again are sealed.
    pub key: Secret<[u8; 32]>,
}

/// Organizations and people; clones share everything.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) records: Records,
    pub(crate) options: Arc<Options>,
}

impl Identity {
    /// The service on these records. Nothing is asked of them yet.
    pub fn new(records: Records, options: Options) -> Self {
        Self {
            records,
            options: Arc::new(options),
        }
    }
}
