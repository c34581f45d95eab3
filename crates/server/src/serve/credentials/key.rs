//! API keys: whose one is.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, json};
use weir_core::principal::Method;
use weir_core::{ApiKeyText, Principal, Secret};
use weir_gateway::identify::{Answer, Good, Lookup, Question};
use weir_identity::{Identity, KeyHolder, Result};

use super::kept::Name;

/// How long a worker believes an answer without asking here again, which also says that the key was used.
const FRESH: Duration = Duration::from_secs(30);

/// What records said of a key.
pub(super) struct KnownKey {
    holder: KeyHolder,
    /// The organization's slug.
    organization: String,
    /// Identifiers of the key, of its owner and of their organization.
    about: Vec<Box<str>>,
}

/// What finds a key; none for what is not of the form of one, or mistyped.
pub(super) fn name(text: &Secret<String>) -> Option<Name> {
    let key = ApiKeyText::parse(text.expose())?;
    Some(Name::Key(Box::from(key.public_part())))
}

impl KnownKey {
    /// Asks records who holds it.
    pub(super) async fn find(identity: &Identity, public: &str) -> Result<Option<Self>> {
        let Some(holder) = identity.find_api_key(public).await? else {
            return Ok(None);
        };
        let organization = identity.organization(&holder.tenant).await?.slug;
        Ok(Some(Self::new(holder, organization)))
    }

    pub(super) fn new(holder: KeyHolder, organization: String) -> Self {
        let user = holder.user.as_ref().map(ToString::to_string);
        let about = [holder.id.to_string(), holder.tenant.to_string()];
        let about = about.into_iter().chain(user);
        Self {
            about: about.map(String::into_boxed_str).collect(),
            holder,
            organization,
        }
    }

    /// What is to be said to whoever shows a key of this public part.
    pub(super) fn judge(&self, identity: &Identity, lookup: &Lookup, now: Timestamp) -> Answer {
        let holder = &self.holder;
        let is_it = shown(lookup).is_some_and(|shown| shown.is_of(&holder.hash));
        if !is_it {
            return Answer::Bad("key_unknown");
        }
        if let Err(refusal) = holder.check(now) {
            return Answer::Bad(refusal.word());
        }
        let client = lookup.client.to_string();
        identity.note_key_used(&holder.tenant, &holder.id, Some(&client), now);
        Answer::Good(Box::new(Good {
            principal: self.principal(),
            ends_at: holder
                .expires_at
                .and_then(|ends| u64::try_from(ends.as_second()).ok()),
            fresh_for: FRESH,
            about: self.about.clone(),
            person: None,
        }))
    }

    fn principal(&self) -> Principal {
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

    pub(super) fn about(&self) -> &[Box<str>] {
        &self.about
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let holder = &self.holder;
        let about: usize = self.about.iter().map(|subject| text_size(subject)).sum();
        let scopes: usize = holder.scopes.iter().map(text_size).sum();
        // Its texts of identifiers are those that it is about, once more.
        let texts = 2 * about + scopes + text_size(&holder.name) + text_size(&self.organization);
        size_of::<Self>() + texts
    }
}

/// The key that is asked about.
fn shown(lookup: &Lookup) -> Option<ApiKeyText<'_>> {
    match &lookup.question {
        Question::ApiKey(text) => ApiKeyText::parse(text.expose()),
        Question::Password { .. } | Question::Session(_) | Question::Token { .. } => None,
    }
}

/// What a text takes, with what whoever hands out memory adds.
fn text_size(text: &str) -> usize {
    size_of::<Box<str>>() + text.len().next_multiple_of(16)
}
