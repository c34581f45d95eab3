//! What the endpoints about the configuration need: the service for revisions, and what the running
//! node says of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::watch;
use weir_config::model::LeakedKeys;
use weir_config::{Diagnostic, FileResources, ResourceName, Resources};
use weir_revisions::{Judgement, Objection, Revisions};

/// What this node runs of the resources in the records.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// The number of their revision; 0 before the first.
    pub revision: i64,
    /// What tells that revision apart from another of its number.
    pub digest: Arc<str>,
    /// Those of it that this node cannot use: it runs the others without them.
    pub left_out: Arc<[LeftOut]>,
    /// A later revision that this node could not put into effect.
    pub refused: Option<Arc<Refused>>,
    /// What should be looked at in the resources that run, though it refuses nothing.
    pub warnings: Arc<[Diagnostic]>,
    /// What the node's file itself says.
    pub file: Arc<FileResources>,
    /// The routes, of the file and beside it, that name an organization, by its slug.
    pub of_organizations: Arc<BTreeMap<String, Vec<String>>>,
    /// Who may report leaked keys; what is known of published keys is in it.
    pub leaked_keys: Arc<LeakedKeys>,
}

/// A resource that a node runs without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which one.
    #[serde(flatten)]
    pub resource: ResourceName,
    /// The code of what is wrong with it; none if that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What is wrong with it, or with what it needs.
    pub message: String,
}

/// A revision that a node could not put into effect: its file is another one than that of the node
/// where the revision was made.
#[derive(Debug)]
pub struct Refused {
    /// Its number.
    pub revision: i64,
    /// When it was tried.
    pub at: SystemTime,
    /// What is wrong, for a person.
    pub text: String,
    /// The same for programs.
    pub diagnostics: Json,
}

/// What a judge says of resources beside the node's file.
pub type Judged = Pin<Box<dyn Future<Output = Result<Judgement, Objection>> + Send>>;

/// Says whether the node's file can be used with these resources beside it.
pub type Judge = Arc<dyn Fn(Arc<Resources>) -> Judged + Send + Sync>;

/// The wanted configuration, and how to hear what becomes of it here.
#[derive(Clone)]
pub struct Configuration {
    /// What is wanted.
    pub revisions: Revisions,
    /// What runs here.
    pub running: watch::Receiver<Running>,
    /// Whether something can run here.
    pub judge: Judge,
}
