//! Networks from which somebody has signed in lately. Others' guessing does not keep them out from there.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use weir_core::Id;
use weir_store::records::{Changes, Value};

use crate::Identity;
use crate::error::Result;
use crate::tables::FAMILIAR_PLACES;
use crate::throttle::{Network, later};

const MEMORY: Duration = Duration::from_secs(30 * 86_400);
/// Of one person; the one that was longest ago gives way.
const MOST: usize = 20;

/// By what a place is known. The address enters as it is typed, so that whether it is somebody's costs no
/// other query.
fn hash(email: &str, network: &Network) -> [u8; 32] {
    Sha256::new()
        .chain_update("weir.familiar.")
        .chain_update(email)
        .chain_update([0])
        .chain_update(network.bytes())
        .finalize()
        .into()
}

impl Identity {
    /// Whether somebody has signed in to the account of this address from there.
    pub(crate) async fn is_familiar(&self, email: &str, network: &Network) -> Result<bool> {
        let hash = hash(email, network);
        let select = FAMILIAR_PLACES.rows().select().filter(
            "place_hash = ? AND expires_at > ?",
            [Value::from(&hash[..]), Value::from(jiff::Timestamp::now())],
        );
        Ok(self.records.first(select).await?.is_some())
    }
}

/// Somebody has signed in from there. The platform's scope must be held.
pub(crate) async fn remember(
    changes: &mut Changes,
    user: &Id,
    email: &str,
    address: Option<&str>,
) -> Result<()> {
    let Some(network) = Network::of(address) else {
        return Ok(());
    };
    let rows = FAMILIAR_PLACES.rows();
    let hash = hash(email, &network);
    let values = [
        ("user_id", Value::from(user)),
        ("expires_at", Value::from(later(changes.now(), MEMORY)?)),
    ];
    let known = changes
        .update_where(rows, "place_hash = ?", [&hash[..]], values.clone())
        .await?;
    if known > 0 {
        return Ok(());
    }
    let place = [("place_hash", Value::from(&hash[..]))];
    let values = values.into_iter().chain(place);
    changes.insert(rows, &Id::new("plc"), values).await?;
    let own = rows.select().filter("user_id = ?", [user]);
    let own = changes.all(own.order(["expires_at", "id"])).await?;
    for row in own.iter().take(own.len().saturating_sub(MOST)) {
        changes.remove(rows, "id = ?", [row.id("id")?]).await?;
    }
    Ok(())
}
