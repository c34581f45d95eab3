//! Certificates: until when they are valid, and whether their keys fit.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use weir_config::Config;
use weir_config::model::{Certificate, ListenerTls};
use weir_gateway::tls::{TlsContext, server_config};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Check, Status};

const NAME: &str = "certificate";
/// Days before the end that are time enough to renew.
const NOTICE: i64 = 14;
const DAY: i64 = 86_400;

pub(super) fn check(config: &Config) -> Vec<Check> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs() as i64;
    let mut checks = Vec::new();
    for tls in config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref())
    {
        for certificate in &tls.certificates {
            let check =
                check_key(tls, certificate).unwrap_or_else(|| check_validity(certificate, now));
            checks.push(check.about(certificate.chain.source.to_string()));
        }
    }
    for upstream in &config.upstreams {
        let certificate = upstream
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_ref());
        if let Some(certificate) = certificate {
            let check = check_validity(certificate, now);
            checks.push(check.about(certificate.chain.source.to_string()));
        }
    }
    checks
}

/// What is wrong with a certificate and its key together, if anything.
fn check_key(tls: &ListenerTls, certificate: &Certificate) -> Option<Check> {
    let alone = ListenerTls {
        certificates: vec![certificate.clone()],
        client_certificate: None,
        ..tls.clone()
    };
    let error = server_config(&alone, true, &TlsContext::new()).err()?;
    Some(Check::fail(NAME, error.to_string()).fix("`weir check` says which code explains it"))
}

fn check_validity(certificate: &Certificate, now: i64) -> Check {
    let Some(until) = earliest_end(certificate.chain.bytes.expose()) else {
        return Check::fail(NAME, "cannot be read").fix("`weir check` says why");
    };
    let days = (until.timestamp() - now).div_euclid(DAY);
    let date = until.to_datetime().date();
    let status = match days {
        ..0 => Status::Fail,
        0..NOTICE => Status::Warn,
        _ => Status::Ok,
    };
    let check = match status {
        Status::Fail => Check::new(NAME, status, format!("expired on {date}")),
        _ => Check::new(
            NAME,
            status,
            format!("valid until {date} ({days} days), its key fits"),
        ),
    };
    match status {
        Status::Ok => check,
        _ => check.fix("renew it; a running Weir takes up the new file by itself"),
    }
}

/// When the first certificate of the chain to expire does so.
fn earliest_end(pem: &[u8]) -> Option<x509_parser::time::ASN1Time> {
    let mut earliest = None;
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.ok()?;
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let end = certificate.validity().not_after;
        if earliest.is_none_or(|earliest| end < earliest) {
            earliest = Some(end);
        }
    }
    earliest
}
