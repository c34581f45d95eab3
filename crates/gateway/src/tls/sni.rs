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
/// A name's own certificate goes before a wildcard's; a wildcard stands for exactly one label
/// (RFC 9525 §6.3). Where several certificates are for one name, the first whose key suits the
/// client's signature algorithms answers, so that ECDSA and RSA can stand side by side.
#[derive(Debug)]
pub(super) struct CertificatesByName {
    first: Arc<CertifiedKey>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl CertificatesByName {
    /// Sorts certificates by their subject alternative names; `None` if there is none.
    pub(super) fn new(certificates: &[Arc<CertifiedKey>]) -> Option<Self> {
        let mut names = Self {
            first: Arc::clone(certificates.first()?),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for certificate in certificates {
            for name in dns_names(certificate) {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcard, parent.to_owned()),
                    None => (&mut names.exact, name),
                };
                map.entry(name).or_default().push(Arc::clone(certificate));
            }
        }
        Some(names)
    }

    /// The certificate for a name, or the first of all for none and for an unknown one.
    pub(super) fn pick(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> &Arc<CertifiedKey> {
        let candidates = name.and_then(|name| self.candidates(name)).unwrap_or(&[]);
        candidates
            .iter()
            .find(|candidate| candidate.key.choose_scheme(schemes).is_some())
            .or(candidates.first())
            .unwrap_or(&self.first)
    }

    fn candidates(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        if let Some(exact) = self.exact.get(&name) {
            return Some(exact);
        }
        let (_, parent) = name.split_once('.')?;
        self.wildcard.get(parent).map(Vec::as_slice)
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let picked = self.pick(hello.server_name(), hello.signature_schemes());
        Some(Arc::clone(picked))
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
