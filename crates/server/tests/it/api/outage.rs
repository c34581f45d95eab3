//! The database goes away and comes back.

use serde_json::json;
use weir_testkit::Postgres;

use super::{PASSWORD, World};
use crate::harness::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_api_says_so_and_comes_back() {
    let database = Postgres::start(&["fsync=off"]);
    let config = format!(
        "routes: []\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
        database.database()
    );
    let world = World::begin_with(&config).await;
    world.organization("acme");
    database.stop();
    let credentials = json!({ "email": "owner@weir.example", "password": PASSWORD });
    for answer in [
        world.owner.get("/v1/organizations/acme"),
        world.owner.get("/v1/me"),
        world.owner.get("/v1/status"),
        world.operator().get("/v1/organizations"),
        world.anybody().post("/v1/sign-in", &credentials),
    ] {
        answer.assert_problem(503, "records_unavailable");
        assert!(answer.get("retry-after").is_some());
    }
    // Who needs no records is not in want of them.
    assert_eq!(world.operator().get("/v1/status").status(), 200);
    assert_eq!(world.operator().get("/v1/openapi.json").status(), 200);
    world
        .anybody()
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    database.resume();
    wait_until("it is back", || {
        world.owner.get("/v1/organizations/acme").status() == 200
    });
    assert_eq!(
        world.anybody().post("/v1/sign-in", &credentials).status(),
        200
    );
}
