//! TLS towards upstreams.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use weir_config::model::{UpstreamHttp2, UpstreamTls};

use super::error::TlsError;
use super::facts::Alpn;
use super::{keys, material, provider, versions};

/// Server names whose sessions are remembered, so that a new connection costs no full handshake.
const SESSIONS: usize = 256;

/// Builds what handshakes with an upstream's targets run on.
///
/// Share it among all connections of the upstream: it holds the sessions to resume. An upstream's
/// certificate is always verified, there is no way to turn that off.
pub fn client_config(
    tls: &UpstreamTls,
    http2: UpstreamHttp2,
) -> Result<Arc<ClientConfig>, TlsError> {
    let authorities = match &tls.authorities {
        Some(authorities) => material::authorities(authorities)?,
        None => system_authorities()?,
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(authorities, provider())
        .build()
        .map_err(|error| TlsError::Library(rustls::Error::General(error.to_string())))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.minimum_version))?
        .with_webpki_verifier(verifier);
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let key = Arc::clone(&keys::certified(certificate)?.key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    };
    config.alpn_protocols = match http2 {
        UpstreamHttp2::Never => vec![Alpn::Http11.wire()],
        UpstreamHttp2::Always => vec![Alpn::Http2.wire()],
        UpstreamHttp2::Negotiate => vec![Alpn::Http2.wire(), Alpn::Http11.wire()],
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// The name that a target's certificate must be for: the configured one, else the target's host.
///
/// IP addresses are matched against the certificate's addresses and not sent as SNI (RFC 6066 §3).
pub fn server_name(tls: &UpstreamTls, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    // The root's dot is for resolvers; certificates and SNI go without (RFC 6066 §3).
    let relative = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(relative.to_owned()).map_err(|_| TlsError::ServerName {
        name: name.to_owned(),
    })
}

/// The authorities that the operating system trusts. Single unreadable entries are passed over, as
/// every store has some.
fn system_authorities() -> Result<Arc<RootCertStore>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let detail = match found.errors.first() {
            Some(error) => error.to_string(),
            None => "it is empty".to_owned(),
        };
        return Err(TlsError::SystemStore { detail });
    }
    Ok(Arc::new(store))
}
