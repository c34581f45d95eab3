//! No organization reaches into another: every operation is replayed with another's credentials and
//! identifiers. The document is what is gone through, so that no operation is forgotten.

use serde_json::{Value, json};
use weir_core::{Id, TenantId};
use weir_testkit::on_both_engines;

use super::{Client, World};
use crate::harness::Message;

on_both_engines! {
    what_is_of_another_organization_is_not_there,
}

/// A route that the platform made.
const ROUTE: &str = "platforms";

/// An organization with one of everything.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    slug: &'static str,
    owner: Client,
    pub(super) user: String,
    role: String,
    invitation: String,
    trashed: String,
    /// Of the member.
    session: String,
    key: String,
    /// The member's refresh tokens.
    family: String,
    /// Of a list with more than one page.
    cursor: String,
}

/// Identifiers of things that are nowhere, for each placeholder of a path.
fn nowhere(placeholder: &str) -> String {
    match placeholder {
        "section" => return "routes".to_owned(),
        "name" | "policy" => return "nothing".to_owned(),
        "number" => return "999".to_owned(),
        "organization" => Id::new("org"),
        "user" => Id::new("usr"),
        "role" => Id::new("rol"),
        "invitation" => Id::new("inv"),
        "session" => Id::new("ses"),
        "api_key" => Id::new("key"),
        "family" => Id::new("rtf"),
        "kid" => return "nobodys".to_owned(),
        "id" => Id::new("rol"),
        other => panic!("what of another organization is {{{other}}}? say so here"),
    }
    .to_string()
}

/// The name of an organization's access policy.
fn policy(slug: &str) -> String {
    format!("calm-{slug}")
}

impl Tenant {
    pub(super) async fn new(world: &World, slug: &'static str) -> Self {
        let id = world.organization(slug);
        let owner = world.member(&id, "owner").await;
        let editor = world.member(&id, "editor").await;
        let base = format!("/v1/organizations/{slug}");
        let make = |name: &str| {
            let new = json!({ "name": name, "permissions": ["route:read"] });
            let made = owner.post(&format!("{base}/roles"), &new).json();
            made["id"].as_str().unwrap().to_owned()
        };
        let (role, trashed) = (make("kept"), make("trashed"));
        let deleted = owner.delete(&format!("{base}/roles/{trashed}"));
        assert_eq!(deleted.status(), 204);
        let calm = format!("{base}/access-policies/{}", policy(slug));
        let text = json!({ "text": "// nothing" });
        assert_eq!(owner.send("PUT", &calm, Some(&text), "").status(), 201);
        let email = format!("invited@{slug}.example");
        let invite = json!({ "email": email, "role": "viewer" });
        let invited = owner.post(&format!("{base}/invitations"), &invite).json();
        let members = owner.get(&format!("{base}/members?limit=1")).json();
        let new = json!({ "name": "import", "permissions": ["route:read"] });
        let key = owner.post(&format!("{base}/api-keys"), &new).json();
        let me = editor.get("/v1/me").json();
        let wanted = json!({ "audience": "https://api.example" });
        assert_eq!(editor.post("/v1/tokens", &wanted).status(), 200);
        let tokens = editor.get("/v1/me/tokens").json();
        Self {
            user: me["id"].as_str().unwrap().to_owned(),
            session: me["session"]["id"].as_str().unwrap().to_owned(),
            key: key["id"].as_str().unwrap().to_owned(),
            invitation: invited["id"].as_str().unwrap().to_owned(),
            family: tokens["items"][0]["id"].as_str().unwrap().to_owned(),
            cursor: members["next"].as_str().unwrap().to_owned(),
            id,
            slug,
            owner,
            role,
            trashed,
        }
    }

    /// What this organization has for a placeholder.
    pub(super) fn own(&self, placeholder: &str) -> String {
        match placeholder {
            "organization" => self.id.to_string(),
            "user" => self.user.clone(),
            "role" => self.role.clone(),
            "invitation" => self.invitation.clone(),
            "session" => self.session.clone(),
            "api_key" => self.key.clone(),
            "family" => self.family.clone(),
            "id" => self.trashed.clone(),
            // Of the platform.
            "section" => "routes".to_owned(),
            "name" => ROUTE.to_owned(),
            "policy" => policy(self.slug),
            "number" => "1".to_owned(),
            "kid" => "nobodys".to_owned(),
            other => panic!("what of an organization is {{{other}}}? say so here"),
        }
    }
}

/// An operation of the document.
pub(super) struct Operation {
    id: String,
    pub(super) method: String,
    pub(super) path: String,
    has_body: bool,
    /// Parameters of its query, each with the schema of its values.
    pub(super) query: Vec<(String, Value)>,
}

impl Operation {
    pub(super) fn all(client: &Client) -> Vec<Self> {
        let document = client.get("/v1/openapi.json").json();
        let paths = document["paths"].as_object().unwrap();
        let operation = |path: &String, method: &String, operation: &Value| Self {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: path.clone(),
            has_body: operation["requestBody"].is_object(),
            query: query(operation),
        };
        paths
            .iter()
            .flat_map(|(path, item)| {
                let item = item.as_object().unwrap().iter();
                item.map(move |(method, found)| operation(path, method, found))
            })
            .collect()
    }

    fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    fn is_of_a_tenant(&self) -> bool {
        self.placeholders().any(|name| name == "organization")
    }

    /// One that would do something, were it allowed.
    fn body(&self, role: &str) -> Option<Value> {
        let body = match self.id.as_str() {
            "update_organization" => json!({ "name": "Taken over" }),
            "suspend_organization" | "suspend_user" => json!({ "reason": "taken over" }),
            "update_member" => json!({ "role": role }),
            "create_role" => json!({ "name": "taken-over", "permissions": ["route:read"] }),
            "update_role" => json!({ "description": "taken over" }),
            "create_api_key" => json!({ "name": "taken-over" }),
            "update_api_key" => json!({ "name": "taken-over" }),
            "rotate_api_key" | "rotate_my_api_key" => json!({ "overlap_seconds": 0 }),
            "create_invitation" => json!({ "email": "mallory@evil.example", "role": role }),
            "update_user" => json!({ "name": "Taken Over" }),
            "put_access_policy" | "put_platform_access_policy" => {
                json!({ "text": "forbid (principal, action, resource);" })
            }
            "put_resource" => {
                json!({ "match": { "path": "/taken" }, "respond": { "status": 200 } })
            }
            "issue_token" => json!({ "audience": "https://evil.example" }),
            "rotate_signing_key" => json!({ "now": true }),
            "roll_back" => json!({ "comment": "taken over" }),
            other => {
                assert!(!self.has_body, "what does {other} take? say so here");
                return None;
            }
        };
        Some(body)
    }

    pub(super) fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let segments = self.path.split('/').map(|segment| {
            let name = segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'));
            name.map_or_else(|| segment.to_owned(), &value)
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// The parameters of an operation's query.
fn query(operation: &Value) -> Vec<(String, Value)> {
    let parameters = operation["parameters"].as_array();
    let parameters = parameters.into_iter().flatten();
    let of_query = parameters.filter(|one| one["in"] == "query");
    let named = of_query.map(|one| {
        (
            one["name"].as_str().unwrap().to_owned(),
            one["schema"].clone(),
        )
    });
    named.collect()
}

/// Asks, and counts.
struct Replay<'a> {
    stranger: &'a Client,
    asked: usize,
}

impl Replay<'_> {
    fn ask(&mut self, operation: &Operation, path: &str, role: &str) -> Answer {
        self.asked += 1;
        let body = operation.body(role);
        Answer::of(
            &self
                .stranger
                .send(&operation.method, path, body.as_ref(), ""),
        )
    }
}

/// An answer but for what differs from one to the next.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Value,
}

impl Answer {
    fn of(message: &Message) -> Self {
        let mut body: Value = serde_json::from_slice(&message.body).unwrap_or(Value::Null);
        if let Some(members) = body.as_object_mut() {
            members.remove("request_id");
        }
        let fields = message.fields.iter();
        let fields = fields.filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
        Self {
            status: message.status(),
            fields: fields.cloned().collect(),
            body,
        }
    }
}

/// All that there is, as those see it who may see everything.
async fn everything(world: &World, tenants: [&Tenant; 2]) -> Vec<String> {
    let platforms = ["users", "trash", "revisions", "config/routes"];
    let mut paths = platforms.map(|part| format!("/v1/{part}")).to_vec();
    for tenant in tenants {
        let base = format!("/v1/organizations/{}", tenant.id);
        paths.push(base.clone());
        for part in [
            "members",
            "roles",
            "invitations",
            "api-keys",
            "access-policies",
            "trash",
            "audit?format=ndjson",
        ] {
            paths.push(format!("{base}/{part}"));
        }
        paths.push(format!("/v1/users/{}", tenant.user));
    }
    paths.push("/v1/audit?format=ndjson".to_owned());
    let mut all = Vec::new();
    for path in paths {
        let answer = world.owner.get(&path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        all.push(answer.text());
    }
    for tenant in tenants {
        // By what a list shows, a session is used all the time.
        let user = tenant.user.parse().unwrap();
        let sessions = world.identity.sessions(&user).await.unwrap();
        let ids: Vec<_> = sessions.into_iter().map(|one| one.id).collect();
        all.push(format!("{ids:?}"));
    }
    all
}

async fn what_is_of_another_organization_is_not_there(engine: &str) {
    let world = World::begin(engine).await;
    let acme = Tenant::new(&world, "acme").await;
    let globex = Tenant::new(&world, "globex").await;
    let route = json!({ "match": { "path": "/platforms" }, "respond": { "status": 200 } });
    let path = format!("/v1/config/routes/{ROUTE}");
    let made = world.owner.send("PUT", &path, Some(&route), "");
    assert_eq!(made.status(), 201, "{}", made.text());
    let mut replay = Replay {
        stranger: &globex.owner,
        asked: 0,
    };
    let operations = Operation::all(&world.owner);
    let before = everything(&world, [&acme, &globex]).await;
    let (mut replayed, mut others) = (0, 0);
    let lost = nowhere("role");
    for operation in operations
        .iter()
        .filter(|one| one.placeholders().count() > 0)
    {
        let what = format!("{} {}", operation.method, operation.path);
        if !operation.is_of_a_tenant() {
            // Of the platform, or of a person: what is somebody else's is like what is nowhere.
            let missing = replay.ask(operation, &operation.filled(nowhere), &lost);
            let found = replay.ask(operation, &operation.filled(|name| acme.own(name)), &lost);
            assert_eq!(found, missing, "{what}");
            assert!(matches!(missing.status, 403 | 404), "{what}: {missing:?}");
            others += 1;
            continue;
        }
        let missing = replay.ask(operation, &operation.filled(nowhere), &lost);
        assert_eq!(missing.status, 404, "{what}: {missing:?}");
        // Another organization, by its names, with things of its own, of one's own, and of nobody.
        for name in [
            acme.id.as_str(),
            acme.slug,
            TenantId::platform().as_str(),
            "platform",
        ] {
            let of = |things: &dyn Fn(&str) -> String| {
                operation.filled(|placeholder| match placeholder {
                    "organization" => name.to_owned(),
                    placeholder => things(placeholder),
                })
            };
            for path in [
                of(&|placeholder| acme.own(placeholder)),
                of(&|placeholder| globex.own(placeholder)),
                of(&nowhere),
            ] {
                assert_eq!(
                    replay.ask(operation, &path, &acme.role),
                    missing,
                    "{what}: {path}"
                );
            }
        }
        replayed += 1;
        // One's own organization, with things of another. What is put by a name becomes one's own.
        let is_put = operation.method == "PUT";
        if operation.placeholders().count() > 1 && !is_put {
            let own = |things: &dyn Fn(&str) -> String| {
                operation.filled(|placeholder| match placeholder {
                    "organization" => globex.slug.to_owned(),
                    placeholder => things(placeholder),
                })
            };
            let missing = replay.ask(operation, &own(&nowhere), "viewer");
            assert_eq!(missing.status, 404, "{what}: {missing:?}");
            let theirs = own(&|placeholder| acme.own(placeholder));
            assert_eq!(replay.ask(operation, &theirs, "viewer"), missing, "{what}");
        }
    }
    // What stands in bodies and cursors is as little good.
    for operation in &operations {
        if !matches!(operation.id.as_str(), "create_invitation" | "update_member") {
            continue;
        }
        let path = operation.filled(|placeholder| globex.own(placeholder));
        let missing = replay.ask(operation, &path, &lost);
        assert_eq!(missing.status, 422, "{missing:?}");
        assert_eq!(replay.ask(operation, &path, &acme.role), missing);
    }
    let members = format!(
        "/v1/organizations/globex/members?limit=1&cursor={}",
        acme.cursor
    );
    globex.owner.get(&members).assert_problem(422, "invalid");
    assert_eq!(everything(&world, [&acme, &globex]).await, before);
    let listed = globex.owner.get("/v1/organizations").json();
    let ids = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"]);
    assert_eq!(ids.collect::<Vec<_>>(), [globex.id.as_str()]);
    let there_are = operations.iter().filter(|one| one.is_of_a_tenant()).count();
    assert_eq!(replayed, there_are);
    assert!(replayed >= 20, "{replayed}");
    println!(
        "replayed {replayed} of {there_are} operations of an organization (100%), and {others} others, \
         in {} requests",
        replay.asked
    );
}
