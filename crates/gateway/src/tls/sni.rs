//! Which certificate answers which server name (RFC 6066 §3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::fingerprint::{self, Fingerprint};
use super::keys::Certified;

/// A listener's certificates by the DNS names they are for.
///
/// Its own go before those that are for it beside them. Of each, a name's own certificate goes before a
/// wildcard's; a wildcard stands for exactly one label (RFC 9525 §6.3). Where several certificates are for
/// one name, the first whose key suits the client's signature algorithms answers, so that ECDSA and RSA can
/// stand side by side.
#[derive(Debug)]
pub(super) struct CertificatesByName {
    /// Answers where nothing else does.
    first: Option<Arc<Certified>>,
    own: Names,
    named: Names,
    /// Of all of them.
    count: usize,
}

#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, Vec<Arc<Certified>>>,
    /// By what follows the `*.`.
    wildcard: HashMap<String, Vec<Arc<Certified>>>,
}

impl CertificatesByName {
    /// Sorts certificates by their subject alternative names: the listener's own, and those beside them.
    pub(super) fn new(own: &[Arc<Certified>], named: &[Arc<Certified>]) -> Self {
        Self {
            first: own.first().cloned(),
            own: Names::of(own),
            named: Names::of(named),
            count: own.len() + named.len(),
        }
    }

    /// Whether every name has the same answer.
    pub(super) const fn is_one(&self) -> bool {
        self.first.is_some() && self.count == 1
    }

    /// Identity of what may answer a name: equal exactly when the certificates are.
    pub(super) fn identity(&self, name: Option<&str>) -> Fingerprint {
        let name = name.map(str::to_ascii_lowercase);
        let mut candidates = self.candidates(name.as_deref()).peekable();
        let first = match candidates.peek() {
            Some(_) => None,
            None => self.first.as_ref(),
        };
        fingerprint::all(candidates.chain(first).map(|one| one.fingerprint))
    }

    /// Whether there is an answer to every name, also to none.
    pub(super) const fn answers_all(&self) -> bool {
        self.first.is_some()
    }

    /// The certificate for a name, or the first of the listener's own for none and for an unknown one.
    pub(super) fn pick(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<&Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let candidates = || self.candidates(name.as_deref());
        let suits = |candidate: &&Arc<Certified>| {
            let key = &candidate.key.key;
            key.choose_scheme(schemes).is_some()
        };
        let picked = candidates()
            .find(suits)
            .or_else(|| candidates().next())
            .or(self.first.as_ref());
        picked.map(|picked| &picked.key)
    }

    /// Those for a name in lower case, in the order in which they are asked.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<Certified>> {
        let name = name.unwrap_or_default();
        let own = self.own.candidates(name);
        own.iter().chain(self.named.candidates(name))
    }
}

impl Names {
    fn of(certificates: &[Arc<Certified>]) -> Self {
        let mut names = Self::default();
        for certificate in certificates {
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcard, parent),
                    None => (&mut names.exact, name.as_str()),
                };
                let for_name = map.entry(name.to_owned()).or_default();
                for_name.push(Arc::clone(certificate));
            }
        }
        names
    }

    /// Those for a name in lower case.
    fn candidates(&self, name: &str) -> &[Arc<Certified>] {
        if let Some(exact) = self.exact.get(name) {
            return exact;
        }
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        wildcard.map_or(&[], Vec::as_slice)
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pick(hello.server_name(), hello.signature_schemes())
            .cloned()
    }
}
