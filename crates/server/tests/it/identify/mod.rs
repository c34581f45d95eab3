//! Who is calling, and whether they may.

mod certificates;
mod claims;
mod foreign;
mod hostile;
mod in_a_browser;
mod in_templates;
mod internal;
mod introspection;
mod issuers;
mod keys;
mod made_up;
mod observed;
mod own_tokens;
mod passwords;
mod requirements;
mod sessions;
mod signatures;
mod strangers;
mod tokens;

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::{Value, json};
use weir_jose::{Algorithm, SigningKey};

use crate::harness::{Message, Setup, Upstream, Weir, Wire};

/// Somebody who issues tokens.
struct Issuer {
    key: SigningKey,
}

impl Issuer {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            key: SigningKey::generate(algorithm).unwrap(),
        }
    }

    fn jwks(&self) -> String {
        json!({"keys": [self.key.public_jwk()]}).to_string()
    }

    fn sign(&self, claims: &Value) -> String {
        self.key
            .sign("at+jwt", claims.to_string().as_bytes())
            .unwrap()
    }

    /// A token for the catalog, with these claims beside the usual ones, or in their place.
    fn token(&self, more: &Value) -> String {
        self.sign(&claims(more))
    }
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.test", "aud": "catalog", "sub": "ada", "client_id": "app", "jti": "1",
        "iat": now(), "exp": now() + 300,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().cast_signed()
}

/// Weir's own, to a server that it asks: in the file `secret`.
const SECRET: &str = "secret-of-weir-2d91";

/// A server that tells what it got, behind the policies of a route. `$UP` is it.
struct Bench {
    weir: Weir,
    upstream: Upstream,
    /// Whose directory has the data.
    former: Vec<Weir>,
}

impl Bench {
    /// `customers` takes the issuer's tokens.
    fn new(issuer: &Issuer, policies: &str, listed: &str) -> Self {
        let routes = format!("routes: [{{ name: items, policies: [{listed}], upstream: up }}]\n");
        Self::with(issuer, policies, &routes)
    }

    fn with(issuer: &Issuer, policies: &str, rest: &str) -> Self {
        let upstream = Upstream::echo();
        let setup = Setup::new();
        setup.write("jwks.json", issuer.jwks());
        setup.write("secret", SECRET);
        let config = format!(
            "upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
             policies:\n  \
               customers: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }} }}\n\
             {policies}{rest}log: {{ format: json }}\n",
            upstream.address
        );
        let weir = setup.start(&config);
        Self {
            weir,
            upstream,
            former: Vec::new(),
        }
    }

    /// Ends the process, as told or at once, and starts another one with its data, at the same place.
    fn restart(&mut self, signal: Signal) {
        self.weir.signal(signal);
        self.weir.wait_exit();
        let from = self.weir.directory();
        let config = std::fs::read_to_string(from.join("weir.yaml")).unwrap();
        let setup = Setup::new().data_directory(self.weir.setup().data());
        let setup = setup.at(self.weir.setup().admin, self.weir.http());
        setup.write("weir.yaml", config);
        setup.write("jwks.json", std::fs::read(from.join("jwks.json")).unwrap());
        let former = std::mem::replace(&mut self.weir, setup.launch_and_wait());
        self.former.push(former);
    }

    /// With these lines in its head.
    fn get(&self, fields: &str) -> Message {
        let mut wire = Wire::connect(self.weir.http());
        wire.send(format!(
            "GET /items HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n"
        ));
        wire.response("GET")
    }

    fn with_token(&self, token: &str) -> Message {
        self.get(&format!("Authorization: Bearer {token}\r\n"))
    }

    /// What the access log says of the request that was answered so.
    fn logged(&self, answer: &Message) -> Value {
        let id = answer.json()["request_id"].clone();
        let mut found = Value::Null;
        crate::harness::wait_until("it is logged", || {
            let log = self.weir.log();
            let mut lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            found = lines
                .find(|line| line["weir.request_id"] == id)
                .unwrap_or_default();
            !found.is_null()
        });
        found
    }
}
