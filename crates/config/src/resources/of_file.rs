//! What the file itself says of routes, upstreams, policies and certificates, as documents of resources.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Map, Value as Json, json};

use super::{HIDDEN, ResourceKind, ResourceName};
use crate::certificate::CertificateFacts;
use crate::load::Loaded;
use crate::model::{Material, name_of_own};
use crate::node::{Node, Value};
use crate::source::Span;
use crate::{contract, yaml};

/// The file's routes, upstreams, policies and certificates. They are read when somebody asks for the first
/// time.
#[derive(Debug, Default)]
pub struct FileResources {
    text: String,
    environment: Option<String>,
    hidden: Vec<Span>,
    /// Chains of the certificates, by name.
    chains: Vec<(String, Material)>,
    documents: OnceLock<Vec<(ResourceName, Json)>>,
    certificates: OnceLock<HashMap<String, CertificateFacts>>,
}

impl Loaded {
    /// What the file itself says, with the selected environment's overlay.
    pub fn file_resources(&self) -> FileResources {
        FileResources {
            text: self.text.clone(),
            environment: self.config.environment.clone(),
            hidden: self.origin.hidden.clone(),
            chains: self.chains(),
            ..FileResources::default()
        }
    }

    fn chains(&self) -> Vec<(String, Material)> {
        let named = self.config.certificates.iter();
        let named = named.filter(|one| !one.is_beside);
        let named = named.map(|one| (one.name.clone(), one.certificate.chain.clone()));
        let own = self.config.own_certificates();
        let own = own.map(|(name, certificate)| (name, certificate.chain.clone()));
        named.chain(own).collect()
    }
}

impl FileResources {
    /// All of them, by kind and name; secrets that stand in the file are not shown.
    pub fn documents(&self) -> &[(ResourceName, Json)] {
        self.documents.get_or_init(|| self.read())
    }

    /// One of them.
    pub fn document(&self, name: &ResourceName) -> Option<&Json> {
        let documents = self.documents();
        let at = documents.binary_search_by(|(one, _)| one.cmp(name)).ok()?;
        Some(&documents[at].1)
    }

    /// What a certificate of the file says of itself.
    pub fn certificate(&self, name: &str) -> Option<&CertificateFacts> {
        let certificates = self.certificates.get_or_init(|| {
            let facts = |(name, chain): &(String, Material)| {
                let facts = CertificateFacts::of_pem(chain.bytes.expose())?;
                Some((name.clone(), facts))
            };
            self.chains.iter().filter_map(facts).collect()
        });
        certificates.get(name)
    }

    fn read(&self) -> Vec<(ResourceName, Json)> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let Some(root) = yaml::parse(text, &mut Vec::new()) else {
            return Vec::new();
        };
        let root = crate::place::overlaid(root, self.environment.as_deref());
        let mut documents = Vec::new();
        for kind in ResourceKind::ALL {
            let Some(section) = root.entry(kind.section()) else {
                continue;
            };
            documents.extend(named(&section.value).map(|(name, node)| {
                let name = name.to_owned();
                (ResourceName { kind, name }, self.shown(node))
            }));
        }
        if let Some(listeners) = root.entry("listeners") {
            self.add_own(&listeners.value, &mut documents);
        }
        documents.sort_by(|left, right| left.0.cmp(&right.0));
        documents
    }

    /// Certificates that stand with a listener.
    fn add_own(&self, listeners: &Node, documents: &mut Vec<(ResourceName, Json)>) {
        let Value::Sequence(listeners) = &listeners.value else {
            return;
        };
        for listener in listeners.iter() {
            let address = listener.entry("address").map(|entry| &entry.value.value);
            let (Some(Value::Scalar { text: address, .. }), Some(tls)) =
                (address, listener.entry("tls"))
            else {
                continue;
            };
            // In one form, however it is written.
            let Ok(address) = address.parse::<SocketAddr>() else {
                continue;
            };
            let list = tls.value.entry("certificates");
            let certificates = match list.map(|list| &list.value.value) {
                Some(Value::Sequence(items)) => items.iter().collect(),
                _ => vec![&tls.value],
            };
            for (index, certificate) in certificates.into_iter().enumerate() {
                let part = |key| Some(self.shown(&certificate.entry(key)?.value));
                let (Some(chain), Some(key)) = (part("certificate"), part("key")) else {
                    continue;
                };
                let name = ResourceName {
                    kind: ResourceKind::Certificate,
                    name: name_of_own(address, index),
                };
                let document =
                    json!({"certificate": chain, "key": key, "listeners": [address.to_string()]});
                documents.push((name, document));
            }
        }
    }

    fn shown(&self, node: &Node) -> Json {
        let is_hidden = |span: &Span| span.contains(node.span) || node.span.contains(*span);
        match &node.value {
            Value::Scalar { .. } if self.hidden.iter().any(is_hidden) => Json::from(HIDDEN),
            Value::Scalar { .. } => contract::to_json(node),
            Value::Sequence(items) => items.iter().map(|item| self.shown(item)).collect(),
            Value::Mapping(entries) => {
                let members = entries.iter();
                let members =
                    members.map(|entry| (entry.key.to_string(), self.shown(&entry.value)));
                Json::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// What a section has, with its names.
fn named(section: &Node) -> Box<dyn Iterator<Item = (&str, &Node)> + '_> {
    match &section.value {
        Value::Sequence(items) => {
            Box::new(
                items
                    .iter()
                    .filter_map(|item| match &item.entry("name")?.value.value {
                        Value::Scalar { text, .. } => Some((text.as_ref(), item)),
                        Value::Sequence(_) | Value::Mapping(_) => None,
                    }),
            )
        }
        Value::Mapping(entries) => Box::new(
            entries
                .iter()
                .map(|entry| (entry.key.as_ref(), &entry.value)),
        ),
        Value::Scalar { .. } => Box::new(std::iter::empty()),
    }
}
