//! Organizations that are suspended or deleted, by another process on the same records, have no traffic.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_core::{Id, Secret, TenantId};
use weir_identity::{Caller, Identity, KeyOwner, NewOrganization, Options};
use weir_store::Records;
use weir_store::records::{Address, Options as RecordsOptions};
use weir_testkit::Postgres;

use crate::api;
use crate::harness::{Load, Setup, Upstream, Weir, Wire, answer, wait_until};

/// Somebody who administers organizations.
pub struct Office {
    runtime: tokio::runtime::Runtime,
    identity: Identity,
}

impl Office {
    fn on(address: Address) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let identity = runtime.block_on(async {
            let records = Records::open(&RecordsOptions::new(address));
            let options = Options::new("http://127.0.0.1", Secret::new([7; 32]));
            Identity::new(records.unwrap(), options).unwrap()
        });
        Self { runtime, identity }
    }

    /// An office on the records that a process keeps in its data directory.
    pub fn of(weir: &Weir) -> Self {
        wait_until("records are there", || {
            weir.metric("weir_records_available", &[]) == 1.0
        });
        Self::on(Address::Sqlite(weir.setup().data().join("weir.db")))
    }

    pub fn create(&self, slug: &str) -> TenantId {
        let new = NewOrganization {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            settings: Default::default(),
        };
        let caller = Caller::system();
        let made = self.identity.create_organization(&caller, new);
        self.runtime.block_on(made).unwrap().id
    }

    /// A key of the organization: its identifier and the key.
    pub fn make_key(&self, tenant: &TenantId) -> (Id, String) {
        let new = serde_json::from_value(json!({"name": "import"})).unwrap();
        let caller = Caller::system();
        let made = self
            .identity
            .create_api_key(&caller, tenant, KeyOwner::Organization, new);
        let made = self.runtime.block_on(made).unwrap();
        (made.key.id, made.text.expose().to_owned())
    }

    pub fn revoke_key(&self, tenant: &TenantId, id: &Id) {
        let caller = Caller::system();
        let revoked = self.identity.revoke_api_key(&caller, tenant, id, None);
        self.runtime.block_on(revoked).unwrap();
    }

    pub fn suspend(&self, id: &TenantId) {
        let caller = Caller::system();
        let suspended = self
            .identity
            .suspend_organization(&caller, id, None, "unpaid");
        self.runtime.block_on(suspended).unwrap();
    }

    fn resume(&self, id: &TenantId) {
        let caller = Caller::system();
        let resumed = self.identity.resume_organization(&caller, id, None);
        self.runtime.block_on(resumed).unwrap();
    }

    fn delete(&self, id: &TenantId) {
        let caller = Caller::system();
        let deleted = self.identity.delete_organization(&caller, id, None);
        self.runtime.block_on(deleted).unwrap();
    }
}

/// Waits until the node knows, and would know after a restart, that this is how an organization stands.
pub fn wait_until_known(weir: &Weir, standing: &str) {
    let kept = weir.setup().data().join("organizations.json");
    wait_until("it is known how it stands", || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains(standing))
    });
}

fn config(upstream: &Upstream, records: &str) -> String {
    format!(
        "{records}upstreams: {{ shop: {{ targets: [\"{}\"] }} }}
routes:
  - {{ name: acme, match: {{ path: /acme/* }}, upstream: shop, organization: acme, websocket: true }}
  - {{ name: free, match: {{ path: /* }}, upstream: shop }}
",
        upstream.address
    )
}

fn server() -> Upstream {
    Upstream::answering(|_| answer(200, &[], "fine"))
}

fn wait_until_open(weir: &Weir) {
    wait_until("traffic of the organization flows", || {
        weir.get("/acme/x").status() == 200
    });
}

/// Suspension, resumption and deletion, each in effect within a second.
fn lives(weir: &Weir, office: &Office) {
    wait_until("it is known that there is no such organization", || {
        weir.get("/acme/x").status() == 403
    });
    weir.get("/acme/x")
        .assert_problem(403, "organization_missing");
    let acme = office.create("acme");
    wait_until_open(weir);
    let load = Load::keep_alive(weir.http(), 4, "fine");
    load.wait_for_more(50);
    office.suspend(&acme);
    let since = Instant::now();
    wait_until("requests are refused", || {
        weir.get("/acme/x").status() == 403
    });
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    weir.get("/acme/x")
        .assert_problem(403, "organization_suspended");
    assert!(weir.metric("weir_answers_total", &["organization_suspended"]) > 0.0);
    office.resume(&acme);
    wait_until_open(weir);
    office.delete(&acme);
    wait_until("requests are refused", || {
        weir.get("/acme/x").status() == 403
    });
    weir.get("/acme/x")
        .assert_problem(403, "organization_missing");
    let refusing = |weir: &Weir| weir.ask("GET", "/v1/status").json()["organizations"].clone();
    let missing = json!([{"slug": "acme", "standing": "missing", "routes": ["acme"]}]);
    assert_eq!(refusing(weir), missing);
    // Its slug is its own until it is gone for good: nobody gets its traffic.
    let operator = api::operator(weir);
    wait_until("the node's own admin API is there", || {
        operator.get("/v1/organizations").status() == 200
    });
    let new = json!({"slug": "acme", "name": "Acme"});
    let taken = operator.post("/v1/organizations", &new);
    taken.assert_problem(409, "taken");
    assert_eq!(taken.json()["errors"][0]["pointer"], "/slug");
    assert_eq!(operator.delete(&format!("/v1/trash/{acme}")).status(), 204);
    assert_eq!(refusing(weir), missing);
    // Whoever takes it then is told what is theirs by it.
    let tried = weir.run("org", &["create", "other", "--name", "Other"]);
    assert_eq!(tried.code, Some(0), "{}", tried.stderr);
    assert!(!tried.stderr.contains("warning"), "{}", tried.stderr);
    let made = operator.post("/v1/organizations", &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    let warning =
        "Routes of this node name this slug already, and carry its traffic from now on: acme.";
    assert_eq!(made.json()["warnings"], json!([warning]));
    wait_until_open(weir);
    assert_eq!(refusing(weir), Value::Null);
    let made = made.json()["id"].as_str().unwrap().to_owned();
    for path in [
        format!("/v1/organizations/{made}"),
        format!("/v1/trash/{made}"),
    ] {
        assert_eq!(operator.delete(&path).status(), 204, "{path}");
    }
    let made = weir.run("org", &["create", "acme", "--name", "Acme"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stderr.contains(warning), "{}", made.stderr);
    // Others' traffic was not touched by any of it.
    load.wait_for_more(50);
    load.finish();
}

#[test]
fn on_a_file() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    lives(&weir, &Office::of(&weir));
}

#[test]
fn on_a_server() {
    let upstream = server();
    let url = Postgres::shared().database();
    let weir = Weir::start(&config(
        &upstream,
        &format!("records: {{ url: \"{url}\" }}\n"),
    ));
    let office = Office::on(Address::Postgres(Secret::new(url)));
    lives(&weir, &office);
}

#[test]
fn a_revision_that_names_an_organization_learns_how_it_stands() {
    let upstream = server();
    let weir = Weir::start(&config(&upstream, ""));
    let office = Office::of(&weir);
    let other = office.create("other");
    office.suspend(&other);
    let text = config(&upstream, "").replace("organization: acme", "organization: other");
    assert_eq!(weir.reload(&text).status(), 200);
    wait_until("requests are refused", || {
        weir.get("/acme/x").status() == 403
    });
    weir.get("/acme/x")
        .assert_problem(403, "organization_suspended");
}

#[test]
fn a_start_without_records_does_not_forget_who_is_suspended() {
    let upstream = server();
    let database = Postgres::start(&["fsync=off"]);
    let url = database.database();
    let text = config(&upstream, &format!("records: {{ url: \"{url}\" }}\n"));
    let data = tempfile::tempdir().unwrap();
    let start = || Setup::new().data_directory(data.path()).start(&text);
    let weir = start();
    let office = Office::on(Address::Postgres(Secret::new(url)));
    wait_until("records are there", || {
        weir.metric("weir_records_available", &[]) == 1.0
    });
    let acme = office.create("acme");
    wait_until_open(&weir);
    office.suspend(&acme);
    wait_until("requests are refused", || {
        weir.get("/acme/x").status() == 403
    });
    wait_until_known(&weir, "suspended");
    database.stop();
    drop(weir);
    let weir = start();
    weir.get("/acme/x")
        .assert_problem(403, "organization_suspended");
    assert_eq!(weir.get("/").text(), "fine");
    database.resume();
    office.resume(&acme);
    wait_until_open(&weir);
}

#[test]
fn a_stream_under_way_ends_when_something_would_pass() {
    let (says, told) = mpsc::channel::<&'static str>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(told));
    let upstream = Upstream::new(move |mut wire| {
        if wire.request().is_none() {
            return;
        }
        wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        while let Ok(text) = told.lock().unwrap().recv() {
            if wire.try_send(text).is_err() {
                return;
            }
        }
    });
    let weir = Weir::start(&config(&upstream, ""));
    let office = Office::of(&weir);
    let acme = office.create("acme");
    wait_until_known(&weir, "active");
    let mut client = Wire::connect(weir.http());
    // Without chunks in between.
    client.send("GET /acme/events HTTP/1.0\r\n\r\n");
    says.send("data: one\n\n").unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.take(11), b"data: one\n\n");
    office.suspend(&acme);
    wait_until_known(&weir, "suspended");
    says.send("data: two\n\n").unwrap();
    assert_eq!(client.rest(), b"");
    wait_until("it is in the log", || {
        weir.log().contains("organization_suspended")
    });
}
