//! Keys in PEM files.

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::jwk::{Curve, Parts};
use crate::key::KeyFault;

/// The numbers of the key in the first section (RFC 7468 §5, §13).
pub(crate) fn parts(pem: &[u8]) -> Result<Parts, KeyFault> {
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem).map_err(|_| KeyFault::Pem)?;
    match kind {
        SectionKind::PublicKey => spki(&der),
        SectionKind::Certificate => {
            let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| KeyFault::Pem)?;
            numbers(&certificate.tbs_certificate.subject_pki)
        }
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
            Err(KeyFault::PrivatePem)
        }
        _ => Err(KeyFault::Pem),
    }
}

/// The private key in the first section, if that is one in PKCS#8 (RFC 7468 §10).
pub(crate) fn pkcs8(pem: &[u8]) -> Option<Vec<u8>> {
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem).ok()?;
    (kind == SectionKind::PrivateKey).then_some(der)
}

/// The numbers in a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
pub(crate) fn spki(der: &[u8]) -> Result<Parts, KeyFault> {
    let Ok(([], info)) = SubjectPublicKeyInfo::from_der(der) else {
        return Err(KeyFault::Pem);
    };
    numbers(&info)
}

fn numbers(info: &SubjectPublicKeyInfo<'_>) -> Result<Parts, KeyFault> {
    if info.algorithm.algorithm == OID_SIG_ED25519 {
        let x = info.subject_public_key.data.to_vec();
        if x.len() != 32 {
            return Err(KeyFault::Point);
        }
        return Ok(Parts::Ed25519 { x });
    }
    match info.parsed().map_err(|_| KeyFault::Pem)? {
        PublicKey::RSA(key) => Ok(Parts::rsa(key.modulus, key.exponent)),
        PublicKey::EC(point) => {
            let curve = curve(info)?;
            // Uncompressed (SEC 1 §2.3.3).
            let Some((4, coordinates)) = point.data().split_first() else {
                return Err(KeyFault::Point);
            };
            if coordinates.len() != 2 * curve.width() {
                return Err(KeyFault::Point);
            }
            let (x, y) = coordinates.split_at(curve.width());
            Ok(Parts::Curve {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
            })
        }
        _ => Err(KeyFault::Kind),
    }
}

fn curve(info: &SubjectPublicKeyInfo<'_>) -> Result<Curve, KeyFault> {
    let parameters = info.algorithm.parameters.as_ref();
    let name = parameters.and_then(|any| any.as_oid().ok());
    match name {
        Some(name) if name == OID_EC_P256 => Ok(Curve::P256),
        Some(name) if name == OID_NIST_EC_P384 => Ok(Curve::P384),
        _ => Err(KeyFault::Kind),
    }
}
