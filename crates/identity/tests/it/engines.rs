//! Each test runs once on each engine, on records of its own.

use tempfile::TempDir;
use weir_core::{Id, Secret, TenantId};
use weir_identity::{
    Assigned, BuiltIn, Caller, Hashing, Identity, NewOrganization, NewUser, Options, Proof, Result,
    SignedIn, Step, User,
};
use weir_store::Records;
use weir_store::audit::{Actor, Origin, Query, Recorded};
use weir_store::records::{Address, Options as RecordsOptions, PlatformTable, Scope, Value};
use weir_testkit::Postgres;
pub(crate) use weir_testkit::on_both_engines;

/// A service on records that nobody was on before.
pub(crate) struct Fresh {
    pub(crate) identity: Identity,
    pub(crate) records: Records,
    pub(crate) records_options: RecordsOptions,
    directory: Option<TempDir>,
}

pub(crate) fn options() -> Options {
    Options {
        // As cheap as it can be: what a hash costs is not what is tested.
        hashing: Hashing {
            memory: 64,
            passes: 1,
            ..Hashing::default()
        },
        ..Options::new("https://weir.example", Secret::new([7; 32]))
    }
}

pub(crate) const PASSWORD: &str = "correct horse battery";

/// `engine`: `sqlite` or `postgres`.
pub(crate) async fn fresh(engine: &str) -> Fresh {
    fresh_with(engine, options()).await
}

pub(crate) async fn fresh_with(engine: &str, options: Options) -> Fresh {
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
    let records_options = RecordsOptions::new(address);
    let records = Records::open(&records_options).unwrap();
    records.migrate().await.unwrap();
    let identity = Identity::new(records.clone(), options).unwrap();
    identity.prepare().await.unwrap();
    Fresh {
        identity,
        records,
        records_options,
        directory,
    }
}

/// Somebody at the machine, who may everything.
pub(crate) fn operator() -> Caller {
    Caller {
        actor: Actor::Operator,
        origin: Origin {
            address: Some("192.0.2.1".to_owned()),
            ..Origin::default()
        },
        request_id: Some("4bf92f".to_owned()),
        once: None,
    }
}

/// Somebody of whom nothing is known yet but from where they come.
pub(crate) fn client() -> Caller {
    Caller {
        actor: Actor::Anonymous,
        origin: Origin {
            name: None,
            address: Some("198.51.100.7".to_owned()),
            agent: Some("curl/8".to_owned()),
        },
        request_id: None,
        once: None,
    }
}

/// The same from another address.
pub(crate) fn client_at(address: &str) -> Caller {
    let mut client = client();
    client.origin.address = Some(address.to_owned());
    client
}

/// Somebody's usual password, and no code.
pub(crate) fn proof() -> Proof {
    Proof {
        password: PASSWORD.into(),
        code: None,
    }
}

/// The same with a code.
pub(crate) fn proof_with(code: impl Into<String>) -> Proof {
    Proof {
        code: Some(code.into()),
        ..proof()
    }
}

/// Tries to sign in.
pub(crate) async fn sign_in(identity: &Identity, email: &str, password: &str) -> Result<Step> {
    identity.sign_in(&client(), email, &password.into()).await
}

/// The token that a link has in its query.
pub(crate) fn token_of(link: &Secret<String>) -> Secret<String> {
    let (_, token) = link.expose().split_once("?token=").unwrap();
    Secret::new(token.to_owned())
}

/// Somebody with an account.
pub(crate) fn by(user: &User) -> Caller {
    Caller {
        actor: Actor::User(user.id.clone()),
        origin: Origin {
            name: Some(user.email.clone()),
            ..Origin::default()
        },
        request_id: None,
        once: None,
    }
}

pub(crate) fn built_in(role: BuiltIn) -> Assigned {
    Assigned::BuiltIn(role)
}

impl Fresh {
    pub(crate) async fn organization(&self, slug: &str) -> TenantId {
        let new = NewOrganization {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            settings: Default::default(),
        };
        let made = self.identity.create_organization(&operator(), new).await;
        made.unwrap().id
    }

    pub(crate) async fn user(&self, email: &str) -> User {
        let new = NewUser {
            email: email.to_owned(),
            name: format!("Person of {email}"),
        };
        self.identity.create_user(&operator(), new).await.unwrap()
    }

    /// Somebody new who can sign in.
    pub(crate) async fn person(&self, email: &str) -> User {
        let user = self.user(email).await;
        let link = self.identity.issue_reset(&operator(), &user.id).await;
        let token = token_of(&link.unwrap());
        self.identity
            .reset_password(&client(), &token, &PASSWORD.into())
            .await
            .unwrap();
        self.identity.user(&user.id).await.unwrap()
    }

    /// A session of somebody who has no second factor.
    pub(crate) async fn signed_in(&self, email: &str, password: &str) -> SignedIn {
        match sign_in(&self.identity, email, password).await.unwrap() {
            Step::SignedIn(signed_in) => signed_in,
            Step::SecondFactor(_) => panic!("a second factor is asked for"),
        }
    }

    /// Moves a point in time of all rows, as if time had passed.
    pub(crate) async fn set_time(&self, table: &'static str, column: &'static str, by: i64) {
        let rows = PlatformTable::new(table).rows();
        for row in self.records.all(rows.select()).await.unwrap() {
            let mut write = self.records.write_unaudited().await.unwrap();
            let Some(time) = row.optional_int(column).unwrap() else {
                continue;
            };
            let time = time + by * 1_000_000;
            let values = [(column, Value::from(time))];
            let id = row.id("id").unwrap();
            write.update(rows, &id, None, values).await.unwrap();
            write.commit().await.unwrap();
        }
    }

    /// Somebody new with a role in an organization; the identifier of the membership as well.
    pub(crate) async fn member(&self, of: &TenantId, email: &str, role: BuiltIn) -> (User, Id) {
        let user = self.user(email).await;
        let member = self
            .identity
            .add_member(&operator(), of, &user.id, &built_in(role))
            .await
            .unwrap();
        (user, member.id)
    }

    /// All that a chain has, oldest first; the chain must be whole.
    pub(crate) async fn audit(&self, of: &TenantId) -> Vec<Recorded> {
        let scope = Scope::of(of);
        self.records
            .verify_audit(&scope, |_| ())
            .await
            .unwrap()
            .unwrap();
        let query = Query {
            oldest_first: true,
            ..Query::default()
        };
        self.records.audit(&scope, &query, 1_000).await.unwrap()
    }

    /// The latest few actions of a chain of any length, the latest first.
    pub(crate) async fn actions_latest(&self, of: &TenantId) -> Vec<String> {
        let query = Query::default();
        let entries = self.records.audit(&Scope::of(of), &query, 10).await;
        let entries = entries.unwrap().into_iter();
        entries.map(|entry| entry.action).collect()
    }

    /// All that SQLite has in its files.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let directory = self.directory.as_ref().unwrap();
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        bytes
    }

    pub(crate) async fn actions(&self, of: &TenantId) -> Vec<String> {
        let entries = self.audit(of).await;
        entries.into_iter().map(|entry| entry.action).collect()
    }
}
