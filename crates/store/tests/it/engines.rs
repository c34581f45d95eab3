//! Each test runs once on each engine, on records of its own.

use tempfile::TempDir;
use weir_core::{Id, Secret, TenantId};
use weir_store::audit::{Actor, Change, Entry, Origin, Subject};
use weir_store::records::{Address, Options, PlatformTable, Scope, TenantTable, Value};
use weir_store::{Records, Result};
use weir_testkit::Postgres;
pub(crate) use weir_testkit::on_both_engines;

pub(crate) const ORGANIZATIONS: PlatformTable = PlatformTable::new("organizations");
pub(crate) const USERS: PlatformTable = PlatformTable::new("users");
pub(crate) const RESOURCES: TenantTable = TenantTable::new("resources");
pub(crate) const ROLES: TenantTable = TenantTable::new("roles");

/// Records of an empty database, and where it is.
pub(crate) struct Fresh {
    pub(crate) records: Records,
    pub(crate) options: Options,
    _directory: Option<TempDir>,
}

/// `engine`: `sqlite` or `postgres`.
pub(crate) fn empty(engine: &str) -> Fresh {
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
    let options = Options::new(address);
    Fresh {
        records: Records::open(&options).unwrap(),
        options,
        _directory: directory,
    }
}

pub(crate) async fn fresh(engine: &str) -> Fresh {
    let fresh = empty(engine);
    fresh.records.migrate().await.unwrap();
    fresh
}

pub(crate) fn entry(action: &'static str) -> Entry {
    Entry {
        actor: Actor::System,
        origin: Origin {
            address: Some("192.0.2.1".to_owned()),
            ..Origin::default()
        },
        action,
        subject: Subject {
            kind: "organization",
            id: None,
        },
        change: Change::default(),
        request_id: None,
        once: None,
    }
}

/// Makes an organization.
pub(crate) async fn organization(records: &Records, slug: &str) -> Result<TenantId> {
    let tenant = TenantId::generate();
    let mut write = records.write(&Scope::Platform).await?;
    write
        .insert(
            ORGANIZATIONS.rows(),
            tenant.id(),
            [
                ("slug", Value::from(slug)),
                ("name", Value::from(slug)),
                ("settings", Value::from("{}")),
            ],
        )
        .await?;
    write.open_scope(&tenant).await?;
    write
        .commit(&Scope::Platform, &entry("organization.create"))
        .await?;
    Ok(tenant)
}

/// Adds a role.
pub(crate) async fn role(records: &Records, tenant: &TenantId, name: &str) -> Result<Id> {
    let id = Id::new("rol");
    let scope = Scope::Tenant(tenant.clone());
    let mut write = records.write(&scope).await?;
    write
        .insert(
            ROLES.of(tenant),
            &id,
            [
                ("name", Value::from(name)),
                ("description", Value::from("")),
                ("permissions", Value::from("[]")),
            ],
        )
        .await?;
    write.commit(&scope, &entry("role.create")).await?;
    Ok(id)
}
