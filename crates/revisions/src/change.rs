//! What is to be changed, and what of it is acceptable in itself.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};
use weir_config::{ResourceKind, ResourceName, SEALED};
use weir_core::Id;

use crate::error::{Error, Result};

/// Changes of one revision.
const MOST_CHANGES: usize = 20_000;
/// Bytes of one document.
const MOST_DOCUMENT: usize = 1 << 20;
/// Characters of a comment, which is one line.
pub const MOST_COMMENT: usize = 500;

/// A revision to make.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What is to be different.
    pub what: What,
    /// Why, in the author's words; may be empty.
    pub comment: String,
    /// The revision that the caller takes for the latest; none: whichever it is.
    pub expected: Option<i64>,
    /// Whether everything is to be judged and nothing to be changed.
    pub dry_run: bool,
}

/// What is to be different.
#[derive(Clone, Debug)]
pub enum What {
    /// These changes, each of another resource.
    Changes(Vec<Change>),
    /// Everything is to be again as it was after a revision.
    Rollback {
        /// Which one; 0: as before the first.
        to: i64,
        /// Whether certificates that are others by now are to be the former ones, too.
        certificates: bool,
    },
    /// The resource of this name that was deleted last, or the deleted one that is called so, is to be there again.
    Restore(ResourceName, Option<Id>),
}

/// A change of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which one.
    pub resource: ResourceName,
    /// What is to become of it.
    pub action: Action,
    /// What must be so for it to be done.
    pub precondition: Precondition,
}

/// What is to become of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is to be this, whether it was there or not: what the file would say, as JSON. `•••` in place of a
    /// secret is the one that is kept there.
    Put(Json),
    /// It is to be gone.
    Delete,
}

/// What must be so for a change to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It is there, and this revision changed it last.
    Revision(i64),
}

impl Precondition {
    /// Whether it holds for what was last changed by `revision`, or is not there.
    pub(crate) fn holds(self, revision: Option<i64>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => revision.is_none(),
            Self::Present => revision.is_some(),
            Self::Revision(expected) => revision == Some(expected),
        }
    }
}

impl Proposal {
    /// Refuses what is not acceptable whatever else there is.
    pub(crate) fn check(&self) -> Result<()> {
        let comment = &self.comment;
        if comment.chars().count() > MOST_COMMENT || comment.contains(char::is_control) {
            let why = format!("is at most {MOST_COMMENT} characters, on one line");
            return Err(Error::invalid("comment", why));
        }
        let What::Changes(changes) = &self.what else {
            return Ok(());
        };
        if changes.is_empty() || changes.len() > MOST_CHANGES {
            let why = format!("are from 1 to {MOST_CHANGES}");
            return Err(Error::invalid("changes", why));
        }
        let mut seen = HashSet::with_capacity(changes.len());
        for change in changes {
            if !seen.insert(&change.resource) {
                let why = format!("change {} twice", change.resource);
                return Err(Error::invalid("changes", why));
            }
        }
        Ok(())
    }
}

/// The form in which a document is kept: a JSON object, and for a route with its name.
pub(crate) fn canonical(resource: &ResourceName, document: Json) -> Result<Json> {
    let wrong = |why: &str| Err(Error::invalid(resource.to_string(), why));
    let Json::Object(members) = document else {
        return wrong("is not a JSON object");
    };
    if members.contains_key(SEALED) {
        return wrong("has a member `$sealed`, which Weir keeps for itself");
    }
    let members = match (resource.kind, members.get("name")) {
        (ResourceKind::Route, None) => {
            let mut named = Map::with_capacity(members.len() + 1);
            named.insert("name".to_owned(), Json::from(resource.name.as_str()));
            named.extend(members);
            named
        }
        (ResourceKind::Route, Some(name)) if name != resource.name.as_str() => {
            return wrong("has another `name` in its document");
        }
        _ => members,
    };
    let document = Json::Object(members);
    let text = document.to_string();
    if text.len() > MOST_DOCUMENT {
        return wrong("is larger than 1 MiB");
    }
    if text.contains("\\u0000") {
        return wrong("has a NUL, which no text can have");
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_route_has_its_name_and_no_other() {
        let route = ResourceName::new(ResourceKind::Route, "a").unwrap();
        let text = canonical(&route, json!({"upstream": "u"})).unwrap();
        assert_eq!(text.to_string(), r#"{"name":"a","upstream":"u"}"#);
        let same = json!({"upstream": "u", "name": "a"});
        assert_eq!(canonical(&route, same.clone()).unwrap(), same);
        for wrong in [
            json!({"name": "b"}),
            json!({"name": 1}),
            json!([]),
            json!({"x": "\0"}),
            json!({"upstream": "u", "$sealed": {}}),
        ] {
            assert!(canonical(&route, wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn preconditions_are_about_the_last_change() {
        assert!(Precondition::Absent.holds(None) && !Precondition::Absent.holds(Some(3)));
        assert!(Precondition::Present.holds(Some(3)) && !Precondition::Present.holds(None));
        let of_three = Precondition::Revision(3);
        assert!(of_three.holds(Some(3)) && !of_three.holds(Some(4)) && !of_three.holds(None));
    }
}
