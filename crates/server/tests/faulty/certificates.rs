//! The authority and the certificates of the server's own.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Behaviour;

/// The name that the good certificate is for; it is also for `127.0.0.1`.
const NAME: &str = "faulty.test";

/// What handshakes run on.
pub struct Certificates {
    /// The authority to trust, as PEM.
    pub authority: String,
    good: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    wrong_name: Arc<ServerConfig>,
    /// Good, but takes only a protocol that nobody offers, so that handshakes end with an alert.
    refusing: Arc<ServerConfig>,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Certificates {
    pub fn generate() -> Result<Self, Failed> {
        let mut params = CertificateParams::new(Vec::new())?;
        // Another name than that of the certificates, which would look self-signed otherwise.
        params
            .distinguished_name
            .push(DnType::CommonName, "faulty authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let names = [NAME, "127.0.0.1"];
        let usual: [&[u8]; 2] = [b"h2", b"http/1.1"];
        Ok(Self {
            good: issue(&authority, &names, false, &usual)?,
            expired: issue(&authority, &names, true, &usual)?,
            wrong_name: issue(&authority, &["other.test"], false, &usual)?,
            refusing: issue(&authority, &names, false, &[b"weir-none"])?,
            authority: authority.pem(),
        })
    }

    pub(super) fn of(&self, behaviour: &Behaviour) -> Arc<ServerConfig> {
        Arc::clone(match behaviour {
            Behaviour::TlsExpired => &self.expired,
            Behaviour::TlsWrongName => &self.wrong_name,
            Behaviour::TlsAlert => &self.refusing,
            _ => &self.good,
        })
    }
}

fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
    is_expired: bool,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, Failed> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "faulty upstream");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if is_expired {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate()?;
    let certificate: CertificateDer<'static> = params.signed_by(&key, authority)?.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
