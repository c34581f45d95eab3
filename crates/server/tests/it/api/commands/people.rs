//! `weir role`, `weir member`, `weir invitation`, `weir user`, `weir trash`, `weir audit`.

use serde_json::Value;
use weir_testkit::on_both_engines;

use super::{World, done, fails, json};

on_both_engines! {
    somebody_is_invited_promoted_removed_and_erased,
}

async fn somebody_is_invited_promoted_removed_and_erased(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let role = json(
        &world,
        "role create --org acme releaser --permission revision:read,revision:write --permission route:read",
    );
    let permissions = role["permissions"].as_array().unwrap();
    assert_eq!(permissions.len(), 3);
    let update = "role update --org acme releaser --permission revision:read --description careful";
    let changed = json(&world, update);
    assert_eq!(changed["permissions"], serde_json::json!(["revision:read"]));
    assert_eq!(changed["name"], "releaser");

    let invited = done(
        &world,
        "invitation create --org acme grace@acme.example --role releaser",
    );
    let link = invited.lines().last().unwrap();
    assert!(link.contains("/accept?token=weir_once_"), "{invited}");
    let listed = done(&world, "invitation list --org acme");
    let row = listed.lines().nth(1).unwrap();
    assert!(row.starts_with("grace@acme.example  releaser "), "{listed}");
    let again = json(&world, "invitation resend --org acme grace@acme.example");
    assert_ne!(again["link"].as_str().unwrap(), link);
    done(
        &world,
        "invitation revoke --org acme Grace@acme.example --yes",
    );
    assert_eq!(
        json(&world, "invitation list --org acme"),
        serde_json::json!([])
    );

    let grace = world.person("grace@acme.example").await;
    let viewer = "viewer".parse().unwrap();
    let system = weir_identity::Caller::system();
    let added = world.identity.add_member(&system, &acme, &grace, &viewer);
    added.await.unwrap();
    let set = done(
        &world,
        "member set-role --org acme grace@acme.example releaser",
    );
    assert_eq!(set, "changed: grace@acme.example is releaser now\n");
    let members = done(&world, "member list --org acme");
    assert!(
        members.contains("grace@acme.example  Somebody  releaser "),
        "{members}"
    );
    let kept = fails(&world, "role delete --org acme releaser --yes", 1);
    assert!(kept.contains("still has this role"), "{kept}");
    done(&world, "member remove --org acme grace@acme.example --yes");
    done(&world, "role delete --org acme releaser --yes");

    let trash = json(&world, "trash list --org acme");
    let kinds: Vec<&str> = trash.as_array().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["role", "member", "invitation"]);
    let id = trash[0]["id"].as_str().unwrap();
    done(&world, &format!("trash restore --org acme {id}"));
    assert_eq!(json(&world, "role show --org acme releaser")["id"], id);
    let id = trash[1]["id"].as_str().unwrap();
    done(&world, &format!("trash purge --org acme {id} --yes"));
    assert_eq!(
        json(&world, "trash list --org acme")
            .as_array()
            .unwrap()
            .len(),
        1
    );

    done(
        &world,
        "user suspend grace@acme.example --reason left --yes",
    );
    let suspended = json(&world, "user list --suspended true");
    assert_eq!(suspended[0]["suspension_reason"], "left");
    done(&world, "user resume grace@acme.example");
    done(&world, "user update grace@acme.example --name Grace");
    let deleted = done(&world, "user delete grace@acme.example --yes");
    assert!(
        deleted.contains(&format!("`weir trash restore {grace}`")),
        "{deleted}"
    );
    // By the address, also in the trash.
    let certificate = json(&world, "user erase Grace@acme.example --yes");
    assert_eq!(certificate["users"], serde_json::json!([grace.to_string()]));
    assert_eq!(certificate["rows"]["users"], 1);
    let audit = done(&world, "audit export --org acme");
    assert!(!audit.contains("grace@acme.example"), "{audit}");
    assert_eq!(done(&world, "audit verify").lines().count(), 2);
    let gone = fails(&world, &format!("user erase {grace} --yes"), 1);
    assert!(gone.contains("has nothing at /v1/users/"), "{gone}");
    // Somebody who was only invited.
    let invite = "invitation create --org acme ada@acme.example --role viewer";
    done(&world, invite);
    done(
        &world,
        "invitation create --org acme adam@acme.example --role viewer",
    );
    let listed = json(&world, "invitation list --org acme --email ada@");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let certificate = json(&world, "user erase ada@acme.example --yes");
    assert_eq!(certificate["users"], serde_json::json!([]));
    assert_eq!(certificate["rows"]["invitations"], 1);
    let audit = done(&world, "audit export --org acme");
    assert!(!audit.contains("\"ada@acme.example"), "{audit}");
    assert!(audit.contains("adam@acme.example"), "{audit}");
}

fn kind(one: &Value) -> &str {
    one["kind"].as_str().unwrap()
}

#[tokio::test]
async fn sessions_of_somebody_are_seen_and_ended() {
    let world = World::begin("sqlite").await;
    let ada = world.person("ada@weir.example").await;
    let client = world.signed_in(&ada).await;
    let sessions = json(&world, "user sessions ada@weir.example");
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    let ended = done(&world, "user sessions ada@weir.example --end --yes");
    assert_eq!(ended, "ended 1 session of ada@weir.example\n");
    client.get("/v1/me").assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_audit_is_filtered_and_exported() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    done(&world, "org update acme --name Other");
    let by_owner = json(&world, "audit list --org acme --actor owner@weir.example");
    // She is no member there, but has an account.
    assert_eq!(by_owner.as_array().unwrap().len(), 1);
    assert_eq!(by_owner[0]["action"], "organization.create");
    let nobody = "audit list --org acme --actor nobody@weir.example";
    let nobody = fails(&world, nobody, 1);
    assert!(
        nobody.contains("there is no nobody@weir.example"),
        "{nobody}"
    );
    let updates = json(&world, "audit list --org acme --action organization.update");
    assert_eq!(updates[0]["after"]["name"], "Other");
    let id = updates[0]["subject_id"].as_str().unwrap();
    let of_it = json(
        &world,
        &format!("audit list --org acme --subject {id} --since 1h"),
    );
    assert_eq!(of_it.as_array().unwrap().len(), 2);
    assert_eq!(
        json(&world, "audit list --org acme --until 2020-01-01"),
        serde_json::json!([])
    );

    let lines = done(&world, "audit export --org acme --since 2020-01-01");
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        serde_json::json!(entries),
        json(&world, "audit list --org acme --all")
    );
    let table = done(&world, "audit export --org acme --format csv");
    assert!(table.starts_with("sequence,at,action,"), "{table}");
}
