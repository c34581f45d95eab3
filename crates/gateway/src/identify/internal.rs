//! A short-lived token that tells the upstream who is calling, and that nobody else on the way can make.
//!
//! A signature takes tens of microseconds, more than everything else that is done for a request together. So one is made for
//! each known credential, kept with it, and sent with its requests until two thirds of its lifetime are over: what is
//! left is the upstream's to verify it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use weir_config::model::InternalToken;
use weir_core::{Id, Principal};
use weir_jose::{KeyId, SigningKey};

/// `typ` of these tokens: nothing that takes access tokens takes one of them.
const TYPE: &str = "weir-internal+jwt";
/// Longest token, in bytes. Servers take fields of no more than about this.
const LONGEST: usize = 8 * 1024;
/// Who issues tokens of a key of the configuration that names nobody.
const NOBODY: &str = "weir";

/// What signs tokens that name no key of their own: the installation's keys, as the records have them.
#[derive(Debug, Default)]
pub struct Signer(ArcSwapOption<Signing>);

/// A key, and in whose name it signs.
#[derive(Debug)]
pub struct Signing {
    /// The key.
    pub key: Arc<SigningKey>,
    /// `iss` of its tokens.
    pub issuer: Arc<str>,
}

impl Signer {
    /// This one signs from now on.
    pub fn set(&self, key: Arc<SigningKey>, issuer: &str) {
        let issuer = Arc::from(issuer);
        self.0.store(Some(Arc::new(Signing { key, issuer })));
    }

    /// None signs: those that did may be known to others.
    pub fn clear(&self) {
        self.0.store(None);
    }
}

/// Makes tokens for one route, as a policy describes them.
#[derive(Debug)]
pub(crate) struct Minter {
    model: Arc<InternalToken>,
    /// The organization whose traffic the route carries.
    tenant: Option<Box<str>>,
    /// The key that the policy names.
    own: Option<Arc<Signing>>,
}

/// A token, as long as it is sent.
#[derive(Debug)]
pub(super) struct Minted {
    model: Arc<InternalToken>,
    tenant: Option<Box<str>>,
    key: KeyId,
    /// Times are in seconds since 1970.
    sent_until: u64,
    expires_at: u64,
    value: HeaderValue,
}

impl Minter {
    pub(crate) fn compile(model: &Arc<InternalToken>, tenant: Option<&str>) -> Self {
        let own = model.key.as_ref().map(|key| {
            let issuer = model.issuer.as_deref().unwrap_or(NOBODY);
            Arc::new(Signing {
                key: Arc::clone(key),
                issuer: Arc::from(issuer),
            })
        });
        Self {
            model: Arc::clone(model),
            tenant: tenant.map(Box::from),
            own,
        }
    }

    /// The field that it is sent in.
    pub(super) fn header(&self) -> &HeaderName {
        &self.model.header
    }

    /// What signs now.
    ///
    /// # Errors
    /// If nothing does, as before records were read for the first time: the word for logs.
    pub(super) fn signing(&self, signer: &Signer) -> Result<Arc<Signing>, &'static str> {
        let signing = self.own.clone().or_else(|| signer.0.load_full());
        signing.ok_or("no key signs tokens for upstreams yet")
    }

    /// A token about somebody whose credential ends at `ends_at`. Times are in seconds since 1970.
    ///
    /// # Errors
    /// If it cannot be made: the word for logs.
    pub(super) fn mint(
        &self,
        signing: &Signing,
        principal: &Principal,
        ends_at: u64,
        now: u64,
    ) -> Result<Minted, &'static str> {
        let lifetime = self.model.lifetime.as_secs();
        let expires_at = now.saturating_add(lifetime).min(ends_at);
        let claims = Value::Object(self.claims(&signing.issuer, principal, now, expires_at));
        let token = signing
            .key
            .sign(TYPE, claims.to_string().as_bytes())
            .map_err(|_| "a token for the upstream cannot be signed")?;
        if token.len() > LONGEST {
            return Err("the token for the upstream is too long");
        }
        let text = match self.model.header == AUTHORIZATION {
            true => format!("Bearer {token}"),
            false => token,
        };
        let mut value =
            HeaderValue::try_from(text).map_err(|_| "the token for the upstream is no field")?;
        value.set_sensitive(true);
        Ok(Minted {
            model: Arc::clone(&self.model),
            tenant: self.tenant.clone(),
            key: signing.key.id(),
            sent_until: expires_at.saturating_sub(lifetime - lifetime * 2 / 3),
            expires_at,
            value,
        })
    }

    fn claims(
        &self,
        issuer: &str,
        principal: &Principal,
        now: u64,
        expires_at: u64,
    ) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut add = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        add("iss", json!(issuer));
        add("sub", json!(&*principal.subject));
        let audience = match &*self.model.audiences {
            [one] => json!(one),
            several => json!(several),
        };
        add("aud", audience);
        add("iat", json!(now));
        add("exp", json!(expires_at));
        add("jti", json!(Id::new("jti").to_string()));
        add("method", json!(principal.method.as_str()));
        // Subjects are unique to whoever vouches for them only (RFC 9493 §3.2.4).
        if let Some(issuer) = principal.issuer.as_deref() {
            let id = json!({"format": "iss_sub", "iss": issuer, "sub": &*principal.subject});
            add("sub_id", id);
        }
        if let Some(organization) = principal.organization.as_deref() {
            add("organization", json!(organization));
        }
        if let Some(tenant) = &self.tenant {
            add("tenant", json!(tenant));
        }
        if !principal.scopes.is_empty() {
            add("scope", json!(principal.scopes.join(" ")));
        }
        if !principal.roles.is_empty() {
            add("roles", json!(principal.roles));
        }
        // Apart from the others: what somebody else wrote is never taken for what Weir says.
        let told = self.model.claims.iter();
        let told: Map<String, Value> = told
            .filter_map(|claim| {
                let value = principal.claim(&claim.steps)?;
                Some((claim.text.clone(), value.clone()))
            })
            .collect();
        if !told.is_empty() {
            add("claims", Value::Object(told));
        }
        claims
    }
}

impl Minted {
    /// As it is sent.
    pub(super) fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    /// Whether it is of this route's kind.
    pub(super) fn is_of(&self, minter: &Minter) -> bool {
        Arc::ptr_eq(&self.model, &minter.model) && self.tenant == minter.tenant
    }

    /// Whether it is still to be sent for somebody whose credentials end at `ends_at`.
    pub(super) fn is_good(&self, signing: &Signing, ends_at: u64, now: u64) -> bool {
        // Of credentials that end with it, there will be no other token.
        let is_last = self.expires_at == ends_at && now < self.expires_at;
        let is_long = now < self.sent_until && self.expires_at <= ends_at;
        (is_last || is_long) && self.key == signing.key.id()
    }
}

#[cfg(test)]
mod tests;
