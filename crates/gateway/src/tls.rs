//! TLS towards clients and towards upstreams: rustls with aws-lc-rs.
//!
//! Resolved settings go in, ready rustls configurations and readable faults come out. Nothing here
//! opens a socket or reads a file, with one exception: an upstream without authorities of its own
//! trusts the system's store, which is read when its configuration is built.

pub mod client;
mod error;
pub mod facts;
pub mod fingerprint;
mod handshake;
mod keys;
mod material;
mod resumption;
pub mod server;
mod sni;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, LazyLock};

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};
use weir_config::model::TlsVersion;

pub use client::{client_config, server_name};
pub use error::{Expected, MaterialError, TlsError};
pub use facts::{Alpn, FactsError, SubjectName, TlsFacts};
pub use fingerprint::Fingerprint;
pub(crate) use handshake::accept;
pub use keys::check_certificate;
pub use resumption::TlsContext;
pub use server::{ServerTls, server_config};

/// The cryptography of every connection, always passed on: no process-wide default is installed.
///
/// Key exchange prefers the hybrid of X25519 and ML-KEM-768, so that traffic recorded today stays
/// closed to the quantum computers of tomorrow; peers that do not know it agree on X25519.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        Arc::new(CryptoProvider {
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            ..aws_lc_rs::default_provider()
        })
    });
    Arc::clone(&PROVIDER)
}

/// The protocol versions from `minimum` on.
fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    static FROM_1_3: &[&SupportedProtocolVersion] = &[&TLS13];
    match minimum {
        TlsVersion::Tls12 => FROM_1_2,
        TlsVersion::Tls13 => FROM_1_3,
    }
}
