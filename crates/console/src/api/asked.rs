//! Which rights a request needed: they are asked for anew before its kept answer is given.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use weir_core::TenantId;
use weir_identity::Permission;

use super::guard::Guard;
use crate::problem::Problem;

/// Something that a [`Guard`] was asked, and let pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Whether this may be done in an organization.
    Organization(TenantId, Permission),
    /// Whether this may be done on the platform.
    Platform(Permission),
    /// Whether it is a person.
    User,
    /// Whether it is a person who has signed in only just now.
    RecentUser,
    /// Whether it is the operator.
    Operator,
}

impl Question {
    /// Asks again.
    ///
    /// # Errors
    /// As the guard's.
    pub(super) async fn ask(&self, guard: &Guard) -> Result<(), Problem> {
        match self {
            Self::Organization(tenant, permission) => {
                let allowed = guard.organization(tenant.as_str(), *permission).await;
                allowed.map(drop)
            }
            Self::Platform(permission) => guard.platform(*permission),
            Self::User => guard.user().map(drop),
            Self::RecentUser => guard.recent_user().map(drop),
            Self::Operator => guard.operator(),
        }
    }
}

/// What was asked while a request was answered; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<Vec<Question>>>);

impl Asked {
    pub(super) fn note(&self, question: Question) {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !questions.contains(&question) {
            questions.push(question);
        }
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        let questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        questions.clone()
    }
}
