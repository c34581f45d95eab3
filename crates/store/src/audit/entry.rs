//! What is told of a change.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_core::Id;

use crate::records::Once;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    User(Id),
    /// A program, by its key.
    ApiKey(Id),
    /// Weir itself: a schedule, a start.
    System,
    /// Somebody at the machine's command line, who needs no account.
    Operator,
    /// A target that registers itself, with the token of its upstream.
    Target,
    /// Nobody who is known: a failed sign-in.
    Anonymous,
}

impl Actor {
    /// Its kind in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::System => "system",
            Self::Operator => "operator",
            Self::Target => "target",
            Self::Anonymous => "anonymous",
        }
    }

    /// The identifier, if it has one.
    pub const fn id(&self) -> Option<&Id> {
        match self {
            Self::User(id) | Self::ApiKey(id) => Some(id),
            Self::System | Self::Operator | Self::Target | Self::Anonymous => None,
        }
    }
}

/// From where it was done: personal, and erased with the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The actor's e-mail address or name at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The client's program, as its `User-Agent` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// To what it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The resource's word: `organization`, `user`, `membership`.
    pub kind: &'static str,
    /// Which one; none if it is the installation.
    pub id: Option<Id>,
}

/// What the subject was before and after. Whoever makes one leaves secrets out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Members that are no more, or are different now.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub before: Map<String, Value>,
    /// Members that are new, or are different now.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub after: Map<String, Value>,
}

impl Change {
    /// The members in which two states differ.
    pub fn between(before: Map<String, Value>, after: Map<String, Value>) -> Self {
        let mut change = Self { before, after };
        let is_same = |name: &String, value: &Value, other: &Map<String, Value>| {
            other.get(name).is_some_and(|there| there == value)
        };
        let same: Vec<String> = change
            .before
            .iter()
            .filter(|(name, value)| is_same(name, value, &change.after))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &same {
            change.before.remove(name);
            change.after.remove(name);
        }
        change
    }
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Who did it.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// What: the resource's word, a full stop and a verb, such as `organization.suspend`.
    pub action: &'static str,
    /// To what.
    pub subject: Subject,
    /// What became different.
    pub change: Change,
    /// The request that asked for it, as logs and traces name it.
    pub request_id: Option<String>,
    /// If that request is to take effect once.
    pub once: Option<Once>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_change_names_what_is_different() {
        let change = Change::between(
            map(json!({"name": "a", "slug": "s", "old": 1})),
            map(json!({"name": "b", "slug": "s", "new": null})),
        );
        assert_eq!(
            serde_json::to_value(change).unwrap(),
            json!({"before": {"name": "a", "old": 1}, "after": {"name": "b", "new": null}})
        );
    }
}
