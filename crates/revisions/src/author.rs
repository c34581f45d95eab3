//! Who makes a revision.

use weir_config::ResourceKind;
use weir_store::audit::{Actor, Change, Entry, Origin, Subject};
use weir_store::records::Once;

/// Who makes a revision, as the audit will name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// The request, as logs and traces name it.
    pub request_id: Option<String>,
    /// If it is to take effect once.
    pub once: Option<Once>,
    /// Kinds of resources whose secrets they may have sent elsewhere.
    pub lends: Vec<ResourceKind>,
}

impl Author {
    /// Weir itself.
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            origin: Origin::default(),
            request_id: None,
            once: None,
            lends: ResourceKind::ALL.to_vec(),
        }
    }

    /// What the audit is told.
    pub(crate) fn entry(&self, action: &'static str, subject: Subject, change: Change) -> Entry {
        Entry {
            actor: self.actor.clone(),
            origin: self.origin.clone(),
            action,
            subject,
            change,
            request_id: self.request_id.clone(),
            once: self.once.clone(),
        }
    }
}
