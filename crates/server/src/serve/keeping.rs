//! Changes that are to outlive the process, and the start of a successor, which reads what is kept: one
//! or the other.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Who may change what is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeping {
    /// Whether a successor is starting, or has taken over.
    is_suspended: Arc<RwLock<bool>>,
}

/// Permission to make a change; held until the change is on disk.
pub(crate) type Permit = OwnedRwLockReadGuard<bool>;

impl Keeping {
    /// `None` while a successor is starting: it may have read already what would be written.
    pub(crate) async fn permit(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.is_suspended).read_owned().await;
        (!*permit).then_some(permit)
    }

    /// Gives no permission from now on, and waits until those that were given have come back.
    pub(super) async fn suspend(&self) {
        *self.is_suspended.write().await = true;
    }

    pub(super) async fn resume(&self) {
        *self.is_suspended.write().await = false;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_successor_starts_when_the_last_change_is_kept_and_then_there_is_none() {
        let keeping = Keeping::default();
        let change = keeping.permit().await.unwrap();
        let mut suspended = pin!(keeping.suspend());
        assert!(
            poll!(&mut suspended).is_pending(),
            "a change is not kept yet"
        );
        drop(change);
        suspended.await;
        assert!(keeping.permit().await.is_none());
        keeping.resume().await;
        assert!(keeping.permit().await.is_some());
    }
}
