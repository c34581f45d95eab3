//! PEM material into certificates, keys and authorities.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use weir_config::model::{Certificate, Material};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::error::{Expected, MaterialError, TlsError};
use super::provider;

/// Reads a chain and its key and makes sure that they belong together.
pub(super) fn certified_key(certificate: &Certificate) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = read_chain(&certificate.chain)?;
    let key = read_key(&certificate.key)?;
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| fault(&certificate.key, MaterialError::UnsupportedKey))?;
    let certified = CertifiedKey::new(chain, key);
    let Some(public_key) = certified.key.public_key() else {
        return Ok(Arc::new(certified));
    };
    let owner = certified.cert.iter().position(|certificate| {
        X509Certificate::from_der(certificate)
            .is_ok_and(|(_, parsed)| parsed.public_key().raw == public_key.as_ref())
    });
    match owner {
        Some(0) => Ok(Arc::new(certified)),
        Some(index) => Err(TlsError::ChainOrder {
            key: certificate.key.source.clone(),
            chain: certificate.chain.source.clone(),
            position: index + 1,
        }),
        None => Err(TlsError::KeyMismatch {
            key: certificate.key.source.clone(),
            chain: certificate.chain.source.clone(),
        }),
    }
}

/// Reads a bundle of authorities; one that cannot be read spoils the bundle.
pub(super) fn authorities(material: &Material) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in read_certificates(material)?.into_iter().enumerate() {
        store.add(certificate).map_err(|_| {
            invalid_certificate(material, index, "it cannot be read as an X.509 authority")
        })?;
    }
    Ok(Arc::new(store))
}

/// Reads a chain, leaf first. Certificates are checked for being readable, not for being in force:
/// an expired one is a matter for monitoring, not a reason to refuse to start.
fn read_chain(material: &Material) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = read_certificates(material)?;
    for (index, certificate) in chain.iter().enumerate() {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Err(invalid_certificate(
                material,
                index,
                "it cannot be read as X.509",
            ));
        };
        if parsed.version() != X509Version::V3 {
            return Err(invalid_certificate(
                material,
                index,
                "it is not of X.509 version 3",
            ));
        }
        if parsed.subject_alternative_name().is_err() {
            return Err(invalid_certificate(
                material,
                index,
                "its subject alternative names cannot be read",
            ));
        }
    }
    Ok(chain)
}

/// Reads all certificates, at least one; other sections are passed over.
fn read_certificates(material: &Material) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections = read_sections(material, Expected::Certificate)?;
    let certificates: Vec<_> = sections
        .into_iter()
        .filter_map(|(kind, der)| CertificateDer::from_pem(kind, der))
        .collect();
    if certificates.is_empty() {
        return Err(missing(material, Expected::Certificate));
    }
    Ok(certificates)
}

/// Reads the one private key; other sections are passed over.
fn read_key(material: &Material) -> Result<PrivateKeyDer<'static>, TlsError> {
    if is_encrypted(material) {
        return Err(fault(material, MaterialError::Encrypted));
    }
    let sections = read_sections(material, Expected::PrivateKey)?;
    let mut keys: Vec<_> = sections
        .into_iter()
        .filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der))
        .collect();
    match (keys.pop(), keys.len()) {
        (None, _) => Err(missing(material, Expected::PrivateKey)),
        (Some(key), 0) => Ok(key),
        (Some(_), others) => Err(fault(material, MaterialError::SeveralKeys(others + 1))),
    }
}

/// Decodes every PEM section of a known kind.
fn read_sections(
    material: &Material,
    expected: Expected,
) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
    let bytes = material.bytes.expose();
    if bytes.trim_ascii().is_empty() {
        return Err(fault(material, MaterialError::Empty { expected }));
    }
    // The tag of an ASN.1 SEQUENCE is a digit in ASCII, but no text goes on with such a length.
    let der = bytes[0] == 0x30 && bytes.get(1).is_some_and(|length| *length >= 0x80);
    if der || bytes.contains(&0) {
        return Err(fault(material, MaterialError::Binary { expected }));
    }
    <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(material, MaterialError::Damaged(describe(&error))))
}

/// Says what is broken without quoting the material, which may be secret.
fn describe(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::MissingSectionEnd { end_marker } => format!(
            "the end of section {:?} is missing",
            String::from_utf8_lossy(end_marker)
        ),
        Error::IllegalSectionStart { .. } => "a section's first line is incomplete".to_owned(),
        Error::Base64Decode(_) => "a section is not Base64".to_owned(),
        _ => "a section cannot be decoded".to_owned(),
    }
}

/// Explains why nothing of the expected kind was found in PEM text.
fn missing(material: &Material, expected: Expected) -> TlsError {
    let labels = section_labels(material.bytes.expose());
    let is_key = |label: &&String| label.ends_with("PRIVATE KEY");
    let swapped = match expected {
        Expected::Certificate => labels.iter().find(is_key).map(|_| "private key"),
        Expected::PrivateKey => labels
            .iter()
            .find(|label| *label == "CERTIFICATE")
            .map(|_| "certificate"),
    };
    if let Some(found) = swapped {
        return fault(material, MaterialError::Swapped { expected, found });
    }
    let found = if labels.is_empty() {
        "none".to_owned()
    } else {
        labels.join(", ")
    };
    fault(material, MaterialError::Missing { expected, found })
}

/// Whether a private key is under a passphrase: PKCS #8 says so in its label, the older forms in a
/// header line.
fn is_encrypted(material: &Material) -> bool {
    let bytes = material.bytes.expose();
    bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .any(|line| {
            line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
                || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
        })
}

/// The labels of all PEM sections, known or not, in their order.
fn section_labels(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .filter_map(|line| {
            let label = line.trim_ascii().strip_prefix(b"-----BEGIN ")?;
            let label = label.strip_suffix(b"-----")?;
            Some(String::from_utf8_lossy(label).into_owned())
        })
        .collect()
}

fn invalid_certificate(material: &Material, index: usize, detail: &'static str) -> TlsError {
    let position = index + 1;
    fault(
        material,
        MaterialError::InvalidCertificate { position, detail },
    )
}

fn fault(material: &Material, problem: MaterialError) -> TlsError {
    TlsError::Material {
        origin: material.source.clone(),
        problem,
    }
}
