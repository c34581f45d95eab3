//! Secrets of resources go where those let them go who may change what has them.

use serde_json::{Value, json};
use weir_core::TenantId;
use weir_identity::{Caller, NewRole, Permission};

use super::{config, server};
use crate::api::{Client, World};
use crate::harness::Message;

const POLICY: &str = "/v1/config/policies/auth";
const PLAIN: &str = "/v1/config/policies/plain";
const UPSTREAM: &str = "/v1/config/upstreams/mine";
const ROUTE: &str = "/v1/config/routes/items";

/// Somebody with these rights on the platform.
async fn somebody(world: &World, name: &str, permissions: &[Permission]) -> Client {
    let platform = TenantId::platform();
    let new = NewRole {
        name: name.to_owned(),
        description: String::new(),
        permissions: permissions.iter().copied().collect(),
    };
    let system = Caller::system();
    let role = world.identity.create_role(&system, &platform, new);
    let role = role.await.unwrap();
    world.member(&platform, &role.id.to_string()).await
}

/// Somebody who writes routes and upstreams.
async fn router(world: &World) -> Client {
    let permissions = [Permission::RouteWrite, Permission::UpstreamWrite];
    somebody(world, "router", &permissions).await
}

fn put(client: &Client, path: &str, document: &Value) -> Message {
    client.send("PUT", path, Some(document), "")
}

fn made(answer: &Message) {
    assert_eq!(answer.status(), 201, "{}", answer.text());
}

fn changed(answer: &Message) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

fn needs(answer: &Message, permission: &str) {
    answer.assert_problem(403, "forbidden");
    assert_eq!(answer.json()["permission"], permission, "{}", answer.text());
}

fn policy() -> Value {
    json!({"headers": {"request": {"set": {"authorization": "Bearer 7Qm4xZ9d"}}}})
}

fn plain(value: &str) -> Value {
    json!({"headers": {"request": {"set": {"x-plain": value}}}})
}

fn route(upstream: &str, policies: &[&str]) -> Value {
    json!({"match": {"path": "/items"}, "upstream": upstream, "policies": policies})
}

fn upstream(port: u16) -> Value {
    json!({"targets": [format!("127.0.0.1:{port}")]})
}

fn change(kind: &str, name: &str, document: &Value) -> Value {
    json!({"kind": kind, "name": name, "document": document})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_a_secret_is_named_by_who_may_change_it() {
    let server = server();
    let world = World::begin_with(&config(&server, "")).await;
    let (owner, router) = (&world.owner, router(&world).await);
    made(&put(owner, POLICY, &policy()));
    made(&put(owner, PLAIN, &plain("one")));
    made(&put(&router, UPSTREAM, &upstream(9)));
    // To one's own upstream, to the file's, at once with an upstream, or only to see.
    for named in [
        route("mine", &["auth"]),
        route("shop", &["plain", "auth"]),
        json!({"match": {"path": "/items"}, "split": {"upstreams": {"shop": 1, "mine": 1}}, "policies": ["auth"]}),
        json!({"match": {"path": "/items"}, "upstream": "shop", "mirror": {"upstream": "mine"}, "policies": ["auth"]}),
        json!({"match": {"path": "/items"}, "respond": {"body": "a"}, "policies": ["auth"],
               "headers": {"response": {"set": {"x-shown": "{request.header.authorization}"}}}}),
    ] {
        needs(&put(&router, ROUTE, &named), "policy:write");
        let tried = put(&router, &format!("{ROUTE}?dry_run=true"), &named);
        needs(&tried, "policy:write");
        let changes = [
            change("route", "items", &named),
            change("upstream", "other", &upstream(10)),
        ];
        let batch = router.post("/v1/revisions", &json!({"changes": changes}));
        needs(&batch, "policy:write");
    }
    owner.get(ROUTE).assert_problem(404, "not_found");
    made(&put(&router, ROUTE, &route("mine", &["plain"])));
    let changer = [
        Permission::RouteWrite,
        Permission::UpstreamWrite,
        Permission::PolicyWrite,
    ];
    let changer = somebody(&world, "changer", &changer).await;
    changed(&put(&changer, ROUTE, &route("mine", &["auth"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_the_way_of_a_secret_is_changed_by_who_may_change_the_secret() {
    let server = server();
    let world = World::begin_with(&config(&server, "")).await;
    let (owner, router) = (&world.owner, router(&world).await);
    made(&put(owner, POLICY, &policy()));
    made(&put(owner, UPSTREAM, &upstream(9)));
    made(&put(owner, ROUTE, &route("mine", &["auth"])));

    needs(&put(&router, UPSTREAM, &upstream(10)), "policy:write");
    let mut shows = route("mine", &["auth"]);
    shows["headers"] = json!({"response": {"set": {"x-shown": "{request.header.authorization}"}}});
    needs(&put(&router, ROUTE, &shows), "policy:write");
    // Nothing of it is sent when it is gone; brought back, it is.
    made(&router.delete(ROUTE));
    let restore = format!("{ROUTE}/restore");
    needs(&router.post(&restore, &json!({})), "policy:write");
    made(&owner.post(&restore, &json!({})));
    // What has nothing to do with it is theirs.
    made(&put(&router, "/v1/config/upstreams/other", &upstream(10)));
    let other = json!({"match": {"path": "/other"}, "upstream": "other"});
    made(&put(&router, "/v1/config/routes/other", &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_gets_a_secret_later_is_lent_by_who_gives_it() {
    let server = server();
    let world = World::begin_with(&config(&server, "")).await;
    let (owner, router) = (&world.owner, router(&world).await);
    let keeper = somebody(&world, "keeper", &[Permission::PolicyWrite]).await;
    made(&put(owner, PLAIN, &plain("one")));
    made(&put(&router, UPSTREAM, &upstream(9)));
    made(&put(&router, ROUTE, &route("mine", &["plain"])));
    changed(&put(&keeper, PLAIN, &policy()));
    // From then on the way is as with any other.
    needs(&put(&router, UPSTREAM, &upstream(10)), "policy:write");

    // A route's own secret is lent by who may write routes: a policy could show it.
    let mut own = route("shop", &["shown"]);
    own["match"]["path"] = json!("/own");
    own["headers"] = json!({"request": {"set": {"x-api-key": "5fY2"}}});
    made(&put(owner, "/v1/config/policies/shown", &plain("one")));
    made(&put(&router, "/v1/config/routes/own", &own));
    let shows =
        json!({"headers": {"response": {"set": {"x-shown": "{request.header.x-api-key}"}}}});
    let refused = put(&keeper, "/v1/config/policies/shown", &shows);
    needs(&refused, "route:write");
    assert_eq!(
        refused.json()["resource"],
        json!({"kind": "route", "name": "own"})
    );
    let supplier = somebody(&world, "supplier", &[Permission::UpstreamWrite]).await;
    own["upstream"] = json!("other");
    made(&put(&supplier, "/v1/config/upstreams/other", &upstream(9)));
    changed(&put(&router, "/v1/config/routes/own", &own));
    let moved = put(&supplier, "/v1/config/upstreams/other", &upstream(10));
    needs(&moved, "route:write");
}
