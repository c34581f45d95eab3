//! What is kept of an API key that records know, and how much room it takes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use quick_cache::Weighter;
use serde_json::{Map, json};
use weir_core::Principal;
use weir_core::principal::Method;
use weir_identity::KeyHolder;

/// About how large what is known of a key is, for the first table.
pub(super) const USUAL: u64 = 1024;

/// What records said of a key.
pub(super) struct Kept {
    /// What finds it.
    pub(super) public: Box<str>,
    /// `None`: that there is none.
    pub(super) key: Option<KnownKey>,
    /// Subjects whose change makes it worthless.
    pub(super) about: Vec<Box<str>>,
    /// The latest change when it was asked for.
    pub(super) since: u64,
    pub(super) at: Instant,
    /// Whether somebody looks at it again.
    pub(super) is_renewed: AtomicBool,
}

pub(super) struct KnownKey {
    pub(super) holder: KeyHolder,
    /// The organization's slug.
    pub(super) organization: String,
}

#[derive(Clone, Copy)]
pub(super) struct Bytes;

impl Weighter<Box<str>, Arc<Kept>> for Bytes {
    fn weight(&self, public: &Box<str>, kept: &Arc<Kept>) -> u64 {
        (size_of::<Box<str>>() + public.len() + kept.size()) as u64
    }
}

impl Kept {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        let about: usize = self.about.iter().map(|subject| text_size(subject)).sum();
        size_of::<Self>()
            + text_size(&self.public)
            + about
            + self.key.as_ref().map_or(0, KnownKey::size)
    }
}

impl KnownKey {
    /// Identifiers of the key, of its owner and of their organization.
    pub(super) fn about(&self) -> Vec<Box<str>> {
        let holder = &self.holder;
        let user = holder.user.as_ref().map(ToString::to_string);
        let all = [holder.id.to_string(), holder.tenant.to_string()];
        all.into_iter()
            .chain(user)
            .map(String::into_boxed_str)
            .collect()
    }

    pub(super) fn principal(&self) -> Principal {
        let holder = &self.holder;
        let mut claims = Map::new();
        claims.insert("name".to_owned(), json!(holder.name));
        claims.insert("key".to_owned(), json!(holder.id.to_string()));
        // A person's key is that person; an organization's own is itself.
        let subject = holder.user.as_ref().unwrap_or(&holder.id);
        Principal {
            method: Method::Key,
            issuer: None,
            subject: subject.to_string().into(),
            organization: Some(self.organization.as_str().into()),
            scopes: holder.scopes.iter().map(Box::from).collect(),
            roles: Vec::new(),
            claims,
        }
    }

    fn size(&self) -> usize {
        let holder = &self.holder;
        let scopes: usize = holder.scopes.iter().map(text_size).sum();
        // Its texts of identifiers are those that it is about, once more.
        let identifiers = [
            Some(&holder.id),
            Some(holder.tenant.id()),
            holder.user.as_ref(),
        ];
        let identifiers = identifiers.into_iter().flatten();
        let identifiers: usize = identifiers.map(|id| text_size(id.as_str())).sum();
        identifiers + scopes + text_size(&holder.name) + text_size(&self.organization)
    }
}

/// What a text takes, with what whoever hands out memory adds.
fn text_size(text: &str) -> usize {
    size_of::<Box<str>>() + text.len().next_multiple_of(16)
}
