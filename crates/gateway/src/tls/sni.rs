//! Which certificate answers which server name (RFC 6066 §3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// A listener's certificates by the DNS names they are for.
///
/// Its own go before those that are for it beside them. Of each, a name's own certificate goes before a
/// wildcard's; a wildcard stands for exactly one label (RFC 9525 §6.3). Where several certificates are for
/// one name, the first whose key suits the client's signature algorithms answers, so that ECDSA and RSA can
/// stand side by side.
#[derive(Debug)]
pub(super) struct CertificatesByName {
    /// Answers where nothing else does.
    first: Option<Arc<CertifiedKey>>,
    own: Names,
    named: Names,
}

#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl CertificatesByName {
    /// Sorts certificates by their subject alternative names: the listener's own, and those beside them.
    pub(super) fn new(own: &[Arc<CertifiedKey>], named: &[Arc<CertifiedKey>]) -> Self {
        Self {
            first: own.first().cloned(),
            own: Names::of(own),
            named: Names::of(named),
        }
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
        let name = name.as_deref().unwrap_or_default();
        let (own, named) = (self.own.candidates(name), self.named.candidates(name));
        let candidates = || own.iter().chain(named);
        candidates()
            .find(|candidate| candidate.key.choose_scheme(schemes).is_some())
            .or_else(|| candidates().next())
            .or(self.first.as_ref())
    }
}

impl Names {
    fn of(certificates: &[Arc<CertifiedKey>]) -> Self {
        let mut names = Self::default();
        for certificate in certificates {
            for name in dns_names(certificate) {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcard, parent.to_owned()),
                    None => (&mut names.exact, name),
                };
                map.entry(name).or_default().push(Arc::clone(certificate));
            }
        }
        names
    }

    /// Those for a name in lower case.
    fn candidates(&self, name: &str) -> &[Arc<CertifiedKey>] {
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

/// The DNS names of a certificate in lower case. The common name is none: no client has matched it
/// for years (RFC 9525 §2).
fn dns_names(certificate: &CertifiedKey) -> Vec<String> {
    let Some(leaf) = certificate.cert.first() else {
        return Vec::new();
    };
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        return Vec::new();
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
