//! Routes, upstreams, policies and certificates beside the file.

mod admin_api;
mod certificates;
mod commands;
mod crash;
mod following;
mod lending;
mod secrets;

use serde_json::{Value, json};
use weir_config::{ResourceKind, ResourceName};
use weir_core::Secret;
use weir_revisions::{
    Action, Author, Change, Judgement, Precondition, Proposal, Revisions, Secrets, What,
};
use weir_store::Records;
use weir_store::records::{Address, Options};

use crate::api;
use crate::harness::{Upstream, Weir, answer, wait_until};

/// Somebody who makes revisions without any node: nobody judges them.
pub struct Editor {
    runtime: tokio::runtime::Runtime,
    revisions: Revisions,
}

impl Editor {
    pub fn on(address: Address, key: &Secret<[u8; 32]>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let records = runtime.block_on(async { Records::open(&Options::new(address)).unwrap() });
        Self {
            runtime,
            revisions: Revisions::new(records, Secrets::new(key).unwrap()),
        }
    }

    /// With the key of a node.
    pub fn on_server(url: &str, node: &Weir) -> Self {
        Self::on(
            Address::Postgres(Secret::new(url.to_owned())),
            &api::key(node),
        )
    }

    pub fn of(weir: &Weir) -> Self {
        let file = weir.setup().data().join("weir.db");
        Self::on(Address::Sqlite(file), &api::key(weir))
    }

    /// Makes a revision; its number.
    pub fn make(&self, what: What) -> i64 {
        let proposal = Proposal {
            what,
            comment: String::new(),
            expected: None,
            dry_run: false,
        };
        let author = Author::system();
        let made = self
            .revisions
            .apply(&author, proposal, |_| async { Ok(Judgement::default()) });
        self.runtime.block_on(made).unwrap().latest
    }

    pub fn change(&self, changes: Vec<Change>) -> i64 {
        self.make(What::Changes(changes))
    }
}

pub fn put(kind: ResourceKind, name: &str, document: Value) -> Change {
    Change {
        resource: ResourceName::new(kind, name).unwrap(),
        action: Action::Put(document),
        precondition: Precondition::None,
    }
}

/// A route to an upstream of the file.
pub fn route(name: &str) -> Change {
    route_to(name, "shop")
}

pub fn route_to(name: &str, upstream: &str) -> Change {
    let document = json!({"match": {"path": format!("/{name}")}, "upstream": upstream});
    put(ResourceKind::Route, name, document)
}

pub fn delete(kind: ResourceKind, name: &str) -> Change {
    Change {
        resource: ResourceName::new(kind, name).unwrap(),
        action: Action::Delete,
        precondition: Precondition::None,
    }
}

pub fn server() -> Upstream {
    Upstream::answering(|_| answer(200, &[], "fine"))
}

/// A file with routes of its own; `/load` is one of them, for a [`Load`](crate::harness::Load).
pub fn config(upstream: &Upstream, records: &str) -> String {
    format!(
        "{records}upstreams: {{ shop: {{ targets: [\"{}\"] }} }}
routes:
  - {{ name: of-file, match: {{ path: /of-file }}, upstream: shop }}
  - {{ name: rest, match: {{ path: /load }}, upstream: shop }}
",
        upstream.address
    )
}

pub fn wait_until_available(weir: &Weir) {
    wait_until("records are there", || {
        weir.metric("weir_records_available", &[]) == 1.0
    });
}

/// Waits until this revision of resources is in effect.
pub fn wait_until_in_effect(weir: &Weir, revision: i64) {
    wait_until("the revision is in effect", || {
        weir.revision()["resources"] == revision
    });
}
