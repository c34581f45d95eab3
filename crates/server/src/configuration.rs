//! Loads a configuration and puts its TLS settings together: some mistakes, such as a key of another
//! certificate, show only then. They are reported as the loader reports its own.

use std::path::Path;

use weir_config::model::{
    Certificate, Listener, ListenerTls, Material, NamedCertificate, Upstream, UpstreamTls,
};
use weir_config::{Diagnostic, LoadOptions, Loaded, Report};
use weir_gateway::tls::{
    TlsContext, TlsError, check_certificate, client_config, server_config, server_name,
};

use crate::codes;

/// As [`weir_config::load`].
pub(crate) fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Report> {
    weir_config::load(path, options).and_then(check)
}

/// As [`weir_config::load_text`].
pub(crate) fn load_text(
    text: &str,
    file_name: &str,
    base: &Path,
    options: &LoadOptions,
) -> Result<Loaded, Report> {
    weir_config::load_text(text, file_name, base, options).and_then(check)
}

fn check(loaded: Loaded) -> Result<Loaded, Report> {
    let mut errors = Vec::new();
    for certificate in &loaded.config.certificates {
        check_named(&loaded, certificate, &mut errors);
    }
    for (index, listener) in loaded.config.listeners.iter().enumerate() {
        check_listener(&loaded, index, listener, &mut errors);
    }
    for upstream in &loaded.config.upstreams {
        check_upstream(&loaded, upstream, &mut errors);
    }
    if errors.is_empty() {
        Ok(loaded)
    } else {
        Err(loaded.refused(errors))
    }
}

fn check_named(loaded: &Loaded, named: &NamedCertificate, errors: &mut Vec<Diagnostic>) {
    if let Err(error) = check_certificate(&named.certificate) {
        let key = key_at_fault(&error, Some(&named.certificate), None);
        let path = ["certificates", &named.name, key];
        errors.push(diagnostic(loaded, &error, &path));
    }
}

fn check_listener(
    loaded: &Loaded,
    index: usize,
    listener: &Listener,
    errors: &mut Vec<Diagnostic>,
) {
    let Some(tls) = &listener.tls else { return };
    let index = index.to_string();
    let before = errors.len();
    // One by one, so that the first bad certificate does not hide the second.
    for (position, certificate) in tls.certificates.iter().enumerate() {
        if let Err(error) = check_certificate(certificate) {
            let position = position.to_string();
            let key = key_at_fault(&error, Some(certificate), None);
            let path = ["listeners", &index, "tls", "certificates", &position, key];
            errors.push(diagnostic(loaded, &error, &path));
        }
    }
    if errors.len() > before {
        return;
    }
    // Those beside its own are judged by themselves.
    let own = ListenerTls {
        named: Vec::new(),
        ..tls.clone()
    };
    if let Err(error) = server_config(&own, listener.http2, &TlsContext::new()) {
        let authorities = tls.client_certificate.as_ref().map(|one| &one.authorities);
        let key = key_at_fault(&error, None, authorities);
        let path = ["listeners", &index, "tls", "client_certificate", key];
        errors.push(diagnostic(loaded, &error, &path));
    }
}

fn check_upstream(loaded: &Loaded, upstream: &Upstream, errors: &mut Vec<Diagnostic>) {
    let Some(tls) = &upstream.tls else { return };
    if let Err(error) = client_config(tls, upstream.http2) {
        let UpstreamTls {
            certificate,
            authorities,
            ..
        } = tls;
        let key = key_at_fault(&error, certificate.as_ref(), authorities.as_ref());
        let path = ["upstreams", &upstream.name, "tls", key];
        errors.push(diagnostic(loaded, &error, &path));
    }
    for (index, target) in upstream.targets.iter().enumerate() {
        let Err(error) = server_name(tls, &target.host) else {
            continue;
        };
        if tls.server_name.is_some() {
            let path = ["upstreams", &upstream.name, "tls", "server_name"];
            errors.push(diagnostic(loaded, &error, &path));
            return;
        }
        let path = ["upstreams", &upstream.name, "targets", &index.to_string()];
        errors.push(diagnostic(loaded, &error, &path));
    }
}

/// The key whose value has to be changed; one that is never written if it cannot be told.
fn key_at_fault(
    error: &TlsError,
    certificate: Option<&Certificate>,
    authorities: Option<&Material>,
) -> &'static str {
    let origin = match error {
        TlsError::KeyMismatch { .. } => return "key",
        TlsError::ChainOrder { .. } => return "certificate",
        TlsError::Material { origin, .. } => origin,
        _ => return "",
    };
    let is_from = |material: &Material| material.source == *origin;
    if certificate.is_some_and(|one| is_from(&one.key)) {
        "key"
    } else if certificate.is_some_and(|one| is_from(&one.chain)) {
        "certificate"
    } else if authorities.is_some_and(is_from) {
        "authorities"
    } else {
        ""
    }
}

fn diagnostic(loaded: &Loaded, error: &TlsError, path: &[&str]) -> Diagnostic {
    let (code, help) = match error {
        TlsError::KeyMismatch { .. } => (
            codes::KEY_MISMATCH,
            Some("are they from the same renewal, and of the same name?"),
        ),
        TlsError::ChainOrder { .. } => (codes::CHAIN_ORDER, None),
        TlsError::SystemStore { .. } => (codes::NO_AUTHORITIES, None),
        _ => (codes::BAD_TLS, None),
    };
    let mut message = error.to_string();
    if let TlsError::Library(cause) = error {
        message = format!("{message}: {cause}");
    }
    loaded.diagnostic(code, message, help, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `NAME.crt` and `NAME.key`; returns the folder.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let made =
                rcgen::generate_simple_self_signed([format!("{name}.example")]).expect("made");
            let write = |ending: &str, text: String| {
                let file = folder.path().join(format!("{name}.{ending}"));
                std::fs::write(file, text).expect("written");
            };
            write("crt", made.cert.pem());
            write("key", made.signing_key.serialize_pem());
        }
        folder
    }

    fn places(text: &str, folder: &Path) -> Vec<(&'static str, usize, usize, String)> {
        let report = load_text(text, "weir.yaml", folder, &LoadOptions::default())
            .expect_err("it cannot be used");
        let errors = report
            .diagnostics
            .into_iter()
            .filter(|diagnostic| diagnostic.severity == weir_config::Severity::Error);
        let place = |one: Diagnostic| (one.code, one.line, one.column, one.path);
        errors.map(place).collect()
    }

    #[test]
    fn every_mismatch_is_reported_at_its_key() {
        let folder = folder(&["one", "two", "three"]);
        let text = "\
listeners:
  - address: 127.0.0.1:0
    tls:
      certificates:
        - { certificate: file:one.crt, key: file:two.key }
        - { certificate: file:three.crt, key: file:three.key }
        - { certificate: file:two.crt, key: file:one.key }
  - address: 127.0.0.1:0
    tls:
      certificate: file:one.crt
      key: file:three.key
upstreams:
  up.stream:
    targets: [127.0.0.1:1]
    tls: { authorities: file:one.crt, certificate: file:one.crt, key: file:two.key }
routes: [{ name: all, upstream: up.stream }]
";
        let key = |line, column, path: &str| (codes::KEY_MISMATCH, line, column, path.to_owned());
        assert_eq!(
            places(text, folder.path()),
            [
                key(5, 45, "listeners[0].tls.certificates[0].key"),
                key(7, 45, "listeners[0].tls.certificates[2].key"),
                key(11, 12, "listeners[1].tls.key"),
                key(15, 71, "upstreams.up.stream.tls.key"),
            ]
        );
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_reported_at_the_certificate() {
        let folder = folder(&["one", "two"]);
        let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("written");
        let chain = read("two.crt") + &read("one.crt");
        std::fs::write(folder.path().join("chain.crt"), chain).expect("written");
        let text = "\
listeners:
  - { address: 127.0.0.1:0, tls: { certificate: file:chain.crt, key: file:one.key } }
";
        let path = "listeners[0].tls.certificate".to_owned();
        assert_eq!(
            places(text, folder.path()),
            [(codes::CHAIN_ORDER, 2, 49, path)]
        );
    }

    #[test]
    fn a_pair_that_belongs_together_loads() {
        let folder = folder(&["one"]);
        let text = "\
listeners:
  - { address: 127.0.0.1:0, tls: { certificate: file:one.crt, key: file:one.key } }
";
        let loaded = load_text(text, "weir.yaml", folder.path(), &LoadOptions::default());
        assert_eq!(loaded.map(|loaded| loaded.files.len()), Ok(2));
    }
}
