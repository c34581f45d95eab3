//! An entry for the audit as a line of a file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_core::Id;
use weir_store::audit::{Actor, Change, Entry, Origin, Subject};
use weir_store::records::Once;

use super::action::Action;

#[derive(Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    /// By which the audit knows that it has the entry.
    key: Option<[u8; 32]>,
    actor: String,
    actor_id: Option<String>,
    #[serde(flatten)]
    origin: Origin,
    action: String,
    before: Map<String, Value>,
    after: Map<String, Value>,
    request_id: Option<String>,
}

/// With the line's end.
pub(super) fn write(entry: &Entry, at: Timestamp) -> serde_json::Result<Vec<u8>> {
    let line = Line {
        at,
        key: entry.once.as_ref().map(|once| once.key_hash),
        actor: entry.actor.kind().to_owned(),
        actor_id: entry.actor.id().map(ToString::to_string),
        origin: entry.origin.clone(),
        action: entry.action.to_owned(),
        before: entry.change.before.clone(),
        after: entry.change.after.clone(),
        request_id: entry.request_id.clone(),
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

/// `None` for what is no such line: the last one may have been cut off.
pub(super) fn read(text: &[u8]) -> Option<(Entry, Timestamp)> {
    let line: Line = serde_json::from_slice(text).ok()?;
    let action = Action::of_name(&line.action)?;
    let entry = Entry {
        actor: actor(&line.actor, line.actor_id.as_deref())?,
        origin: line.origin,
        action: action.name(),
        subject: Subject {
            kind: action.kind(),
            id: None,
        },
        change: Change {
            before: line.before,
            after: line.after,
        },
        request_id: line.request_id,
        once: line.key.map(|key_hash| Once {
            key_hash,
            fingerprint: [0; 32],
            former_fingerprints: Vec::new(),
        }),
    };
    Some((entry, line.at))
}

fn actor(kind: &str, id: Option<&str>) -> Option<Actor> {
    let id = id.and_then(|id| id.parse::<Id>().ok());
    let named = id.map(|id| [Actor::User(id.clone()), Actor::ApiKey(id)]);
    let others = [
        Actor::System,
        Actor::Operator,
        Actor::Target,
        Actor::Anonymous,
    ];
    let mut all = named.into_iter().flatten().chain(others);
    all.find(|actor| actor.kind() == kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::members;
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let at = Timestamp::now();
        for actor in [
            Actor::User(Id::new("usr")),
            Actor::ApiKey(Id::new("key")),
            Actor::System,
            Actor::Operator,
            Actor::Target,
            Actor::Anonymous,
        ] {
            let entry = Entry {
                actor,
                origin: Origin {
                    name: Some("ada@a.example".to_owned()),
                    address: Some("192.0.2.1".to_owned()),
                    agent: None,
                },
                action: Action::BanLift.name(),
                subject: Subject {
                    kind: "ban",
                    id: None,
                },
                change: Change {
                    before: members(json!({ "address": "192.0.2.9\n" })),
                    after: Map::new(),
                },
                request_id: Some("4bf92f".to_owned()),
                once: Some(Once {
                    key_hash: [7; 32],
                    fingerprint: [0; 32],
                    former_fingerprints: Vec::new(),
                }),
            };
            let text = write(&entry, at).unwrap();
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(read(text.trim_ascii()), Some((entry, at)));
            assert_eq!(read(&text[..text.len() - 2]), None, "cut off");
        }
    }
}
