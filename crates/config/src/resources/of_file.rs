//! What the file itself says of routes, upstreams and policies, as documents of resources.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

use super::{ResourceKind, ResourceName};
use crate::load::Loaded;
use crate::node::{Node, Value};
use crate::source::Span;
use crate::{contract, yaml};

/// What stands in place of a secret.
const HIDDEN: &str = "•••";

/// The file's routes, upstreams and policies. They are read when somebody asks for the first time.
#[derive(Debug, Default)]
pub struct FileResources {
    text: String,
    environment: Option<String>,
    hidden: Vec<Span>,
    documents: OnceLock<Vec<(ResourceName, Json)>>,
}

impl Loaded {
    /// What the file itself says, with the selected environment's overlay.
    pub fn file_resources(&self) -> FileResources {
        FileResources {
            text: self.text.clone(),
            environment: self.config.environment.clone(),
            hidden: self.origin.hidden.clone(),
            documents: OnceLock::new(),
        }
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
        documents.sort_by(|left, right| left.0.cmp(&right.0));
        documents
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
