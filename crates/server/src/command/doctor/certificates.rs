//! Certificates: until when they are valid, and whether their keys fit.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::Value;
use weir_config::model::Certificate;
use weir_config::{CertificateFacts, Config, Document, ResourceKind};
use weir_gateway::tls::check_certificate;

use super::Check;
use crate::serve::resources;

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
    let tls = config.listeners.iter();
    for tls in tls.filter_map(|listener| listener.tls.as_ref()) {
        for certificate in &tls.certificates {
            checks.push(check_both(certificate, now).about(certificate.chain.source.to_string()));
        }
    }
    for named in &config.certificates {
        checks.push(check_both(&named.certificate, now).about(&named.name));
    }
    checks.extend(kept(&config.data, now));
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

/// Whether a certificate and its key go together, and until when.
fn check_both(certificate: &Certificate, now: i64) -> Check {
    match check_certificate(certificate) {
        Ok(()) => check_validity(certificate, now),
        Err(error) => {
            Check::fail(NAME, error.to_string()).fix("`weir check` says which code explains it")
        }
    }
}

fn check_validity(certificate: &Certificate, now: i64) -> Check {
    let fix = "renew it; a running Weir takes up the new file by itself";
    validity(certificate.chain.bytes.expose(), now, ", its key fits", fix)
}

/// `also` is what is known of it besides.
fn validity(pem: &[u8], now: i64, also: &str, fix: &str) -> Check {
    let Some(facts) = CertificateFacts::of_pem(pem) else {
        return Check::fail(NAME, "cannot be read").fix("`weir check` says why");
    };
    let Ok(end) = Timestamp::from_second(facts.not_after) else {
        return Check::fail(NAME, "ends at no moment that there is").fix("make it anew");
    };
    let days = (facts.not_after - now).div_euclid(DAY);
    let date = end.strftime("%Y-%m-%d");
    match days {
        ..0 => Check::fail(NAME, format!("expired on {date}")).fix(fix),
        0..NOTICE => Check::warn(NAME, format!("valid until {date} ({days} days){also}")).fix(fix),
        _ => Check::ok(NAME, format!("valid until {date} ({days} days){also}")),
    }
}

/// Certificates that are kept beside the file, as far as this machine knows them.
fn kept(data: &Path, now: i64) -> Vec<Check> {
    // What is damaged is what a start complains of.
    let resources = resources::kept(data).unwrap_or_default();
    let certificates = resources.documents().iter();
    let certificates = certificates.filter(|one| one.id.kind == ResourceKind::Certificate);
    let check = |document: &Document| {
        let text: Value = serde_json::from_str(&document.text).unwrap_or_default();
        let pem = text["certificate"].as_str().unwrap_or_default();
        let fix = "renew it: `weir certificate put` puts a new one in its place";
        validity(pem.as_bytes(), now, "", fix).about(&document.id.name)
    };
    certificates.map(check).collect()
}
