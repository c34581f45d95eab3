//! An installation with an owner, and people in it.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use weir_core::{Id, Secret, TenantId};
use weir_identity::{Caller, Hashing, Identity, NewUser, Options, Step};
use weir_store::Records;
use weir_store::audit::{Actor, Origin};
use weir_store::records::{Address, Options as RecordsOptions, PlatformTable, Value};
use weir_testkit::Postgres;

use crate::harness::{Message, Setup, Weir, Wire, wait_until};

pub const PASSWORD: &str = "correct horse battery";

/// A running Weir whose owner has signed in.
pub struct World {
    pub weir: Weir,
    /// The same records, for what the API is not asked to do.
    pub identity: Identity,
    records: Records,
    pub owner: Client,
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
}

/// A file without routes, on this engine.
pub fn config(engine: &str) -> String {
    match engine {
        "sqlite" => "routes: []\n".to_owned(),
        _ => format!(
            "routes: []\nrecords: {{ url: \"{}\" }}\n",
            Postgres::shared().database()
        ),
    }
}

/// The token of the set-up link that a start prints.
pub fn setup_token(weir: &Weir) -> String {
    let token = || {
        let printed = weir.stderr();
        let (_, link) = printed.split_once("/setup?token=")?;
        Some(link.split_whitespace().next()?.to_owned())
    };
    wait_until("the set-up link is printed", || token().is_some());
    token().unwrap()
}

impl World {
    pub async fn begin(engine: &str) -> Self {
        Self::begin_with(&config(engine)).await
    }

    pub async fn begin_with(config: &str) -> Self {
        Self::begin_at(Setup::new(), config).await
    }

    pub async fn begin_at(setup: Setup, config: &str) -> Self {
        let weir = setup.start(config);
        let client = Client::of(&weir);
        let body = json!({
            "token": setup_token(&weir), "email": "owner@weir.example", "name": "Olivia Owner",
            "password": PASSWORD,
        });
        // The link may be there a moment before the records are.
        wait_until("records are there", || {
            weir.metric("weir_records_available", &[]) == 1.0
        });
        let made = client.post("/v1/setup", &body);
        assert_eq!(made.status(), 201, "{}", made.text());
        let records = same_records(&weir, config);
        Self {
            identity: same_identity(&weir, records.clone()),
            records,
            owner: client.sign_in("owner@weir.example"),
            weir,
        }
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    pub fn operator(&self) -> Client {
        operator(&self.weir)
    }

    pub fn anybody(&self) -> Client {
        Client::of(&self.weir)
    }

    /// Makes an organization; its identifier.
    pub fn organization(&self, slug: &str) -> TenantId {
        let body = json!({ "slug": slug, "name": format!("The {slug}") });
        let made = self.owner.post("/v1/organizations", &body);
        assert_eq!(made.status(), 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Somebody with this role in an organization, who has signed in.
    pub async fn member(&self, tenant: &TenantId, role: &str) -> Client {
        let user = self
            .person(&format!("{role}@{tenant}.example").replace('_', "-"))
            .await;
        let role = role.parse().unwrap();
        let system = Caller::system();
        let added = self.identity.add_member(&system, tenant, &user, &role);
        added.await.unwrap();
        self.signed_in(&user).await
    }

    /// An account with the usual password.
    pub async fn person(&self, email: &str) -> Id {
        let (identity, system) = (&self.identity, Caller::system());
        let new = NewUser {
            email: email.to_owned(),
            name: "Somebody".to_owned(),
        };
        let user = identity.create_user(&system, new).await.unwrap().id;
        let link = identity.issue_reset(&system, &user).await.unwrap();
        let token = link.expose().split_once("?token=").unwrap().1.to_owned();
        let (token, password) = (Secret::new(token), PASSWORD.into());
        let set = identity.reset_password(&system, &token, &password);
        set.await.unwrap();
        user
    }

    /// As if somebody at this address had guessed so often that an hour has to pass.
    pub async fn tire_out(&self, address: &str) {
        let origin = Origin {
            address: Some(address.to_owned()),
            ..Origin::default()
        };
        let caller = Caller {
            actor: Actor::Anonymous,
            origin,
            ..Caller::system()
        };
        let wrong = "not the password of anybody".into();
        for guess in 0..51 {
            let email = format!("nobody-{guess}@weir.example");
            assert!(
                self.identity
                    .sign_in(&caller, &email, &wrong)
                    .await
                    .is_err()
            );
        }
        let throttles = PlatformTable::new("throttles");
        let mut write = self.records.write_unaudited().await.unwrap();
        let until = write.now().as_microsecond() + 3_600_000_000;
        let set = [("blocked_until", Value::from(until))];
        let tired = write.update_where(throttles.rows(), "failures > ?", [50_i64], set);
        assert_eq!(tired.await.unwrap(), 1);
        write.commit().await.unwrap();
    }

    /// As if the tokens of all sessions had been theirs for an hour.
    pub async fn make_due(&self) {
        self.move_back("sessions", "rotate_at").await;
    }

    /// As if the former tokens had been replaced a while ago.
    pub async fn end_overlap(&self) {
        self.move_back("former_session_tokens", "works_until").await;
        self.move_back("former_session_tokens", "created_at").await;
    }

    async fn move_back(&self, table: &'static str, column: &'static str) {
        let mut write = self.records.write_unaudited().await.unwrap();
        let set = [(column, Value::from(1_i64))];
        let nothing: [Value; 0] = [];
        let rows = PlatformTable::new(table);
        let moved = write.update_where(rows.rows(), "1 = 1", nothing, set);
        assert!(moved.await.unwrap() > 0);
        write.commit().await.unwrap();
    }

    /// As if all sessions had begun so many minutes earlier.
    pub async fn age_sessions(&self, minutes: i64) {
        let sessions = PlatformTable::new("sessions");
        let mut write = self.records.write_unaudited().await.unwrap();
        let begun = write.now().as_microsecond() - minutes * 60_000_000;
        let set = [("created_at", Value::from(begun))];
        let nothing: [Value; 0] = [];
        let aged = write.update_where(sessions.rows(), "1 = 1", nothing, set);
        assert!(aged.await.unwrap() > 0);
        write.commit().await.unwrap();
    }

    /// As if the process had ended before it could write down what it answers.
    pub async fn forget_answers(&self) {
        let keys = PlatformTable::new("idempotency_keys");
        let mut write = self.records.write_unaudited().await.unwrap();
        let gone = [("sealed_answer", Value::from(None::<&[u8]>))];
        let nothing: [Value; 0] = [];
        let forgotten = write.update_where(keys.rows(), "1 = 1", nothing, gone);
        assert_eq!(forgotten.await.unwrap(), 1);
        write.commit().await.unwrap();
    }

    /// Somebody without a second factor.
    pub async fn signed_in(&self, user: &Id) -> Client {
        let email = self.identity.user(user).await.unwrap().email;
        let (nowhere, password) = (Caller::system(), PASSWORD.into());
        let step = self.identity.sign_in(&nowhere, &email, &password);
        match step.await.unwrap() {
            Step::SignedIn(signed_in) => Client {
                token: Some(signed_in.token.expose().clone()),
                ..self.anybody()
            },
            Step::SecondFactor(_) => panic!("a second factor"),
        }
    }
}

fn same_records(weir: &Weir, config: &str) -> Records {
    let address = match config.split_once("url: \"") {
        Some((_, rest)) => {
            let (url, _) = rest.split_once('"').unwrap();
            Address::Postgres(Secret::new(url.to_owned()))
        }
        None => Address::Sqlite(weir.setup().path("data/weir.db")),
    };
    Records::open(&RecordsOptions::new(address)).unwrap()
}

fn same_identity(weir: &Weir, records: Records) -> Identity {
    let options = Options {
        // As cheap as it can be: what a hash costs is not what is tested.
        hashing: Hashing {
            memory: 64,
            passes: 1,
            ..Hashing::default()
        },
        ..Options::new("https://weir.example", key(weir))
    };
    Identity::new(records, options).unwrap()
}

/// The key of the installation, as this node has it.
pub fn key(weir: &Weir) -> Secret<[u8; 32]> {
    let file = weir.setup().data().join("installation.key");
    let text = std::fs::read_to_string(file).unwrap();
    Secret::new(STANDARD.decode(text.trim()).unwrap().try_into().unwrap())
}

pub fn operator(weir: &Weir) -> Client {
    let token = std::fs::read_to_string(weir.setup().path("data/operator.token")).unwrap();
    Client {
        token: Some(token.trim().to_owned()),
        ..Client::of(weir)
    }
}

impl Client {
    /// Nobody yet.
    pub fn of(weir: &Weir) -> Self {
        Self::at(weir.setup())
    }

    pub fn at(setup: &Setup) -> Self {
        Self {
            address: setup.admin,
            token: None,
        }
    }

    /// The same with this credential.
    pub fn with(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub fn sign_in(&self, email: &str) -> Self {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = self.post("/v1/sign-in", &body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let token = answer.json()["token"].as_str().map(str::to_owned);
        Self {
            token,
            ..self.clone()
        }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub fn get(&self, path: &str) -> Message {
        self.send("GET", path, None, "")
    }

    pub fn post(&self, path: &str, body: &Json) -> Message {
        self.send("POST", path, Some(body), "")
    }

    pub fn patch(&self, path: &str, body: &Json) -> Message {
        self.send("PATCH", path, Some(body), "")
    }

    pub fn delete(&self, path: &str) -> Message {
        self.send("DELETE", path, None, "")
    }

    /// The status of the answer, if one comes.
    pub fn try_post(&self, path: &str, body: &Json) -> Option<u16> {
        let mut wire = Wire::try_connect(self.address).ok()?;
        wire.try_send(self.request("POST", path, &body.to_string(), ""))
            .ok()?;
        Some(wire.try_response("POST")?.status())
    }

    /// `fields` are further lines of the head.
    pub fn send(&self, method: &str, path: &str, body: Option<&Json>, fields: &str) -> Message {
        let body = body.map(Json::to_string).unwrap_or_default();
        self.send_text(method, path, &body, fields)
    }

    /// The same with whatever is to stand in the body.
    pub fn send_text(&self, method: &str, path: &str, body: &str, fields: &str) -> Message {
        let mut wire = Wire::connect(self.address);
        wire.send(self.request(method, path, body, fields));
        wire.response(method)
    }

    pub fn request(&self, method: &str, path: &str, body: &str, fields: &str) -> String {
        let token = self.token.as_ref();
        let credential = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{}{fields}Content-Type: application/json\r\n\
             Content-Length: {}\r\nUser-Agent: weir-tests\r\nConnection: close\r\n\r\n{body}",
            self.address,
            credential.unwrap_or_default(),
            body.len(),
        )
    }
}
