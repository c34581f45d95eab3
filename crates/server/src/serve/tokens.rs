//! What verifies tokens and which are refused, kept in the data directory: a start without records forgets no
//! revocation.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::task::block_in_place;
use tokio::time::sleep;
use weir_identity::{Identity, Revocation};

use super::Node;

const FILE: &str = "tokens.json";
/// Largest file that is read back.
const LARGEST: u64 = 256 << 20;
/// Between two writes: many revocations at once are one.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Serialize, Deserialize)]
struct Content {
    /// A JWK set; none before there were keys.
    keys: Option<Box<RawValue>>,
    revocations: Vec<Revocation>,
}

/// Has the service know what a former process knew. What cannot be read is said, and is not known until the records can
/// be asked.
pub(super) fn recall(identity: &Identity, directory: &Path) {
    if let Err(error) = read(identity, directory) {
        tracing::error!("it is not known what was revoked until records are read: {error:#}");
    }
}

fn read(identity: &Identity, directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(FILE);
    let text = weir_files::read(&path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = text else {
        return Ok(());
    };
    let content: Content =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
    identity.recall_revocations(content.revocations);
    if let Some(keys) = content.keys {
        let recalled = identity.recall_keys(keys.get());
        recalled.with_context(|| format!("{} is damaged", path.display()))?;
    }
    Ok(())
}

/// Keeps what the service knows, for as long as the process serves.
pub(super) async fn keep(node: Arc<Node>, identity: Identity, directory: std::path::PathBuf) {
    let mut changes = identity.verification_changes();
    loop {
        // A successor that is starting has read the file; it asks by itself.
        if let Some(_permit) = node.keeping.permit().await
            && let Err(error) = block_in_place(|| save(&identity, &directory))
        {
            tracing::error!("a restart without records would forget revocations: {error:#}");
        }
        sleep(PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn save(identity: &Identity, directory: &Path) -> anyhow::Result<()> {
    let published = identity.published_keys();
    let keys = published.map(|keys| RawValue::from_string(keys.document.to_string()));
    let content = Content {
        keys: keys.transpose().context("cannot write keys")?,
        revocations: identity.revocations().all.clone(),
    };
    let text = serde_json::to_vec(&content).context("cannot write revocations")?;
    let path = directory.join(FILE);
    weir_files::replace(&path, &text).with_context(|| format!("cannot write {}", path.display()))
}
