//! The form in which documents with secrets are kept.
//!
//! A document has `•••` in place of each secret, and the sealed secrets by their places (RFC 6901) in a
//! member of its own. Without that member it is what may be shown:
//!
//! ```json
//! {
//!   "headers": { "request": { "set": { "authorization": "•••" } } },
//!   "$sealed": { "/headers/request/set/authorization": "AXJ…" }
//! }
//! ```

use serde_json::{Map, Value as Json};
use weir_config::{HIDDEN, ResourceName, SEALED, secrets};

use crate::error::{Error, Result};

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// What may be shown of it.
    pub(crate) shown: Json,
    /// Its secrets, sealed, by their places.
    pub(crate) sealed: Map<String, Json>,
}

impl Kept {
    /// What is kept as this; one from before secrets were sealed has none that are.
    pub(crate) fn of(mut document: Json) -> Self {
        let members = document.as_object_mut();
        let sealed = members.and_then(|members| members.shift_remove(SEALED));
        let sealed = match sealed {
            Some(Json::Object(sealed)) => sealed,
            _ => Map::new(),
        };
        Self {
            shown: document,
            sealed,
        }
    }

    /// As it is kept.
    pub(crate) fn into_json(self) -> Json {
        let Self { mut shown, sealed } = self;
        if let (Json::Object(members), false) = (&mut shown, sealed.is_empty()) {
            members.insert(SEALED.to_owned(), Json::Object(sealed));
        }
        shown
    }
}

/// A document as it is kept, from its text.
pub(crate) fn parse(text: &str) -> Result<Kept> {
    Ok(Kept::of(
        serde_json::from_str(text).map_err(Error::internal)?,
    ))
}

/// Hides what is secret and still in the clear: a document may have been kept before its secrets were sealed.
pub(crate) fn hide<'d>(documents: impl IntoIterator<Item = (&'d ResourceName, &'d mut Kept)>) {
    let mut documents: Vec<_> = documents.into_iter().collect();
    let named = documents.iter().map(|(name, kept)| (*name, &kept.shown));
    let places = secrets(&named.collect::<Vec<_>>());
    for ((_, kept), places) in documents.iter_mut().zip(places) {
        for pointer in places {
            if let Some(place) = kept.shown.pointer_mut(&pointer) {
                *place = Json::from(HIDDEN);
            }
        }
    }
}

/// The places at which a document has `•••`.
pub(crate) fn find_hidden(document: &Json) -> Vec<String> {
    let mut found = Vec::new();
    visit(document, &mut String::new(), &mut found);
    found
}

/// Documents are as deep as their parser lets them be.
fn visit(value: &Json, pointer: &mut String, found: &mut Vec<String>) {
    let length = pointer.len();
    match value {
        Json::String(text) if text == HIDDEN => found.push(pointer.clone()),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                visit(item, pointer, found);
                pointer.truncate(length);
            }
        }
        Json::Object(members) => {
            for (key, member) in members {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                visit(member, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// Whether the items of lists on the way to a place are the same in both: in a list that became another one
/// a place would mean another thing.
pub(crate) fn agree(written: &Json, shown: &Json, pointer: &str) -> bool {
    let (mut left, mut right) = (written, shown);
    for step in pointer.split('/').skip(1) {
        let is_same = match (left, right) {
            (Json::Array(left), Json::Array(right)) => {
                let at = step.parse::<usize>().unwrap_or(usize::MAX);
                left.len() == right.len() && left.get(at) == right.get(at)
            }
            (Json::Object(_), Json::Object(_)) => true,
            _ => false,
        };
        let step = format!("/{step}");
        match (is_same, left.pointer(&step), right.pointer(&step)) {
            (true, Some(next_left), Some(next_right)) => (left, right) = (next_left, next_right),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_config::ResourceKind;

    use super::*;

    #[test]
    fn a_document_is_shown_without_what_is_sealed() {
        let kept = json!({"a": {"b": HIDDEN}, "$sealed": {"/a/b": "x"}, "c": 1});
        let parts = Kept::of(kept.clone());
        assert_eq!(parts.shown, json!({"a": {"b": HIDDEN}, "c": 1}));
        assert_eq!(parts.into_json(), kept);
        assert_eq!(Kept::of(json!([1])).into_json(), json!([1]));
    }

    #[test]
    fn what_was_kept_in_clear_is_hidden() {
        let name = ResourceName::new(ResourceKind::Policy, "a").unwrap();
        let set = |value: &str| json!({"headers": {"request": {"set": {"cookie": value}}}});
        let mut clear = Kept::of(set("canary"));
        hide([(&name, &mut clear)]);
        assert_eq!(clear.shown, set(HIDDEN));
    }

    #[test]
    fn places_are_found_and_lists_are_compared() {
        let shown = json!({"pins": [{"header": "x-api-key", "value": HIDDEN}, {"cookie": "c"}]});
        let place = "/pins/0/value";
        assert_eq!(find_hidden(&shown), [place]);
        assert_eq!(find_hidden(&json!({"a/b": {"c~": HIDDEN}})), ["/a~1b/c~0"]);
        assert!(agree(&shown, &shown, place));
        for other in [
            json!({"pins": [{"header": "x-other", "value": HIDDEN}, {"cookie": "c"}]}),
            json!({"pins": [{"header": "x-api-key", "value": HIDDEN}]}),
            json!({"pins": {"0": {"header": "x-api-key", "value": HIDDEN}}}),
            json!({"pins": HIDDEN}),
        ] {
            assert!(!agree(&other, &shown, place), "{other}");
        }
        let more = json!({"pins": shown["pins"], "else": 1});
        assert!(agree(&more, &shown, place));
    }
}
