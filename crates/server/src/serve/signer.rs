//! Tells the data plane which of the installation's keys signs tokens for upstreams.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use weir_identity::Identity;

use super::Node;

/// How often it is looked whether another key's time has come: nothing else tells of that.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the keys for as long as the process serves.
pub(super) async fn follow(node: Arc<Node>, identity: Identity) {
    let mut changes = identity.verification_changes();
    loop {
        let signer = node.gateway.signer();
        match identity.signing_key(Timestamp::now()) {
            Some(key) => signer.set(key, identity.issuer()),
            None => signer.clear(),
        }
        if let Ok(Err(_)) = timeout(LOOK, changes.changed()).await {
            return;
        }
    }
}
