//! Whom to believe over TLS.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::HttpError;

/// The authorities that an API's certificate is held against; it always is.
#[derive(Clone)]
pub struct Trust(Option<Arc<ClientConfig>>);

impl Trust {
    /// For an API without TLS.
    pub fn none() -> Self {
        Self(None)
    }

    /// The authorities of a PEM bundle, or those of the operating system.
    ///
    /// # Errors
    /// If the bundle cannot be read, or there is nobody to trust.
    pub fn new(bundle: Option<&[u8]>) -> Result<Self, HttpError> {
        let fault = |text: &str| HttpError::Tls(text.to_owned());
        let mut store = RootCertStore::empty();
        match bundle {
            Some(bundle) => {
                for certificate in CertificateDer::pem_slice_iter(bundle) {
                    let certificate =
                        certificate.map_err(|_| fault("the authorities cannot be read as PEM"))?;
                    store
                        .add(certificate)
                        .map_err(|_| fault("one of the authorities cannot be read as X.509"))?;
                }
            }
            None => {
                let system = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(system.certs);
            }
        }
        if store.is_empty() {
            return Err(fault(
                "there are no authorities to trust; set `authorities`",
            ));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpError::Tls(error.to_string()))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(config))))
    }

    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HttpError> {
        let Some(config) = &self.0 else {
            return Err(HttpError::Tls(
                "there are no authorities to trust".to_owned(),
            ));
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HttpError::Tls(format!("`{host}` is no name for a certificate")))?;
        TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| HttpError::Tls(error.to_string()))
    }
}
