//! What a finished handshake tells about a connection.

use std::fmt;
use std::net::IpAddr;

use rustls::{ProtocolVersion, ServerConnection};
use rustls_pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use weir_config::distinguished_name;
use weir_config::model::TlsVersion;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::fingerprint::sha256_hex;

/// A connection's TLS facts, gathered once after its handshake and shared by all its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The server name that the client asked for, in lower case.
    pub server_name: Option<String>,
    /// The protocol version agreed on.
    pub protocol: TlsVersion,
    /// The application protocol agreed on; `None` if the client offered none.
    pub alpn: Option<Alpn>,
    /// Subject of the client's certificate as RFC 4514 writes it, without control characters. It is
    /// there exactly if the client presented a certificate, which then was verified; it may be empty.
    pub client_subject: Option<String>,
    /// The last common name of that subject.
    pub client_common_name: Option<String>,
    /// Who issued the certificate, as RFC 4514 writes it, without control characters.
    pub client_issuer: Option<String>,
    /// Until when the certificate is valid, in seconds since 1970.
    pub client_ends_at: u64,
    /// SHA-256 of the client's certificate (DER) in lower-case hexadecimal digits.
    pub client_fingerprint: Option<String>,
    /// The names that the client's certificate is for, in its order.
    pub client_sans: Vec<SubjectName>,
}

/// Application protocols that are negotiated (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`.
    Http11,
    /// `h2`.
    Http2,
}

/// A name in a certificate (RFC 5280 §4.2.1.6). Names that are not text, carry control characters
/// or are of another kind are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A DNS name in lower case; may begin with `*.`.
    Dns(String),
    /// A URI, for example a SPIFFE ID, as it stands in the certificate.
    Uri(String),
    /// An e-mail address, as it stands in the certificate.
    Email(String),
    /// An IP address.
    Address(IpAddr),
}

/// Why a connection cannot be served although its handshake succeeded; it has to be closed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FactsError {
    /// Asked too early.
    #[error("the TLS handshake is not finished")]
    Unfinished,
    /// The certificate expired after the session that was resumed now had been set up.
    #[error("the client's certificate has expired since its session began")]
    ClientCertificateExpired,
    /// The certificate passed verification but not our reading of it.
    #[error("the client's certificate cannot be read")]
    ClientCertificateUnreadable,
}

impl TlsFacts {
    /// Gathers the facts. `now` is checked against the client's certificate, because a resumed
    /// session brings the certificate of its first handshake and nobody verifies it again.
    pub fn of(connection: &ServerConnection, now: UnixTime) -> Result<Self, FactsError> {
        if connection.is_handshaking() {
            return Err(FactsError::Unfinished);
        }
        let protocol = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => return Err(FactsError::Unfinished),
        };
        let mut facts = Self {
            server_name: connection.server_name().map(str::to_owned),
            protocol,
            alpn: connection.alpn_protocol().and_then(Alpn::from_wire),
            client_subject: None,
            client_common_name: None,
            client_issuer: None,
            client_ends_at: 0,
            client_fingerprint: None,
            client_sans: Vec::new(),
        };
        let chain = connection.peer_certificates().unwrap_or_default();
        if let Some(certificate) = chain.first() {
            facts.add_client(certificate, now)?;
        }
        Ok(facts)
    }

    fn add_client(
        &mut self,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<(), FactsError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| FactsError::ClientCertificateUnreadable)?;
        let expires = parsed.validity().not_after.timestamp();
        if i64::try_from(now.as_secs()).is_ok_and(|now| now > expires) {
            return Err(FactsError::ClientCertificateExpired);
        }
        let names = parsed
            .subject_alternative_name()
            .map_err(|_| FactsError::ClientCertificateUnreadable)?;
        self.client_subject = Some(distinguished_name(parsed.subject()));
        let common_names = parsed.subject().iter_common_name();
        let common_name = common_names.last().and_then(|name| name.as_str().ok());
        self.client_common_name = common_name.and_then(printable).map(str::to_owned);
        self.client_issuer = Some(distinguished_name(parsed.issuer()));
        // The last second counts (RFC 5280 §4.1.2.5).
        self.client_ends_at = u64::try_from(expires).unwrap_or_default().saturating_add(1);
        self.client_fingerprint = Some(sha256_hex(certificate));
        if let Some(names) = names {
            let names = names.value.general_names.iter();
            self.client_sans = names.filter_map(SubjectName::from_general).collect();
        }
        Ok(())
    }
}

impl Alpn {
    /// The identifier that goes onto the wire.
    pub(super) fn wire(self) -> Vec<u8> {
        match self {
            Self::Http11 => b"http/1.1".to_vec(),
            Self::Http2 => b"h2".to_vec(),
        }
    }

    /// Reads an identifier; `None` for one that we never offer.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        match bytes {
            b"http/1.1" => Some(Self::Http11),
            b"h2" => Some(Self::Http2),
            _ => None,
        }
    }
}

impl SubjectName {
    fn from_general(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(text) => {
                printable(text).map(|text| Self::Dns(text.to_ascii_lowercase()))
            }
            GeneralName::URI(text) => printable(text).map(|text| Self::Uri(text.to_owned())),
            GeneralName::RFC822Name(text) => {
                printable(text).map(|text| Self::Email(text.to_owned()))
            }
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| Self::Address(bytes.into())),
                16 => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| Self::Address(bytes.into())),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The text unless it could do harm in a header or a log line.
fn printable(text: &str) -> Option<&str> {
    (!text.chars().any(char::is_control)).then_some(text)
}

impl fmt::Display for SubjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(formatter, "DNS:{name}"),
            Self::Uri(uri) => write!(formatter, "URI:{uri}"),
            Self::Email(address) => write!(formatter, "email:{address}"),
            Self::Address(address) => write!(formatter, "IP:{address}"),
        }
    }
}
