//! Identities of TLS settings: equal exactly when the settings are.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use weir_config::model::{
    Certificate, ListenerTls, Material, TlsVersion, UpstreamHttp2, UpstreamTls,
};

/// SHA-256 over settings and the content of every file they refer to.
///
/// The content of the system's certificate store is no part of it: a change there is seen when
/// something else changes or the process starts anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({})", hexadecimal(&self.0))
    }
}

/// Identity of how an upstream is spoken to. Connections made under one fingerprint may be used
/// under the same one only.
pub fn upstream(tls: &UpstreamTls, http2: UpstreamHttp2) -> Fingerprint {
    let mut settings = Settings::new(b"upstream");
    settings.optional(tls.server_name.as_deref().map(str::as_bytes));
    settings.optional(tls.authorities.as_ref().map(content));
    settings.version(tls.minimum_version);
    settings.text(match http2 {
        UpstreamHttp2::Never => b"never",
        UpstreamHttp2::Always => b"always",
        UpstreamHttp2::Negotiate => b"negotiate",
    });
    if let Some(certificate) = &tls.certificate {
        settings.certificate(certificate);
    }
    settings.finish()
}

/// Identity of whom a listener lets in, and how: sessions of one are none of another.
pub(super) fn session_scope(tls: &ListenerTls) -> Fingerprint {
    let mut settings = Settings::new(b"listener");
    settings.version(tls.minimum_version);
    match &tls.client_certificate {
        None => settings.text(b"anonymous"),
        Some(client) => {
            settings.text(if client.required {
                b"required"
            } else {
                b"optional"
            });
            settings.text(content(&client.authorities));
        }
    }
    settings.finish()
}

/// Identity of a chain and its key.
pub(super) fn certificate(certificate: &Certificate) -> Fingerprint {
    let mut settings = Settings::new(b"certificate");
    settings.certificate(certificate);
    settings.finish()
}

/// Identity of several in their order.
pub(super) fn all(several: impl Iterator<Item = Fingerprint>) -> Fingerprint {
    let mut settings = Settings::new(b"several");
    for one in several {
        settings.text(&one.0);
    }
    settings.finish()
}

impl Fingerprint {
    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// SHA-256 of bytes in lower-case hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn content(material: &Material) -> &[u8] {
    material.bytes.expose()
}

/// Collects settings; every part goes in with its length, so that no two lists of parts look alike.
struct Settings(Context);

impl Settings {
    fn new(kind: &[u8]) -> Self {
        let mut settings = Self(Context::new(&SHA256));
        settings.text(kind);
        settings
    }

    fn text(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.text(b"none"),
            Some(bytes) => {
                self.text(b"some");
                self.text(bytes);
            }
        }
    }

    fn version(&mut self, version: TlsVersion) {
        self.text(match version {
            TlsVersion::Tls12 => b"1.2",
            TlsVersion::Tls13 => b"1.3",
        });
    }

    fn certificate(&mut self, certificate: &Certificate) {
        self.text(content(&certificate.chain));
        self.text(content(&certificate.key));
    }

    fn finish(self) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Fingerprint(bytes)
    }
}
