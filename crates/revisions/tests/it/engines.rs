//! Each test runs once on each engine, on records of its own.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use tempfile::TempDir;
use weir_config::{LoadOptions, ResourceKind, ResourceName, Resources, load_text};
use weir_core::{Id, Secret};
use weir_revisions::{
    Action, Author, Change, Judgement, Objection, Outcome, Precondition, Proposal, Result,
    Revisions, Secrets, What,
};
use weir_store::Records;
use weir_store::audit::{Actor, Origin};
use weir_store::records::{Address, Options};
use weir_testkit::Postgres;
pub(crate) use weir_testkit::on_both_engines;

/// The file that stands beside the resources.
const FILE: &str = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {of-file: {targets: ['127.0.0.1:9001']}}
routes: [{name: of-file, match: {path: /file}, upstream: of-file}]
";

pub(crate) struct Fresh {
    pub(crate) revisions: Revisions,
    pub(crate) records: Records,
    _directory: Option<TempDir>,
}

/// `engine`: `sqlite` or `postgres`.
pub(crate) async fn fresh(engine: &str) -> Fresh {
    let (address, directory) = match engine {
        "sqlite" => {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("weir.db");
            (Address::Sqlite(path), Some(directory))
        }
        _ => {
            let url = Postgres::shared().database();
            (Address::Postgres(Secret::new(url)), None)
        }
    };
    let records = Records::open(&Options::new(address)).unwrap();
    records.migrate().await.unwrap();
    Fresh {
        revisions: Revisions::new(
            records.clone(),
            Secrets::new(&Secret::new([7; 32])).unwrap(),
        ),
        records,
        _directory: directory,
    }
}

pub(crate) fn ada() -> Author {
    Author {
        actor: Actor::User(Id::new("usr")),
        origin: Origin {
            name: Some("ada@a.example".to_owned()),
            ..Origin::default()
        },
        request_id: Some("4bf92f".to_owned()),
        once: None,
        lends: ResourceKind::ALL.to_vec(),
    }
}

/// As a node does.
pub(crate) async fn judge(resources: Arc<Resources>) -> std::result::Result<Judgement, Objection> {
    let options = LoadOptions {
        resources: Some(resources),
        ..LoadOptions::default()
    };
    let loaded = load_text(FILE, "weir.yaml", Path::new("."), &options)?;
    Ok(Judgement {
        warnings: loaded.warnings,
        lendings: loaded.lendings,
    })
}

pub(crate) fn named(kind: ResourceKind, name: &str) -> ResourceName {
    ResourceName::new(kind, name).unwrap()
}

pub(crate) fn route(name: &str) -> ResourceName {
    named(ResourceKind::Route, name)
}

pub(crate) fn upstream(name: &str) -> ResourceName {
    named(ResourceKind::Upstream, name)
}

pub(crate) fn put(resource: ResourceName, document: Json) -> Change {
    Change {
        resource,
        action: Action::Put(document),
        precondition: Precondition::None,
    }
}

pub(crate) fn delete(resource: ResourceName) -> Change {
    Change {
        resource,
        action: Action::Delete,
        precondition: Precondition::None,
    }
}

/// Everything as it was, but for certificates that were renewed.
pub(crate) const fn back(to: i64) -> What {
    What::Rollback {
        to,
        certificates: false,
    }
}

pub(crate) fn proposal(what: What) -> Proposal {
    Proposal {
        what,
        comment: String::new(),
        expected: None,
        dry_run: false,
    }
}

impl Fresh {
    pub(crate) async fn make(&self, what: What) -> Result<Outcome> {
        self.revisions.apply(&ada(), proposal(what), judge).await
    }

    pub(crate) async fn change(&self, changes: Vec<Change>) -> Result<Outcome> {
        self.make(What::Changes(changes)).await
    }

    /// What is wanted now, as texts.
    pub(crate) async fn wanted(&self) -> Vec<String> {
        let snapshot = self.revisions.snapshot().await.unwrap();
        let documents = snapshot.documents().iter();
        documents
            .map(|document| format!("{} {}", document.id, document.text))
            .collect()
    }
}
