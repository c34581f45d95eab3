//! TLS towards clients.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use weir_config::model::{ClientCertificate, ListenerTls};

use super::error::TlsError;
use super::facts::Alpn;
use super::resumption::{Resumption, TlsContext};
use super::sni::CertificatesByName;
use super::{keys, material, provider, versions};

/// What a listener's handshakes run on.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// For a client that asks for no name.
    pub(crate) config: Arc<ServerConfig>,
    pub(super) certificates: Arc<CertificatesByName>,
    resumption: Resumption,
}

impl ServerTls {
    /// For every client, if all are answered by one certificate.
    pub(super) fn for_all(&self) -> Option<Arc<ServerConfig>> {
        self.certificates.is_one().then(|| Arc::clone(&self.config))
    }

    /// For a client that asks for this name.
    ///
    /// It is made anew each time, which is a few allocations beside a handshake's cryptography; to keep one
    /// for each of thousands of names would cost memory, and time with each reload.
    pub(super) fn for_name(&self, name: Option<&str>) -> Arc<ServerConfig> {
        let Some(name) = name else {
            return Arc::clone(&self.config);
        };
        let mut config = ServerConfig::clone(&self.config);
        let identity = self.certificates.identity(Some(name));
        self.resumption.bind(&mut config, identity);
        Arc::new(config)
    }
}

/// Builds what a listener's handshakes run on.
///
/// During a reload call it before the predecessor is dropped: the new configuration then goes on
/// with the predecessor's ticket keys if nothing that matters to them has changed.
pub fn server_config(
    tls: &ListenerTls,
    http2: bool,
    context: &TlsContext,
) -> Result<ServerTls, TlsError> {
    let own = tls.certificates.iter().map(keys::certified);
    let own = own.collect::<Result<Vec<_>, _>>()?;
    let named = tls.named.iter();
    let named = named.map(|one| keys::certified(&one.certificate));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let certificates = Arc::new(CertificatesByName::new(&own, &named));
    let resumption = context.resumption(tls)?;

    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(tls.minimum_version))?;
    let builder = match &tls.client_certificate {
        None => builder.with_no_client_auth(),
        Some(client) => builder.with_client_cert_verifier(client_verifier(client)?),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as Arc<_>);
    config.alpn_protocols = if http2 {
        vec![Alpn::Http2.wire(), Alpn::Http11.wire()]
    } else {
        vec![Alpn::Http11.wire()]
    };
    resumption.bind(&mut config, certificates.identity(None));
    // A request in early data can be replayed by whoever recorded it (RFC 8446 §8).
    config.max_early_data_size = 0;
    // Nothing goes out before the client has proved who it is; HTTP servers speak second anyway.
    config.send_half_rtt_data = false;
    // Full records of 16 KiB: fewer seals and fewer writes for a body. The head's first bytes wait
    // for no body, so smaller records would not bring them to the client sooner.
    config.max_fragment_size = None;
    Ok(ServerTls {
        config: Arc::new(config),
        certificates,
        resumption,
    })
}

/// Checks client certificates against the configured authorities, for chain, validity and purpose.
fn client_verifier(
    client: &ClientCertificate,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let authorities = material::authorities(&client.authorities)?;
    let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider());
    let builder = if client.required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder
        .build()
        .map_err(|error| TlsError::Library(rustls::Error::General(error.to_string())))
}
