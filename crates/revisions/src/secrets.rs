//! Secrets of documents: sealed where documents are kept, hidden where they are shown, open where they are
//! used.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value as Json};
use weir_config::{Document, HIDDEN, ResourceName, Resources, SEALED};
use weir_core::Secret;
use weir_store::seal::Sealer;

use crate::error::{Error, Result};
use crate::sealed::{Kept, agree, find_hidden};

/// Seals and opens secrets of documents; clones share the key.
#[derive(Clone, Debug)]
pub struct Secrets(Arc<Sealer>);

impl Secrets {
    /// Under the installation's key.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        Self::with_former(key, &[])
    }

    /// Under the installation's key. What is under former ones opens.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn with_former(key: &Secret<[u8; 32]>, former: &[Secret<[u8; 32]>]) -> Result<Self> {
        let sealer = Sealer::with_former(key, former).map_err(Error::internal)?;
        Ok(Self(Arc::new(sealer)))
    }

    /// Resources as they can be used. One whose secrets do not open stays as it is kept, and is refused
    /// where it is loaded.
    pub fn open(&self, kept: &Resources) -> Resources {
        let documents = kept.documents().iter().map(|document| Document {
            id: document.id.clone(),
            text: match self.opened(&document.id, &document.text) {
                Some(text) => text.into(),
                None => document.text.clone(),
            },
        });
        Resources::new(kept.revision(), documents.collect()).with_digest(kept.digest())
    }

    /// Resources as they are kept, with what opens sealed under the present key.
    pub fn resealed(&self, kept: &Resources) -> Resources {
        let documents = kept.documents().iter().map(|document| Document {
            id: document.id.clone(),
            text: match self.reseal(&document.id, &document.text) {
                Resealed::Anew(text) => text.into(),
                Resealed::Already | Resealed::Unreadable => document.text.clone(),
            },
        });
        Resources::new(kept.revision(), documents.collect()).with_digest(kept.digest())
    }

    /// A document as it is kept, with all its secrets under the present key.
    pub(crate) fn reseal(&self, name: &ResourceName, text: &str) -> Resealed {
        if !text.contains(SEALED) {
            return Resealed::Already;
        }
        let Ok(document) = serde_json::from_str(text) else {
            return Resealed::Unreadable;
        };
        let mut kept = Kept::of(document);
        let mut is_changed = false;
        for (pointer, sealed) in &mut kept.sealed {
            let text = sealed.as_str().unwrap_or_default();
            let Ok(bytes) = STANDARD_NO_PAD.decode(text) else {
                return Resealed::Unreadable;
            };
            match self.0.reseal(&purpose(name, pointer), &bytes) {
                Ok(None) => {}
                Ok(Some(anew)) => {
                    *sealed = Json::from(STANDARD_NO_PAD.encode(anew));
                    is_changed = true;
                }
                Err(_) => return Resealed::Unreadable,
            }
        }
        match is_changed {
            true => Resealed::Anew(kept.into_json().to_string()),
            false => Resealed::Already,
        }
    }

    /// A document with its secrets; none if it has no sealed ones, or they do not open.
    fn opened(&self, name: &ResourceName, text: &str) -> Option<String> {
        if !text.contains(SEALED) {
            return None;
        }
        let Kept { mut shown, sealed } = Kept::of(serde_json::from_str(text).ok()?);
        if sealed.is_empty() {
            return None;
        }
        for (pointer, text) in &sealed {
            *shown.pointer_mut(pointer)? = self.unseal(name, pointer, text)?;
        }
        Some(shown.to_string())
    }

    /// A document as it was written, with the secrets for which it has `•••`, which are those that are kept
    /// at the same places; and these places.
    pub(crate) fn filled(
        &self,
        name: &ResourceName,
        written: &Json,
        kept: Option<&Kept>,
    ) -> Result<(Json, Vec<String>)> {
        let taken = find_hidden(written);
        let mut filled = written.clone();
        for pointer in &taken {
            let refuse = |why: &str| {
                let why = format!("has `{HIDDEN}` at `{pointer}`, {why}");
                Err(Error::invalid(name.to_string(), why))
            };
            let found = kept.and_then(|kept| Some((kept, kept.sealed.get(pointer)?)));
            let Some((kept, sealed)) = found else {
                return refuse("where no secret is kept: write the secret itself");
            };
            if !agree(written, &kept.shown, pointer) {
                return refuse("in a list that is not as it was: write its secrets anew");
            }
            let Some(secret) = self.unseal(name, pointer, sealed) else {
                return refuse("and what is kept there does not open: write the secret itself");
            };
            if let Some(place) = filled.pointer_mut(pointer) {
                *place = secret;
            }
        }
        Ok((filled, taken))
    }

    /// What is kept of a document with secrets at these places. A secret that is kept already stays sealed as
    /// it is, so that the same document is kept as the same text.
    pub(crate) fn sealed(
        &self,
        name: &ResourceName,
        mut document: Json,
        places: &BTreeSet<String>,
        before: Option<&Kept>,
    ) -> Result<Kept> {
        let mut sealed = Map::new();
        for pointer in places {
            let Some(place) = document.pointer_mut(pointer) else {
                continue;
            };
            let secret = std::mem::replace(place, Json::from(HIDDEN));
            let former = before.and_then(|kept| kept.sealed.get(pointer));
            let former = former.filter(|text| {
                let opened = self.unseal(name, pointer, text);
                opened.as_ref() == Some(&secret)
            });
            let text = match former {
                Some(text) => text.clone(),
                None => Json::from(self.seal(name, pointer, &secret)?),
            };
            sealed.insert(pointer.clone(), text);
        }
        Ok(Kept {
            shown: document,
            sealed,
        })
    }

    /// Whether two documents that are kept under one name say the same.
    pub(crate) fn same(&self, name: &ResourceName, left: &Kept, right: &Kept) -> bool {
        let places = |kept: &Kept| kept.sealed.keys().cloned().collect::<BTreeSet<_>>();
        left.shown == right.shown
            && places(left) == places(right)
            && self.different(name, left, right).is_empty()
    }

    /// The places at which both have a secret, and not the same one.
    pub(crate) fn different(&self, name: &ResourceName, left: &Kept, right: &Kept) -> Vec<String> {
        let both = left.sealed.iter();
        let both = both.filter_map(|(at, text)| Some((at, text, right.sealed.get(at)?)));
        let different = both.filter(|(at, left, right)| {
            let open = |text| self.unseal(name, at, text);
            left != right && open(left).is_none_or(|secret| open(right) != Some(secret))
        });
        different.map(|(at, _, _)| at.clone()).collect()
    }

    fn seal(&self, name: &ResourceName, pointer: &str, secret: &Json) -> Result<String> {
        // Sealed with their type: `12` is not `"12"`.
        let text = secret.to_string();
        let sealed = self.0.seal(&purpose(name, pointer), text.as_bytes());
        Ok(STANDARD_NO_PAD.encode(sealed.map_err(Error::internal)?))
    }

    fn unseal(&self, name: &ResourceName, pointer: &str, sealed: &Json) -> Option<Json> {
        let sealed = STANDARD_NO_PAD.decode(sealed.as_str()?).ok()?;
        let text = self.0.open(&purpose(name, pointer), &sealed).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// What became of a document whose secrets were to be sealed under the present key.
pub(crate) enum Resealed {
    /// They are already.
    Already,
    /// It is kept as this from now on.
    Anew(String),
    /// Some do not open: they are under a key that is not known, or damaged.
    Unreadable,
}

/// A secret opens at its place in its resource only. Kinds and names have no spaces.
fn purpose(name: &ResourceName, pointer: &str) -> String {
    format!("resource {} {} {pointer}", name.kind.name(), name.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_config::ResourceKind;

    use super::*;

    const PLACE: &str = "/headers/request/set/authorization";

    fn secrets(byte: u8) -> Secrets {
        Secrets::new(&Secret::new([byte; 32])).unwrap()
    }

    fn policy(name: &str) -> ResourceName {
        ResourceName::new(ResourceKind::Policy, name).unwrap()
    }

    fn document(secret: &str) -> Json {
        json!({"headers": {"request": {"set": {"authorization": secret, "x-a": "b"}}}})
    }

    fn kept(secrets: &Secrets, secret: &str, before: Option<&Kept>) -> Kept {
        let places = BTreeSet::from([PLACE.to_owned()]);
        let kept = secrets.sealed(&policy("a"), document(secret), &places, before);
        let kept = kept.unwrap();
        let text = kept.clone().into_json().to_string();
        assert!(!text.contains(secret), "{text}");
        kept
    }

    #[test]
    fn what_is_kept_opens_under_its_name_and_key_only() {
        let ours = secrets(1);
        let kept = kept(&ours, "canary-7f3a", None);
        let resources = |name: &str| {
            let text = kept.clone().into_json().to_string();
            let id = policy(name);
            let text = text.into();
            Resources::new(7, vec![Document { id, text }])
        };
        let opened = ours.open(&resources("a"));
        assert_eq!(
            *opened.documents()[0].text,
            *document("canary-7f3a").to_string()
        );
        assert_eq!(opened.revision(), 7);
        assert_eq!(ours.open(&resources("b")), resources("b"));
        assert_eq!(secrets(2).open(&resources("a")), resources("a"));
        // What was kept before there were sealed secrets.
        let text = document("canary-7f3a").to_string().into();
        let clear = Resources::new(
            1,
            vec![Document {
                id: policy("a"),
                text,
            }],
        );
        assert_eq!(ours.open(&clear), clear);
    }

    #[test]
    fn a_secret_opens_at_its_own_place_only() {
        let ours = secrets(1);
        let mut kept = kept(&ours, "canary-7f3a", None);
        let sealed = kept.sealed.remove(PLACE).unwrap();
        // Where it would be shown to whoever is sent it.
        let other = "/headers/request/set/x-a";
        kept.sealed.insert(other.to_owned(), sealed);
        let text = kept.into_json().to_string();
        assert_eq!(ours.opened(&policy("a"), &text), None);
    }

    #[test]
    fn the_same_secret_is_kept_as_the_same_text() {
        let ours = secrets(1);
        let first = kept(&ours, "one", None);
        let again = kept(&ours, "one", Some(&first));
        assert_eq!(first.clone().into_json(), again.into_json());
        let anew = kept(&ours, "one", None);
        assert_ne!(first.clone().into_json(), anew.clone().into_json());
        assert!(ours.same(&policy("a"), &first, &anew));
        let other = kept(&ours, "two", Some(&first));
        assert!(!ours.same(&policy("a"), &first, &other));
        assert_eq!(ours.different(&policy("a"), &first, &other), [PLACE]);
    }

    #[test]
    fn dots_stand_for_what_is_kept_there_and_for_nothing_else() {
        let ours = secrets(1);
        let kept = kept(&ours, "one", None);
        let fill = |written: &Json, kept| ours.filled(&policy("a"), written, kept);
        let (filled, taken) = fill(&document(HIDDEN), Some(&kept)).unwrap();
        assert_eq!((filled, taken), (document("one"), vec![PLACE.to_owned()]));
        let (filled, taken) = fill(&document("two"), Some(&kept)).unwrap();
        assert_eq!((filled, taken), (document("two"), vec![]));
        let error = fill(&document(HIDDEN), None).unwrap_err().to_string();
        assert!(error.contains("no secret is kept"), "{error}");
        let elsewhere = json!({"headers": {"request": {"set": {"x-shown": HIDDEN}}}});
        assert!(fill(&elsewhere, Some(&kept)).is_err());
        let another = secrets(2);
        let error = another.filled(&policy("a"), &document(HIDDEN), Some(&kept));
        assert!(error.unwrap_err().to_string().contains("does not open"));
    }
}
