//! The service for organizations and people, once its records can be used.

use std::sync::{PoisonError, RwLock};

use axum::http::StatusCode;
use weir_identity::Identity;

use crate::problem::Problem;

/// The service for organizations and people. While its records are not ready, whoever needs it is told
/// why; the rest of the admin API goes on.
pub struct People {
    identity: Identity,
    /// Why it cannot be used.
    closed: RwLock<Option<Problem>>,
}

impl People {
    /// Closed, until records were looked at.
    pub fn new(identity: Identity) -> Self {
        let starting = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "records_unavailable",
            "Records are being brought up to date; ask again in a moment.",
        );
        Self {
            identity,
            closed: RwLock::new(Some(starting.retry_after(1))),
        }
    }

    /// The service, whether its records are ready or not: for what makes them so.
    pub const fn unchecked(&self) -> &Identity {
        &self.identity
    }

    /// The service.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn get(&self) -> Result<&Identity, Problem> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        match &*closed {
            None => Ok(&self.identity),
            Some(why) => Err(why.clone()),
        }
    }

    /// Lets everybody in.
    pub fn open(&self) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tells everybody why not.
    pub fn close(&self, why: Problem) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}
