//! How letters to people leave.

use std::time::Duration;

use weir_core::Secret;

use super::Material;

/// How letters to people leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// From whom they come.
    pub from: String,
    /// The mail server: a name that its certificate has, or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: MailTls,
    /// An authority to trust beside the system's, in PEM.
    pub authorities: Option<Material>,
    /// Account and password there; only with TLS.
    pub credentials: Option<(String, Secret<String>)>,
    /// How long each step may take.
    pub timeout: Duration,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// In the clear.
    None,
    /// TLS after a first exchange (RFC 3207), or not at all.
    StartTls,
    /// TLS from the first byte (RFC 8314 §3.3).
    Implicit,
}
