//! Resources: routes, upstreams, policies and certificates that are kept beside the file, each a JSON document of the
//! file's schema.
//!
//! They are laid beside what the file says before any of it is understood, so that one decoder and one
//! set of diagnostics serve both. What they say stands at places behind every text
//! ([`Span::is_beside`]); a diagnostic there is told of the resource instead of a line.

mod merge;
mod of_file;
mod parse;
mod secret;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::source::Span;
use crate::suggest::quote;
use crate::value::text;

pub(crate) use merge::merge;
pub use of_file::FileResources;
pub(crate) use parse::place;
pub use secret::{HIDDEN, SEALED, secrets};

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// An item of `routes`.
    Route,
    /// An entry of `upstreams`.
    Upstream,
    /// An entry of `policies`.
    Policy,
    /// An entry of `certificates`.
    Certificate,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Route, Self::Upstream, Self::Policy, Self::Certificate];

    /// `route`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Upstream => "upstream",
            Self::Policy => "policy",
            Self::Certificate => "certificate",
        }
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The key of the file under which the like of it stands: `routes`.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Route => "routes",
            Self::Upstream => "upstreams",
            Self::Policy => "policies",
            Self::Certificate => "certificates",
        }
    }
}

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ResourceName {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

impl ResourceName {
    /// The resource of this name.
    ///
    /// # Errors
    /// What is wrong with the name, as the file would be told.
    pub fn new(kind: ResourceKind, name: &str) -> Result<Self, String> {
        let name = text::name(name).map_err(|fault| match fault.help {
            Some(help) => format!("{}: {help}", fault.message),
            None => fault.message,
        })?;
        Ok(Self { kind, name })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.name(), quote(&self.name))
    }
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub id: ResourceName,
    /// A JSON object: what the file would say.
    pub text: Box<str>,
}

/// All resources of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    revision: i64,
    digest: Box<str>,
    documents: Vec<Document>,
}

impl Resources {
    /// The resources of this revision; each name of a kind once.
    pub fn new(revision: i64, mut documents: Vec<Document>) -> Self {
        // In one order, whoever kept them.
        documents.sort_by(|left, right| left.id.cmp(&right.id));
        Self {
            revision,
            digest: Box::default(),
            documents,
        }
    }

    /// The same, recognised by this digest as well as by its number.
    #[must_use]
    pub fn with_digest(self, digest: &str) -> Self {
        Self {
            digest: digest.into(),
            ..self
        }
    }

    /// What tells it apart from another revision of this number; empty if nobody said.
    pub const fn digest(&self) -> &str {
        &self.digest
    }

    /// The number of the revision; 0 before the first.
    pub const fn revision(&self) -> i64 {
        self.revision
    }

    /// All of them, by kind and name.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The same without some.
    #[must_use]
    pub fn without(&self, left_out: &[ResourceName]) -> Self {
        let kept = self.documents.iter();
        let kept = kept.filter(|document| !left_out.contains(&document.id));
        Self {
            revision: self.revision,
            digest: self.digest.clone(),
            documents: kept.cloned().collect(),
        }
    }
}

/// A resource and the places that stand for what it says.
pub(crate) struct Placed<'r> {
    pub(crate) id: &'r ResourceName,
    pub(crate) span: Span,
    /// What it says; `None` if that is no JSON object.
    pub(crate) node: Option<Node>,
}

/// The resource that says what stands at a place.
pub(crate) fn owner<'p>(placed: &'p [Placed<'_>], span: Span) -> Option<&'p ResourceName> {
    let at = placed.partition_point(|resource| resource.span.start <= span.start);
    let resource = placed.get(at.checked_sub(1)?)?;
    resource.span.contains(span).then_some(resource.id)
}

/// A path within a resource: what is left of `routes[3].match.path` is `match.path`.
pub(crate) fn path_within(id: &ResourceName, path: &str) -> String {
    let Some(rest) = path.strip_prefix(id.kind.section()) else {
        return path.to_owned();
    };
    let rest = match id.kind {
        ResourceKind::Route => rest.split_once(']').map_or("", |(_, rest)| rest),
        ResourceKind::Upstream | ResourceKind::Policy | ResourceKind::Certificate => rest
            .strip_prefix('.')
            // Paths show the beginning of what is long.
            .map_or("", |rest| rest.get(id.name.len().min(64)..).unwrap_or("")),
    };
    rest.strip_prefix('.').unwrap_or(rest).to_owned()
}
