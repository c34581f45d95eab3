//! A first look at TLS material: whether it can be what it is used for, and for how long. Whether
//! a key belongs to its certificate is found out where both are used.

mod distinguished_name;
mod facts;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::codes;
use crate::diagnostic::Finding;

pub use distinguished_name::write as distinguished_name;
pub use facts::CertificateFacts;

/// Bytes of a chain that clients take: of what they read of a server's certificates (RFC 8446 §4.4.2) most
/// have a bound, and this is the lowest of the usual ones.
const LARGEST_CHAIN: usize = 64 << 10;
/// Time enough to renew.
const NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// Checks a PEM chain, leaf first, at a moment.
pub(crate) fn check_chain(pem: &[u8], now: SystemTime) -> Vec<Finding> {
    let certificates = match parse_pem(pem) {
        Ok(certificates) => certificates,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    for (index, der) in certificates.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok((_, certificate)) => findings.extend(check_validity(&certificate, index, now)),
            Err(_) => findings.push(invalid(format!("{} is not X.509", ordinal(index)))),
        }
    }
    findings
}

/// Warns of a leaf that names nobody: clients compare with nothing else (RFC 9525 §4).
pub(crate) fn check_names(pem: &[u8]) -> Option<Finding> {
    let der = parse_pem(pem).ok()?.into_iter().next()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let is_name = |name: &GeneralName<'_>| {
        matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))
    };
    if names.is_some_and(|names| names.value.general_names.iter().any(is_name)) {
        return None;
    }
    let message = "the certificate names no host: clients refuse it";
    let finding = Finding::warning(codes::NAMELESS_CERTIFICATE, message);
    Some(finding.help("make it anew with subject alternative names"))
}

/// Refuses a chain that is too large for clients.
pub(crate) fn check_size(pem: &[u8]) -> Option<Finding> {
    let size: usize = parse_pem(pem).ok()?.iter().map(|der| der.len()).sum();
    if size <= LARGEST_CHAIN {
        return None;
    }
    let message = format!("the chain has {size} bytes, and clients take {LARGEST_CHAIN} at most");
    Some(invalid(message).help("leave out the root, and divide the names among several"))
}

/// Refuses a chain that comes with a private key: it is shown to whoever may see certificates.
pub(crate) fn check_no_key(pem: &[u8]) -> Option<Finding> {
    let finding =
        invalid("there is a private key in it, which is to be nowhere but in `key`".into());
    String::from_utf8_lossy(pem)
        .contains("PRIVATE KEY-----")
        .then_some(finding)
}

/// Checks a PEM bundle of authorities. Bundles often carry expired ones, which do no harm.
pub(crate) fn check_authorities(pem: &[u8]) -> Vec<Finding> {
    let certificates = match parse_pem(pem) {
        Ok(certificates) => certificates,
        Err(finding) => return vec![finding],
    };
    let is_broken = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_err();
    match certificates.iter().position(is_broken) {
        Some(index) => vec![invalid(format!("{} is not X.509", ordinal(index)))],
        None => Vec::new(),
    }
}

/// Checks a PEM private key.
pub(crate) fn check_key(pem: &[u8]) -> Option<Finding> {
    if PrivateKeyDer::from_pem_slice(pem).is_ok() {
        return None;
    }
    let text = String::from_utf8_lossy(pem);
    let finding = Finding::error(codes::BAD_PRIVATE_KEY, "there is no PEM private key in it");
    Some(if text.contains("ENCRYPTED") {
        finding.help("the key is encrypted: `openssl pkey` writes it without a passphrase")
    } else if text.contains("BEGIN CERTIFICATE") {
        finding.help("this is a certificate: are `certificate` and `key` swapped?")
    } else {
        finding.help("it must hold a block that begins with `-----BEGIN PRIVATE KEY-----`")
    })
}

/// Warns of a key file that its group or everybody may read.
#[cfg(unix)]
pub(crate) fn check_permissions(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o044 == 0 {
        return None;
    }
    let message = format!(
        "others may read this private key (mode {:03o})",
        mode & 0o777
    );
    Some(Finding::warning(codes::KEY_FILE_EXPOSED, message).help("`chmod 600` the file"))
}

#[cfg(not(unix))]
pub(crate) fn check_permissions(_path: &Path) -> Option<Finding> {
    None
}

fn parse_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Finding> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => {
            let text = String::from_utf8_lossy(pem);
            let finding = invalid("there is no PEM certificate in it".into());
            Err(if text.contains("PRIVATE KEY") {
                finding.help("this is a private key: are `certificate` and `key` swapped?")
            } else {
                finding.help("it must hold a block that begins with `-----BEGIN CERTIFICATE-----`")
            })
        }
        Err(_) => Err(invalid("its PEM text is damaged".into())),
    }
}

fn check_validity(
    certificate: &X509Certificate<'_>,
    index: usize,
    now: SystemTime,
) -> Option<Finding> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let validity = certificate.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let what = ordinal(index);
    if now > until {
        let message = format!("{what} expired on {}", validity.not_after);
        return Some(
            Finding::error(codes::CERTIFICATE_OUTDATED, message)
                .help("clients refuse it: renew the certificate"),
        );
    }
    if now < from {
        let message = format!("{what} is not valid before {}", validity.not_before);
        return Some(
            Finding::error(codes::CERTIFICATE_OUTDATED, message)
                .help("is the clock of this machine right?"),
        );
    }
    if until - now < NOTICE.as_secs() as i64 {
        let message = format!("{what} expires on {}", validity.not_after);
        let finding = Finding::warning(codes::CERTIFICATE_EXPIRES, message);
        return Some(finding.help("renew it; Weir takes up the new file without a restart"));
    }
    None
}

fn invalid(message: String) -> Finding {
    Finding::error(codes::BAD_CERTIFICATE, message)
}

fn ordinal(index: usize) -> String {
    match index {
        0 => "the certificate".into(),
        _ => format!("certificate {} of the chain", index + 1),
    }
}
