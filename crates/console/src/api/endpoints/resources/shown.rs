//! A resource as it is shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;
use weir_config::{CertificateFacts, FileResources, ResourceKind, ResourceName};
use weir_revisions::Resource;

use crate::configuration::Running;

/// Who a resource belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    /// It is kept beside the file, and can be changed here.
    Api,
    /// It stands in the configuration file of the node, and can be changed there.
    File,
}

/// A resource.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownResource {
    /// `route`, `upstream`, `policy` or `certificate`.
    #[schema(value_type = String)]
    kind: ResourceKind,
    pub(super) name: String,
    #[schema(inline)]
    pub(super) owner: Owner,
    /// What the configuration file says, or would say; `•••` stands in place of secrets.
    #[schema(value_type = Object, example = json!({"name": "items", "match": {"path": "/items/*"}, "upstream": "catalog"}))]
    document: Json,
    /// What a certificate says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<ShownCertificate>,
    /// The revision that changed it last; none if it is the file's.
    revision: Option<i64>,
    /// Whether this node runs it as it is here.
    in_effect: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Since when it is in the trash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
}

impl ShownResource {
    pub(super) fn of(resource: Resource, running: &Running) -> Self {
        let name = &resource.name;
        let in_effect = running.revision >= resource.revision
            && resource.deleted_at.is_none()
            && running.file.document(name).is_none()
            && !running.left_out.iter().any(|one| one.resource == *name);
        let chain = resource.document["certificate"].as_str();
        let facts = chain.filter(|_| name.kind == ResourceKind::Certificate);
        let facts = facts.and_then(|chain| CertificateFacts::of_pem(chain.as_bytes()));
        Self {
            kind: name.kind,
            owner: Owner::Api,
            certificate: facts.map(Into::into),
            document: resource.document,
            revision: Some(resource.revision),
            in_effect,
            created_at: Some(resource.created_at),
            updated_at: Some(resource.updated_at),
            deleted_at: resource.deleted_at,
            name: resource.name.name,
        }
    }

    pub(super) fn of_file(name: &ResourceName, document: &Json, file: &FileResources) -> Self {
        let facts = match name.kind {
            ResourceKind::Certificate => file.certificate(&name.name).cloned(),
            ResourceKind::Route | ResourceKind::Upstream | ResourceKind::Policy => None,
        };
        Self {
            certificate: facts.map(Into::into),
            kind: name.kind,
            name: name.name.clone(),
            owner: Owner::File,
            document: document.clone(),
            revision: None,
            in_effect: true,
            created_at: None,
            updated_at: None,
            deleted_at: None,
        }
    }

    /// By what lists are sorted.
    pub(super) fn key(&self) -> (&str, Owner) {
        (&self.name, self.owner)
    }
}

/// What a certificate says of itself; of a chain, the first one.
#[derive(Serialize, ToSchema)]
struct ShownCertificate {
    /// The DNS names and addresses that it is for.
    #[schema(example = json!(["shop.example", "*.shop.example"]))]
    names: Vec<String>,
    /// Who signed it (RFC 4514).
    #[schema(example = "CN=R11,O=Let's Encrypt,C=US")]
    issuer: String,
    /// Hexadecimal.
    serial: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// When the first certificate of the chain runs out.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
    /// SHA-256 of its DER form, hexadecimal.
    fingerprint: String,
    #[schema(example = "ECDSA P-256")]
    key_algorithm: String,
}

impl From<CertificateFacts> for ShownCertificate {
    fn from(facts: CertificateFacts) -> Self {
        let moment = |seconds| Timestamp::from_second(seconds).ok();
        Self {
            names: facts.names,
            issuer: facts.issuer,
            serial: facts.serial,
            not_before: moment(facts.not_before),
            not_after: moment(facts.not_after),
            fingerprint: facts.fingerprint,
            key_algorithm: facts.key_algorithm,
        }
    }
}
