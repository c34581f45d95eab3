//! Certificates, and the names under which they are shown.

use std::net::SocketAddr;

use super::{Certificate, Config};

/// A certificate that is no listener's own.
#[derive(Clone, Debug)]
pub struct NamedCertificate {
    /// Unique.
    pub name: String,
    /// Chain and key.
    pub certificate: Certificate,
    /// Which listeners it is for; `None`: all with TLS.
    pub listeners: Option<Vec<SocketAddr>>,
    /// Whether it is a resource's, and not the file's.
    pub is_beside: bool,
}

impl Config {
    /// All that listeners answer with, by the names under which they are shown.
    pub fn certificates_by_name(&self) -> impl Iterator<Item = (String, &Certificate)> {
        let named = self.certificates.iter();
        let named = named.map(|one| (one.name.clone(), &one.certificate));
        named.chain(self.own_certificates())
    }

    /// Those that stand with a listener.
    pub(crate) fn own_certificates(&self) -> impl Iterator<Item = (String, &Certificate)> {
        self.listeners.iter().flat_map(|listener| {
            let certificates = listener.tls.iter().flat_map(|tls| &tls.certificates);
            let named = |(index, certificate)| (name_of_own(listener.address, index), certificate);
            certificates.enumerate().map(named)
        })
    }
}

/// The name under which a listener's own certificate is shown; no resource can have it.
pub(crate) fn name_of_own(address: SocketAddr, index: usize) -> String {
    match index {
        0 => address.to_string(),
        index => format!("{address}-{}", index + 1),
    }
}
