//! `weir access-policy`.

use weir_testkit::on_both_engines;

use super::{World, done, fails, json, run, sign_in_as};

on_both_engines! {
    an_access_policy_is_made_changed_explained_and_deleted,
}

const OWNER: &str = "owner@weir.example";
const INSIDE: &str = "@id(\"changes from inside\")\nforbid (principal, action in Action::\"write\", resource)\n\
                      unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };\n";
const NOBODY: &str = "forbid (principal, action, resource);\n";

/// A file of rules, as an argument.
fn file(world: &World, text: &str) -> String {
    let name = "rules.cedar";
    world.weir.setup().write(name, text);
    world.weir.setup().path(name).display().to_string()
}

async fn an_access_policy_is_made_changed_explained_and_deleted(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    world.member(&acme, "admin").await;
    // Whoever may by a role on the platform is not kept out by an organization.
    let admin = format!("admin@{acme}.example").replace('_', "-");
    for (place, who) in [("", OWNER), (" --org acme", &admin)] {
        let inside = file(&world, INSIDE);
        let command = |action: &str| format!("access-policy {action}{place}");
        let create = format!("{} -f {inside}", command("create inside"));
        let missing = fails(
            &world,
            &format!("{} -f {inside}", command("update inside")),
            1,
        );
        assert!(
            missing.contains("there is no access policy inside"),
            "{missing}"
        );
        let made = json(&world, &create);
        assert_eq!(
            (&made["name"], &made["version"]),
            (&"inside".into(), &1.into())
        );
        let there = fails(&world, &create, 1);
        assert!(there.contains("`weir access-policy update`"), "{there}");
        let listed = done(&world, &command("list"));
        assert!(
            listed.contains("inside") && listed.contains("@id(\"changes from inside\") forbid"),
            "{listed}"
        );
        // What is shown is a file that says the same.
        let shown = done(&world, &command("show inside"));
        assert!(shown.starts_with("// inside (acp_"), "{shown}");
        assert!(shown.ends_with(INSIDE), "{shown}");
        let again = file(&world, &shown);
        let changed = json(&world, &format!("{} -f {again}", command("update inside")));
        assert_eq!(changed["version"], 2);

        let question = command(&format!("explain {who} role:write"));
        let denied = run(&world, &format!("{question} --address 192.0.2.1"));
        assert_eq!(denied.code, Some(1), "{}", denied.stderr);
        assert_eq!(
            denied.stdout,
            format!("denied: {who} role:write (a rule forbids it)\n  changes from inside\n")
        );
        let allowed = format!("{question} --address 10.1.2.3 --strength two_factor --risk 10");
        assert_eq!(json(&world, &allowed)["allowed"], true);
        // An address that is not known cannot be looked at, which denies.
        let unknown = run(&world, &question);
        assert_eq!(unknown.code, Some(1));
        assert!(
            unknown.stdout.contains("a rule cannot be evaluated")
                || unknown.stdout.contains("a rule forbids it"),
            "{}",
            unknown.stdout
        );
        done(&world, &format!("{} --yes", command("delete inside")));
        fails(&world, &command("show inside"), 1);
    }
}

#[tokio::test]
async fn mistakes_are_said_with_their_place_and_nobody_locks_themselves_out() {
    let world = World::begin("sqlite").await;
    let mistaken = file(
        &world,
        "forbid (principal, action, resource) when { context.rsik > 5 };",
    );
    let said = fails(&world, &format!("access-policy create x1 -f {mistaken}"), 1);
    assert!(
        said.contains("line 1, column 45") && said.contains("rsik"),
        "{said}"
    );
    sign_in_as(&world, OWNER);
    let nobody = file(&world, NOBODY);
    let create = format!("access-policy create nobody -f {nobody}");
    let said = fails(&world, &create, 1);
    assert!(said.contains("keep you yourself"), "{said}");
    done(&world, &format!("{create} --force"));
    fails(&world, "access-policy list", 1);
    // The operator is kept out by nothing.
    done(&world, "logout");
    done(&world, "access-policy delete nobody --yes");
}

#[tokio::test]
async fn who_may_not_see_policies_is_told_which_right_it_takes() {
    let world = World::begin("sqlite").await;
    let acme = world.organization("acme");
    world.member(&acme, "viewer").await;
    sign_in_as(&world, &format!("viewer@{acme}.example").replace('_', "-"));
    let rules = file(&world, NOBODY);
    for line in [
        format!("access-policy create --org acme nobody -f {rules}"),
        format!("access-policy create nobody -f {rules}"),
    ] {
        let said = fails(&world, &line, 1);
        assert!(said.contains("access_policy:write"), "{line}: {said}");
    }
}
