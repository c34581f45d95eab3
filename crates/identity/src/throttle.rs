//! Who tried to sign in too often.

use sha2::{Digest as _, Sha256};

/// By what attempts on one account are counted, whether there is such an account or not.
pub(crate) fn account(email: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update("weir.throttle.account\0")
        .chain_update(email)
        .finalize()
        .into()
}
