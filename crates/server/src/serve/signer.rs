//! Tells the data plane which of the installation's keys signs tokens for upstreams.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use weir_identity::Identity;

use super::Node;

/// How often it is looked whether another key's time has come: nothing else tells of that.
const LOOK: Duration = Duration::from_secs(1);

/// Behind the installation's name in `iss`. Its name alone is in tokens that anybody who signs in gets, for whichever audience
/// they like: an upstream that does not look at `typ` would take one of those for the gateway's word.
const INTERNAL: &str = "/internal";

/// Follows the keys for as long as the process serves.
pub(super) async fn follow(node: Arc<Node>, identity: Identity) {
    let mut changes = identity.verification_changes();
    let issuer = format!("{}{INTERNAL}", identity.issuer());
    loop {
        let signer = node.gateway.signer();
        match identity.signing_key(Timestamp::now()) {
            Some(key) => signer.set(key, &issuer),
            None => signer.clear(),
        }
        if let Ok(Err(_)) = timeout(LOOK, changes.changed()).await {
            return;
        }
    }
}
