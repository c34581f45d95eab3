//! Certificates with their keys, read once for as long as something uses them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use rustls::sign::CertifiedKey;
use weir_config::model::Certificate;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::error::TlsError;
use super::fingerprint::{self, Fingerprint};
use super::material;

/// A certificate that belongs to its key.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    /// The DNS names that it is for, in lower case.
    pub(super) names: Vec<String>,
    /// Of the chain and the key.
    pub(super) fingerprint: Fingerprint,
}

/// Those in use, by what they were read from. A reload checks all certificates and compiles them, and most
/// are what they were: reading thousands of keys takes seconds.
static IN_USE: LazyLock<Mutex<InUse>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct InUse {
    /// Held weakly: what nothing uses any more is forgotten, and the key with it.
    by_content: HashMap<Fingerprint, Weak<Certified>>,
    /// With how many it is looked for those that are gone.
    sweep_at: usize,
}

/// Whether a chain and its key can be used, and belong together.
///
/// # Errors
/// What is wrong with them.
pub fn check_certificate(certificate: &Certificate) -> Result<(), TlsError> {
    certified(certificate).map(drop)
}

/// Reads a chain and its key, unless something uses them.
pub(super) fn certified(certificate: &Certificate) -> Result<Arc<Certified>, TlsError> {
    let fingerprint = fingerprint::certificate(certificate);
    let known = in_use(|all| all.by_content.get(&fingerprint).and_then(Weak::upgrade));
    if let Some(known) = known {
        return Ok(known);
    }
    let key = material::certified_key(certificate)?;
    let certified = Arc::new(Certified {
        names: dns_names(&key),
        key,
        fingerprint,
    });
    in_use(|all| {
        if all.by_content.len() >= all.sweep_at {
            all.by_content.retain(|_, one| one.strong_count() > 0);
            all.sweep_at = 2 * all.by_content.len() + 1;
        }
        all.by_content
            .insert(fingerprint, Arc::downgrade(&certified));
    });
    Ok(certified)
}

// Not locked while a key is read: two that read the same one at once both do.
fn in_use<T>(act: impl FnOnce(&mut InUse) -> T) -> T {
    act(&mut IN_USE.lock().unwrap_or_else(PoisonError::into_inner))
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
