//! Who asks for a change.

use serde_json::{Map, Value};
use weir_core::Id;
use weir_store::audit::{Actor, Change, Entry, Origin, Subject};
use weir_store::records::Once;

/// Who asks for a change, as the audit will name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// The request, as logs and traces name it.
    pub request_id: Option<String>,
    /// If it is to take effect once. Each change takes effect with one commit, which writes it down.
    pub once: Option<Once>,
}

impl Caller {
    /// Weir itself.
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            origin: Origin::default(),
            request_id: None,
            once: None,
        }
    }

    /// The same request, once it is known who makes it.
    pub(crate) fn as_user(&self, user: &Id, email: &str) -> Self {
        Self {
            actor: Actor::User(user.clone()),
            origin: Origin {
                name: Some(email.to_owned()),
                ..self.origin.clone()
            },
            request_id: self.request_id.clone(),
            once: self.once.clone(),
        }
    }

    /// What the audit is told.
    pub(crate) fn entry(
        &self,
        action: &'static str,
        kind: &'static str,
        id: &Id,
        change: Change,
    ) -> Entry {
        Entry {
            actor: self.actor.clone(),
            origin: self.origin.clone(),
            action,
            subject: Subject {
                kind,
                id: Some(id.clone()),
            },
            change,
            request_id: self.request_id.clone(),
            once: self.once.clone(),
        }
    }
}

/// Something that is new.
pub(crate) fn made(after: Map<String, Value>) -> Change {
    Change {
        before: Map::new(),
        after,
    }
}

/// Something that is no more.
pub(crate) fn gone(before: Map<String, Value>) -> Change {
    Change {
        before,
        after: Map::new(),
    }
}

/// The members of an object; for `json!({…})`.
pub(crate) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
