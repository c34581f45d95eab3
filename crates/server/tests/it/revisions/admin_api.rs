//! Resources and revisions, as clients of the admin API meet them.

use serde_json::{Value, json};
use weir_core::TenantId;
use weir_testkit::{Postgres, on_both_engines};

use super::{config, server};
use crate::api::{Client, World};
use crate::harness::{Load, Message, Upstream};

on_both_engines! {
    a_route_by_api_takes_traffic_and_can_be_taken_back,
    changes_are_made_on_what_was_seen,
    what_would_not_load_is_refused_with_its_diagnostics,
    warnings_are_those_of_what_is_changed,
    a_put_says_whether_it_is_new,
    what_is_wrong_is_said_in_words,
    what_was_deleted_is_in_the_trash,
    differences_are_for_those_who_may_read_the_kind,
    what_is_the_files_stays_so,
    a_batch_is_one_revision_that_can_be_gone_back_from,
    lists_page_through_both_owners,
    rights_are_asked_for,
    hostile_requests_are_refused,
}

const ITEMS: &str = "/v1/config/routes/items";

async fn world(engine: &str, upstream: &Upstream) -> World {
    let records = match engine {
        "sqlite" => String::new(),
        _ => format!(
            "records: {{ url: \"{}\" }}\n",
            Postgres::shared().database()
        ),
    };
    World::begin_with(&config(upstream, &records)).await
}

fn put(client: &Client, path: &str, document: &Value) -> Message {
    client.send("PUT", path, Some(document), "")
}

fn made(answer: &Message) -> Value {
    assert!([200, 201].contains(&answer.status()), "{}", answer.text());
    let made = answer.json();
    assert!(made["revision"].is_object(), "{made}");
    assert_eq!(made["in_effect"], true, "{made}");
    made
}

fn items(upstream: &str) -> Value {
    json!({"match": {"path": "/items/*"}, "upstream": upstream})
}

async fn a_route_by_api_takes_traffic_and_can_be_taken_back(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let (owner, weir) = (&world.owner, &world.weir);
    let load = Load::keep_alive(weir.http(), 2, "fine");
    let targets = json!({"targets": [upstream.address.to_string()]});
    let path = "/v1/config/upstreams/catalog?comment=the%20catalogue";
    let first = made(&put(owner, path, &targets));
    assert_eq!(first["revision"]["number"], 1);
    assert_eq!(first["revision"]["comment"], "the catalogue");
    assert_eq!(first["revision"]["author"]["kind"], "user");
    // Nobody uses it yet.
    assert_eq!(first["warnings"][0]["code"], "WR0504");
    let second = put(owner, ITEMS, &items("catalog"));
    assert_eq!(second.get("etag"), Some("\"2\""));
    assert_eq!(made(&second)["changes"][0]["change"], "create");
    assert_eq!(weir.get("/items/1").text(), "fine");

    let shown = owner.get(ITEMS);
    assert_eq!((shown.status(), shown.get("etag")), (200, Some("\"2\"")));
    let shown = shown.json();
    assert_eq!(
        (&shown["owner"], &shown["in_effect"]),
        (&json!("api"), &json!(true))
    );
    assert_eq!(shown["document"]["name"], "items");
    // What is needed stays.
    let refused = owner.delete("/v1/config/upstreams/catalog");
    refused.assert_problem(422, "configuration_refused");

    made(&owner.delete(ITEMS));
    weir.get("/items/1").assert_problem(404, "no_route");
    owner.get(ITEMS).assert_problem(404, "not_found");
    let trashed = owner.get("/v1/config/routes?deleted=true").json();
    assert_eq!(trashed["items"][0]["name"], "items");
    made(&owner.post(&format!("{ITEMS}/restore"), &json!({})));
    assert_eq!(weir.get("/items/1").text(), "fine");
    owner
        .post(&format!("{ITEMS}/restore"), &json!({}))
        .assert_problem(412, "stale");
    let revision = weir.revision();
    assert_eq!(revision["resources"], 4);
    load.wait_for_more(20);
    load.finish();
}

/// Words of libraries tell nobody anything.
async fn what_is_wrong_is_said_in_words(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let said = |answer: Message| {
        answer.assert_problem(422, "invalid");
        answer.json()["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let diff = owner.get("/v1/revisions/1/diff?from=x");
    assert_eq!(said(diff), "from: must be a whole number");
    let deleted = owner.get("/v1/config/routes?deleted=perhaps");
    assert!(said(deleted).contains("must be `true` or `false`"));
    let batch = owner.post("/v1/revisions", &json!({"changes": [], "expected": "one"}));
    assert_eq!(said(batch), "must be a whole number");
    let batch = owner.post("/v1/revisions", &json!({"changes": 7}));
    assert_eq!(said(batch), "must be an array");
}

async fn a_put_says_whether_it_is_new(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let document = |path: &str| json!({"match": {"path": path}, "upstream": "shop"});
    for (document, status, is_made) in [
        (document("/one"), 201, true),
        (document("/two"), 200, true),
        (document("/two"), 200, false),
    ] {
        let answer = put(owner, ITEMS, &document);
        assert_eq!(answer.status(), status, "{}", answer.text());
        assert_eq!(answer.json()["revision"].is_object(), is_made);
    }
    made(&owner.delete(ITEMS));
    assert_eq!(put(owner, ITEMS, &document("/one")).status(), 201);
}

async fn what_was_deleted_is_in_the_trash(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let (owner, weir) = (&world.owner, &world.weir);
    let platform = TenantId::platform();
    let targets = json!({"targets": [upstream.address.to_string()]});
    made(&put(owner, ITEMS, &items("shop")));
    made(&put(owner, "/v1/config/upstreams/other", &targets));
    made(&owner.delete(ITEMS));
    made(&owner.delete("/v1/config/upstreams/other"));
    let organization = world.organization("acme");
    let gone = owner.delete(&format!("/v1/organizations/{organization}"));
    assert_eq!(gone.status(), 204, "{}", gone.text());
    let trash = |client: &Client| -> Vec<[String; 3]> {
        let mut found = Vec::new();
        let mut path = "/v1/trash?limit=1".to_owned();
        loop {
            let page = client.get(&path).json();
            let items = page["items"].as_array().unwrap().iter();
            found.extend(items.map(|one| {
                ["kind", "name", "id"].map(|part| one[part].as_str().unwrap().to_owned())
            }));
            let Some(next) = page["next"].as_str() else {
                return found;
            };
            path = format!("/v1/trash?limit=1&cursor={next}");
        }
    };
    let found = trash(owner);
    let told: Vec<_> = found
        .iter()
        .map(|[kind, name, _]| (&**kind, &**name))
        .collect();
    let expected = [
        ("organization", "acme"),
        ("upstream", "other"),
        ("route", "items"),
    ];
    assert_eq!(told, expected);
    let [_, _, id] = &found[2];

    // To each what they may read and change.
    let new = json!({ "name": "tidier", "permissions": ["trash:read", "trash:write", "trash:purge", "upstream:read"] });
    let role = owner.post("/v1/organizations/platform/roles", &new).json();
    let tidier = world.member(&platform, role["id"].as_str().unwrap()).await;
    let kinds: Vec<_> = trash(&tidier).into_iter().map(|[kind, ..]| kind).collect();
    assert_eq!(kinds, ["organization", "upstream"]);
    let restore = format!("/v1/trash/{id}/restore");
    for refused in [
        tidier.post(&restore, &json!({})),
        tidier.delete(&format!("/v1/trash/{id}")),
    ] {
        refused.assert_problem(403, "forbidden");
        assert_eq!(refused.json()["permission"], "route:write");
    }

    assert_eq!(owner.post(&restore, &json!({})).status(), 204);
    assert_eq!(weir.get("/items/1").text(), "fine");
    owner
        .post(&restore, &json!({}))
        .assert_problem(404, "not_found");
    made(&owner.delete(ITEMS));
    let [_, _, id] = &trash(owner)[0];
    assert_eq!(owner.delete(&format!("/v1/trash/{id}")).status(), 204);
    assert!(trash(owner).iter().all(|[kind, ..]| kind != "route"));
    let refused = owner.post(&format!("{ITEMS}/restore"), &json!({}));
    refused.assert_problem(404, "not_found");
    assert!(refused.text().contains("No route `items` is in the trash"));
    let missing = owner.get(ITEMS);
    assert!(missing.text().contains("There is no route `items`"));
}

async fn differences_are_for_those_who_may_read_the_kind(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let new = json!({ "name": "half", "permissions": ["revision:read", "revision:write", "upstream:read"] });
    let role = owner.post("/v1/organizations/platform/roles", &new).json();
    let platform = TenantId::platform();
    let half = world.member(&platform, role["id"].as_str().unwrap()).await;
    let targets = json!({"targets": [upstream.address.to_string()]});
    let batch = json!({"changes": [
        {"kind": "upstream", "name": "catalog", "document": targets},
        {"kind": "route", "name": "canary-route", "document": items("catalog")},
    ]});
    made(&owner.post("/v1/revisions", &batch));
    let path = "/v1/revisions/1/diff";
    let all = owner.get(path).json();
    assert_eq!(
        (all["changes"].as_array().unwrap().len(), &all["hidden"]),
        (2, &json!(0))
    );
    let back = json!({ "dry_run": true });
    for answer in [half.get(path), half.post("/v1/revisions/0/rollback", &back)] {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let told = answer.json();
        assert_eq!(told["changes"][0]["kind"], "upstream", "{told}");
        assert_eq!(
            (told["changes"].as_array().unwrap().len(), &told["hidden"]),
            (1, &json!(1))
        );
        assert!(!answer.text().contains("canary-route"), "{}", answer.text());
    }
    let text = half
        .send("GET", path, None, "Accept: text/plain\r\n")
        .text();
    assert!(
        text.ends_with("\\ 1 more, of kinds that the caller may not read\n"),
        "{text}"
    );
    assert!(!text.contains("canary-route"), "{text}");
}

async fn warnings_are_those_of_what_is_changed(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let targets = json!({"targets": [upstream.address.to_string()]});
    let warned = |answer: &Message| -> Vec<[String; 2]> {
        let answer = answer.json();
        let warnings = answer["warnings"].as_array().unwrap().iter();
        let one = |one: &Value| {
            [&one["code"], &one["resource"]["name"]].map(|part| part.as_str().unwrap().to_owned())
        };
        warnings.map(one).collect()
    };
    // Nobody uses them yet.
    for name in ["catalog", "other"] {
        let answer = put(owner, &format!("/v1/config/upstreams/{name}"), &targets);
        made(&answer);
        assert_eq!(warned(&answer), [["WR0504", name]]);
    }
    let tried = put(owner, &format!("{ITEMS}?dry_run=true"), &items("catalog"));
    assert!(warned(&tried).is_empty(), "{}", tried.text());
    let used = put(owner, ITEMS, &items("catalog"));
    made(&used);
    assert!(warned(&used).is_empty(), "{}", used.text());
    // What arises elsewhere is told, too.
    let gone = owner.delete(ITEMS);
    assert_eq!(warned(&gone), [["WR0504", "catalog"]]);

    // What refuses a change comes first, however it is called, and nothing is said of others.
    let change = |kind: &str, name: &str, document: &Value| json!({"kind": kind, "name": name, "document": document});
    let batch = json!({"changes": [
        change("upstream", "another", &targets),
        change("upstream", "wrong", &json!({"targets": "none"})),
    ]});
    let refused = owner.post("/v1/revisions", &batch);
    refused.assert_problem(422, "configuration_refused");
    let refused = refused.json();
    let diagnostics = refused["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics[0]["severity"], "error", "{refused}");
    let severities = diagnostics.iter().map(|one| one["severity"] == "warning");
    assert!(severities.is_sorted(), "{refused}");
    for name in ["catalog", "other"] {
        assert!(
            diagnostics
                .iter()
                .all(|one| one["resource"]["name"] != name),
            "{refused}"
        );
    }
}

async fn changes_are_made_on_what_was_seen(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let conditional = |fields: &str| owner.send("PUT", ITEMS, Some(&items("shop")), fields);
    conditional("If-Match: *\r\n").assert_problem(412, "stale");
    made(&conditional("If-None-Match: *\r\n"));
    conditional("If-None-Match: *\r\n").assert_problem(412, "stale");
    conditional("If-None-Match: \"1\"\r\n").assert_problem(422, "invalid");
    let stale = conditional("If-Match: \"7\"\r\n");
    stale.assert_problem(412, "stale");
    assert_eq!(stale.json()["version"], 1);
    // The same again is no revision.
    let same = conditional("If-Match: \"1\"\r\n");
    assert_eq!(
        (same.status(), &same.json()["revision"]),
        (200, &Value::Null)
    );
    owner
        .send("DELETE", ITEMS, None, "If-Match: \"9\"\r\n")
        .assert_problem(412, "stale");
    let gone = owner.send("DELETE", ITEMS, None, "If-Match: \"1\"\r\n");
    made(&gone);
    let batch = json!({"changes": [{"kind": "route", "name": "a", "document": items("shop")}], "expected": 1});
    let stale = owner.post("/v1/revisions", &batch);
    stale.assert_problem(412, "stale");
    assert_eq!(stale.json()["latest"], 2);
}

async fn what_would_not_load_is_refused_with_its_diagnostics(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let refused = put(
        owner,
        ITEMS,
        &json!({"match": {"pth": "/"}, "upstream": "nobody"}),
    );
    refused.assert_problem(422, "configuration_refused");
    let diagnostics = refused.json()["diagnostics"].clone();
    let codes: Vec<_> = diagnostics
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].clone())
        .collect();
    assert_eq!(codes, ["WR0103", "WR0201"]);
    assert_eq!(
        diagnostics[0]["resource"],
        json!({"kind": "route", "name": "items"})
    );
    assert_eq!(diagnostics[0]["path"], "match");
    owner.get(ITEMS).assert_problem(404, "not_found");
    let tried = put(owner, &format!("{ITEMS}?dry_run=true"), &items("shop"));
    assert_eq!(tried.status(), 200, "{}", tried.text());
    assert_eq!(tried.json()["changes"][0]["after"]["upstream"], "shop");
    let refused = put(owner, &format!("{ITEMS}?dry_run=true"), &items("nobody"));
    refused.assert_problem(422, "configuration_refused");
    assert_eq!(owner.get("/v1/revisions").json()["items"], json!([]));
}

async fn what_is_the_files_stays_so(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let path = "/v1/config/routes/of-file";
    let shown = owner.get(path).json();
    assert_eq!(
        (&shown["owner"], &shown["revision"]),
        (&json!("file"), &Value::Null)
    );
    assert_eq!(shown["document"]["match"]["path"], "/of-file");
    put(owner, path, &items("shop")).assert_problem(409, "file_owned");
    owner.delete(path).assert_problem(409, "file_owned");
    let batch = json!({"changes": [
        {"kind": "route", "name": "a", "document": items("shop")},
        {"kind": "upstream", "name": "shop", "document": {"targets": ["127.0.0.1:1"]}},
    ]});
    let refused = owner.post("/v1/revisions", &batch);
    refused.assert_problem(409, "file_owned");
    assert_eq!(refused.json()["resource"]["name"], "shop");
    assert_eq!(world.weir.get("/of-file").text(), "fine");
}

async fn a_batch_is_one_revision_that_can_be_gone_back_from(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let (owner, weir) = (&world.owner, &world.weir);
    let route =
        |name: &str, document: Value| json!({"kind": "route", "name": name, "document": document});
    let to = |path: &str| json!({"match": {"path": path}, "upstream": "shop"});
    let batch = json!({
        "changes": [route("a", to("/a")), route("b", to("/b"))], "comment": "two routes",
    });
    made(&owner.post("/v1/revisions", &batch));
    let batch = json!({"changes": [route("a", to("/aa")), route("b", Value::Null)], "expected": 1});
    let second = made(&owner.post("/v1/revisions", &batch));
    assert_eq!(second["revision"]["changes"], 2);
    assert_eq!(weir.get("/aa").text(), "fine");
    weir.get("/b").assert_problem(404, "no_route");

    let diff = owner.get("/v1/revisions/2/diff").json();
    assert_eq!((&diff["from"], &diff["to"]), (&json!(1), &json!(2)));
    assert_eq!(diff["changes"][0]["before"]["match"]["path"], "/a");
    let text = owner.send(
        "GET",
        "/v1/revisions/2/diff?from=0",
        None,
        "Accept: text/plain\r\n",
    );
    let text = text.text();
    assert!(text.contains("--- /dev/null\n+++ b/route/a\n"), "{text}");
    assert!(!text.contains("route/b"), "{text}");
    owner
        .get("/v1/revisions/3/diff")
        .assert_problem(404, "not_found");

    let back = made(&owner.post("/v1/revisions/1/rollback", &json!({"comment": "too soon"})));
    assert_eq!(back["revision"]["rolled_back_to"], 1);
    assert_eq!(weir.get("/a").text(), "fine");
    assert_eq!(weir.get("/b").text(), "fine");
    let numbers = owner.get("/v1/revisions").json()["items"].clone();
    let numbers: Vec<_> = numbers
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["number"].clone())
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(owner.get("/v1/revisions/3").json()["comment"], "too soon");
    owner
        .get("/v1/revisions/4")
        .assert_problem(404, "not_found");
    owner
        .post("/v1/revisions/4/rollback", &json!({}))
        .assert_problem(404, "not_found");
}

async fn lists_page_through_both_owners(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    let names = ["a", "n", "of-files", "z"];
    let changes = names.map(|name| {
        let document = json!({"match": {"path": format!("/{name}")}, "upstream": "shop"});
        json!({"kind": "route", "name": name, "document": document})
    });
    made(&owner.post("/v1/revisions", &json!({"changes": changes})));
    let walk = |query: &str| {
        let mut path = format!("/v1/config/routes?limit=1{query}");
        let mut found = Vec::new();
        loop {
            let page = owner.get(&path).json();
            let items = page["items"].as_array().unwrap();
            found.extend(
                items
                    .iter()
                    .map(|item| item["name"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(cursor) => path = format!("/v1/config/routes?limit=1{query}&cursor={cursor}"),
                None => return found.join(" "),
            }
        }
    };
    assert_eq!(walk(""), "a n of-file of-files rest z");
    assert_eq!(walk("&sort=-name"), "z rest of-files of-file n a");
    assert_eq!(walk("&owner=file"), "of-file rest");
    assert_eq!(walk("&name=of"), "of-file of-files");
    assert_eq!(walk("&owner=api&name=of"), "of-files");
    owner
        .get("/v1/config/routes?owner=nobody")
        .assert_problem(422, "invalid");
    owner
        .get("/v1/config/routes?cursor=x")
        .assert_problem(422, "invalid");
    assert_eq!(owner.get("/v1/config/policies").json()["items"], json!([]));
}

async fn rights_are_asked_for(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let auditor = world.member(&TenantId::platform(), "auditor").await;
    let acme = world.organization("acme");
    let stranger = world.member(&acme, "owner").await;
    made(&put(&world.owner, ITEMS, &items("shop")));
    assert_eq!(auditor.get(ITEMS).status(), 200);
    assert_eq!(auditor.get("/v1/revisions").status(), 200);
    let batch = json!({"changes": [{"kind": "route", "name": "a", "document": items("shop")}], "dry_run": true});
    let asked: [&dyn Fn(&Client) -> Message; 5] = [
        &|client| put(client, ITEMS, &items("shop")),
        &|client| client.delete(ITEMS),
        &|client| client.post("/v1/revisions", &batch),
        &|client| client.post("/v1/revisions/0/rollback", &json!({})),
        &|client| client.post(&format!("{ITEMS}/restore"), &json!({})),
    ];
    for ask in asked {
        ask(&auditor).assert_problem(403, "forbidden");
        let refused = ask(&stranger);
        assert!([403, 404].contains(&refused.status()), "{}", refused.text());
        ask(&world.anybody()).assert_problem(401, "unauthenticated");
    }
    for path in [
        ITEMS,
        "/v1/config/routes",
        "/v1/revisions",
        "/v1/revisions/1",
        "/v1/revisions/1/diff",
    ] {
        let refused = stranger.get(path);
        assert!(
            [403, 404].contains(&refused.status()),
            "{path}: {}",
            refused.text()
        );
        world
            .anybody()
            .get(path)
            .assert_problem(401, "unauthenticated");
    }
    // The operator may all of it.
    assert_eq!(
        made(&world.operator().delete(ITEMS))["revision"]["author"]["kind"],
        "operator"
    );
}

async fn hostile_requests_are_refused(engine: &str) {
    let upstream = server();
    let world = world(engine, &upstream).await;
    let owner = &world.owner;
    for name in [
        "..",
        "a%2fb",
        "%00",
        "a%20b",
        &"a".repeat(129),
        "%ff",
        "<script>",
    ] {
        let answer = put(owner, &format!("/v1/config/routes/{name}"), &items("shop"));
        assert!(
            [400, 404, 422].contains(&answer.status()),
            "{name}: {}",
            answer.text()
        );
    }
    owner
        .get("/v1/config/listeners")
        .assert_problem(404, "not_found");
    let deep: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    for document in [
        json!(null),
        json!([]),
        json!("x"),
        json!({"name": "other"}),
        json!({"respond": {"json": deep}}),
    ] {
        let answer = put(owner, ITEMS, &document);
        assert_eq!(answer.status(), 422, "{}", answer.text());
    }
    let secret = json!({"respond": {"file": "file:/etc/passwd"}});
    let refused = put(owner, ITEMS, &secret);
    refused.assert_problem(422, "configuration_refused");
    assert_eq!(refused.json()["diagnostics"][0]["code"], "WR0312");
    for batch in [
        json!({"changes": []}),
        json!({"changes": [{"kind": "route", "name": "a"}]}),
        json!({"changes": [{"kind": "listener", "name": "a", "document": null}]}),
        json!({"changes": [{"kind": "route", "name": "../a", "document": {}}]}),
        json!({"changes": [{"kind": "route", "name": "a", "document": {}}], "comment": "a\nb"}),
    ] {
        let answer = owner.post("/v1/revisions", &batch);
        assert_eq!(answer.status(), 422, "{}", answer.text());
    }
    for number in ["-1", "99999999999999999999", "a", "1"] {
        let answer = owner.get(&format!("/v1/revisions/{number}"));
        assert!(
            [404, 422].contains(&answer.status()),
            "{number}: {}",
            answer.text()
        );
    }
    assert_eq!(owner.get("/v1/revisions").json()["items"], json!([]));
}
