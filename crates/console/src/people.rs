//! The service for organizations and people, once its records can be used.

use std::sync::{PoisonError, RwLock};

use axum::http::StatusCode;
use weir_identity::Identity;

use crate::authenticate::Principal;
use crate::problem::Problem;

/// The service for organizations and people. While its records are not ready, whoever needs it is told
/// why; the rest of the admin API goes on.
pub struct People {
    identity: Identity,
    closed: RwLock<Option<Closed>>,
}

/// Why it cannot be used.
struct Closed {
    why: Problem,
    /// The same for whoever runs the node.
    for_operator: Problem,
}

impl People {
    /// Closed, until records were looked at.
    pub fn new(identity: Identity) -> Self {
        let starting = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "records_unavailable",
            "Records are being brought up to date; ask again in a moment.",
        )
        .retry_after(1);
        Self {
            identity,
            closed: RwLock::new(Some(Closed {
                why: starting.clone(),
                for_operator: starting,
            })),
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
        self.get_or(|closed| &closed.why)
    }

    /// The service, for somebody who is known.
    ///
    /// # Errors
    /// Why it cannot be used; the operator is told all of it.
    pub fn get_for(&self, principal: &Principal) -> Result<&Identity, Problem> {
        match principal {
            Principal::Operator => self.get_or(|closed| &closed.for_operator),
            Principal::User(_) | Principal::Key(_) => self.get(),
        }
    }

    fn get_or(&self, told: impl Fn(&Closed) -> &Problem) -> Result<&Identity, Problem> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        match &*closed {
            None => Ok(&self.identity),
            Some(closed) => Err(told(closed).clone()),
        }
    }

    /// Lets everybody in.
    pub fn open(&self) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tells everybody why not, and the operator with all that is known.
    pub fn close(&self, why: Problem, for_operator: Problem) {
        let closed = Closed { why, for_operator };
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = Some(closed);
    }
}
