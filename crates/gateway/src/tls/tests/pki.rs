//! A small public key infrastructure for tests.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use weir_config::model::{
    Certificate, ClientCertificate, ListenerTls, Material, Source, TlsVersion, UpstreamTls,
};
use weir_core::Secret;

use crate::tls::provider;

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) chain_pem: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate.
    pub(crate) fn server(&self, names: &[&str]) -> Leaf {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params, KeyPair::generate().unwrap())
    }

    /// A client's certificate with names of all kinds.
    pub(crate) fn client(&self) -> Leaf {
        self.client_until(2100)
    }

    /// A client's certificate that is valid until the beginning of a year.
    pub(crate) fn client_until(&self, year: i32) -> Leaf {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let mut subject = DistinguishedName::new();
        subject.push(
            DnType::CountryName,
            DnValue::PrintableString("DE".try_into().unwrap()),
        );
        subject.push(DnType::OrganizationName, "Müller, Söhne + Co");
        subject.push(DnType::CommonName, "billing");
        params.distinguished_name = subject;
        params.subject_alt_names = vec![
            SanType::DnsName("Billing.example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/billing".try_into().unwrap()),
            SanType::Rfc822Name("billing@example.com".try_into().unwrap()),
            SanType::IpAddress("192.0.2.9".parse().unwrap()),
        ];
        self.sign(&params, KeyPair::generate().unwrap())
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: KeyPair) -> Leaf {
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf {
            der: certificate.der().clone(),
            chain_pem: certificate.pem(),
            key,
        }
    }

    /// A client that trusts this authority alone; the newest of `versions` is preferred.
    pub(crate) fn trusting_client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&Leaf>,
        alpn: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = leaf.key.serialize_der().try_into().unwrap();
                let chain = vec![leaf.der.clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Leaf {
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate {
            chain: material("cert.pem", &self.chain_pem),
            key: material("key.pem", self.key.serialize_pem()),
        }
    }
}

pub(crate) fn material(file: &str, content: impl AsRef<[u8]>) -> Material {
    Material {
        bytes: Secret::new(content.as_ref().into()),
        source: Source::File(PathBuf::from(file)),
    }
}

pub(crate) fn listener(leaves: &[&Leaf]) -> ListenerTls {
    ListenerTls {
        certificates: leaves.iter().map(|leaf| leaf.certificate()).collect(),
        named: Vec::new(),
        minimum_version: TlsVersion::Tls13,
        client_certificate: None,
        hsts: None,
    }
}

pub(crate) fn asking_for_clients(
    tls: ListenerTls,
    authority: &Authority,
    required: bool,
) -> ListenerTls {
    ListenerTls {
        client_certificate: Some(ClientCertificate {
            authorities: material("ca.pem", authority.pem()),
            required,
        }),
        ..tls
    }
}

pub(crate) fn upstream(authority: &Authority) -> UpstreamTls {
    UpstreamTls {
        server_name: None,
        authorities: Some(material("ca.pem", authority.pem())),
        certificate: None,
        minimum_version: TlsVersion::Tls13,
    }
}
