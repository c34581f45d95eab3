//! What a certificate says of itself.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::distinguished_name::{self, hexadecimal};
use super::parse_pem;

/// What a certificate says of itself: of a chain, the first one's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// The DNS names and addresses that it is for, in its order; may begin with `*.`.
    pub names: Vec<String>,
    /// Who signed it, as RFC 4514 writes names.
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// From when on it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when all of the chain is valid, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of its DER form, hexadecimal.
    pub fingerprint: String,
    /// `ECDSA P-256`, `RSA 2048`, `Ed25519`, or the identifier of another one.
    pub key_algorithm: String,
}

impl CertificateFacts {
    /// Those of a PEM chain, leaf first; `None` if it cannot be read.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        let chain = parse_pem(pem).ok()?;
        let der = chain.first()?;
        let (_, leaf) = X509Certificate::from_der(der).ok()?;
        let end = |der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Some(certificate.validity().not_after.timestamp())
        };
        let ends: Option<Vec<i64>> = chain.iter().map(|der| end(der)).collect();
        let serial = leaf.raw_serial();
        Some(Self {
            names: names(&leaf),
            issuer: distinguished_name::write(leaf.issuer()),
            // The sign of a positive number is no part of it.
            serial: hexadecimal(match serial {
                [0, rest @ ..] if !rest.is_empty() => rest,
                serial => serial,
            }),
            not_before: leaf.validity().not_before.timestamp(),
            not_after: ends?.into_iter().min()?,
            fingerprint: hexadecimal(&Sha256::digest(der)),
            key_algorithm: key_algorithm(&leaf),
        })
    }

    /// The DNS names in lower case: those that a server name can pick.
    pub(crate) fn dns_names(&self) -> impl Iterator<Item = String> {
        let names = self.names.iter();
        let names = names.filter(|name| name.parse::<IpAddr>().is_err());
        names.map(|name| name.to_ascii_lowercase())
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names.filter_map(name).collect()
}

/// Names that could do harm where they are shown are no names.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) if !name.chars().any(char::is_control) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let of_4 = || <[u8; 4]>::try_from(*bytes).map(IpAddr::from).ok();
            let of_16 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from).ok();
            of_4().or_else(of_16).map(|address| address.to_string())
        }
        _ => None,
    }
}

fn key_algorithm(certificate: &X509Certificate<'_>) -> String {
    let key = certificate.public_key();
    let curve = || {
        let parameters = key.algorithm.parameters.as_ref()?;
        Some(parameters.as_oid().ok()?.to_id_string())
    };
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        Ok(PublicKey::EC(_)) => match curve().as_deref() {
            Some("1.2.840.10045.3.1.7") => "ECDSA P-256".to_owned(),
            Some("1.3.132.0.34") => "ECDSA P-384".to_owned(),
            Some("1.3.132.0.35") => "ECDSA P-521".to_owned(),
            other => format!("ECDSA {}", other.unwrap_or("of no known curve")),
        },
        _ => match key.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_those_that_openssl_tells() {
        let facts = CertificateFacts::of_pem(include_bytes!("../../testdata/tls.crt")).unwrap();
        assert_eq!(facts.names, ["api.example.com"]);
        assert_eq!(facts.key_algorithm, "ECDSA P-256");
        assert!(facts.not_before < facts.not_after);
        assert_eq!(facts.fingerprint.len(), 64);
        assert_eq!(CertificateFacts::of_pem(b"nothing"), None);
        let garbage = include_bytes!("../../testdata/garbage.crt");
        assert_eq!(CertificateFacts::of_pem(garbage), None);
    }
}
