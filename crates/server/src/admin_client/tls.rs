//! With whom the command line speaks TLS.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Trusts whom the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` say where it has them), and the authorities in a
/// file beside them.
pub(super) fn trusting(authorities: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    // What of it cannot be read does not matter as long as it is not needed.
    let system = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(system.certs);
    if let Some(path) = authorities {
        add(&mut store, path)
            .with_context(|| format!("cannot take authorities from {}", path.display()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add(store: &mut RootCertStore, path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(path)?;
    let before = store.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        store.add(certificate.context("it cannot be read as PEM")?)?;
    }
    if store.len() == before {
        bail!("it has no certificate");
    }
    Ok(())
}
