//! `weir org`, and what is said when something is refused.

use serde_json::json as value;
use weir_testkit::on_both_engines;

use super::{World, done, fails, json, run};

on_both_engines! {
    an_organization_lives_dies_and_comes_back,
}

async fn an_organization_lives_dies_and_comes_back(engine: &str) {
    let world = World::begin(engine).await;
    let made = json(&world, "org create acme --name Acme");
    let id = made["id"].as_str().unwrap();
    assert_eq!(json(&world, "org show acme"), made);
    assert_eq!(json(&world, &format!("org show {id}")), made);
    let settings =
        value!({ "branding": { "primary_color": "#aa0000" }, "features": { "beta": true } });
    world
        .weir
        .setup()
        .write("settings.json", settings.to_string());
    let file = world.weir.setup().path("settings.json");
    let line = format!("org update acme --name Acme2 --settings {}", file.display());
    let changed = json(&world, &line);
    assert_eq!(changed["name"], "Acme2");
    assert_eq!(changed["settings"]["features"]["beta"], true);
    let shown = done(&world, "org show acme");
    assert!(
        shown.contains("settings.branding.primary_color  #aa0000\n"),
        "{shown}"
    );

    let logo = world.weir.setup().path("logo");
    std::fs::write(&logo, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01").unwrap();
    let brand =
        "org brand acme --display-name Acme-Works --support mailto:help@acme.example --logo";
    let branded = json(&world, &format!("{brand} {}", logo.display()));
    let branding = &branded["settings"]["branding"];
    assert_eq!(branding["display_name"], "Acme-Works");
    assert_eq!(branding["primary_color"], "#aa0000");
    let shown = done(&world, "org show acme");
    assert!(
        shown.contains("data:image/png;base64, … (24 bytes)\n"),
        "{shown}"
    );
    let bare = json(
        &world,
        "org brand acme --primary-color #000000 --remove logo,display-name,support",
    );
    assert_eq!(
        bare["settings"]["branding"],
        value!({ "primary_color": "#000000" })
    );
    let said = fails(&world, "org brand acme --primary-color red", 1);
    assert!(said.contains("settings.branding.primary_color"), "{said}");
    assert_eq!(run(&world, "org brand acme").code, Some(2));

    done(&world, "org suspend acme --reason unpaid --yes");
    assert_eq!(json(&world, "org show acme")["suspension_reason"], "unpaid");
    assert_eq!(
        json(&world, "org list --suspended true")
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let table = done(&world, "org list --slug ac");
    let mut lines = table.lines();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines.next().unwrap()),
        ["SLUG", "NAME", "STATE", "CREATED", "ID"]
    );
    assert_eq!(
        words(lines.next().unwrap())[..3],
        ["acme", "Acme2", "suspended"]
    );
    assert_eq!(lines.next(), None);
    done(&world, "org resume acme");

    let deleted = done(&world, "org delete acme --yes");
    assert!(
        deleted.contains(&format!("`weir trash restore {id}`")),
        "{deleted}"
    );
    fails(&world, "org show acme", 1);
    done(&world, &format!("trash restore {id}"));
    assert_eq!(json(&world, "org show acme")["name"], "Acme2");
}

#[tokio::test]
async fn what_destroys_is_not_done_without_a_word() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    done(
        &world,
        "role create --org acme releaser --permission route:read",
    );
    done(
        &world,
        "invitation create --org acme a@b.example --role viewer",
    );
    let user = json(&world, "user create ada@b.example --name Ada");
    let id = user["id"].as_str().unwrap();
    let before = json(&world, "audit list --all");
    for line in [
        "org delete acme",
        "org suspend acme --reason x",
        "role delete --org acme releaser",
        "invitation revoke --org acme a@b.example",
        "user delete ada@b.example",
        "user suspend ada@b.example --reason x",
        "user erase ada@b.example",
        "user sessions ada@b.example --end",
        &format!("member remove --org acme {id}"),
        &format!("trash purge {id}"),
    ] {
        let said = fails(&world, line, 2);
        assert!(
            said.contains("there is no terminal to ask at"),
            "{line}: {said}"
        );
        assert!(said.contains("--yes"), "{line}: {said}");
        // For programs, too, it is the command line that lacks something.
        fails(&world, &format!("{line} --json"), 2);
    }
    assert_eq!(json(&world, "audit list --all"), before);
    assert_eq!(json(&world, "org show acme")["suspended_at"], value!(null));
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_where() {
    let world = World::begin("sqlite").await;
    world.organization("acme");
    insta::assert_snapshot!(fails(&world, "org create Not_A_Slug --name x", 1), @r"
    error: the admin listener takes it for invalid:
      slug: is 2 to 63 lower-case letters, digits and single hyphens, with none at its ends
    ");
    insta::assert_snapshot!(fails(&world, "org create acme --name x", 1), @r"
    error: Another one has this slug already.
      slug: is taken
    ");
    let missing = fails(&world, "org show nobody", 1);
    let none = "error: there is no organization nobody, or none that you may see: `weir org list` shows them\n";
    assert_eq!(missing, none);
    for line in [
        "member list --org nobody",
        "api-key create --org nobody import",
        "access-policy explain --org nobody a@b.example route:read",
    ] {
        assert_eq!(fails(&world, line, 1), none, "{line}");
    }
    // The organization is there, and not what lacks.
    let key = "api-key show --org acme key_01kc2q8r5nf0hb6x2v9w4t7zde";
    let absent = fails(&world, key, 1);
    assert!(absent.contains("has nothing at /v1/org"), "{absent}");
    let role = fails(
        &world,
        "invitation create --org acme a@b.example --role nope",
        1,
    );
    assert!(
        role.contains("acme has no role nope: `weir role list` shows"),
        "{role}"
    );
    // For programs the refusal is passed on as it came.
    let ran = run(&world, "org create acme --name x --json");
    assert_eq!(ran.code, Some(1));
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(problem["reason"], "taken");
    assert_eq!(problem["errors"][0]["pointer"], "/slug");
    // A name cannot lead to another path.
    fails(&world, "org show ../me", 1);
}

#[tokio::test]
async fn without_an_organization_the_command_line_is_not_understood() {
    let world = World::begin("sqlite").await;
    let said = fails(&world, "member list", 2);
    assert!(said.contains("--org <ORG>"), "{said}");
    let ran = super::run_with(&world, "member list", &[("WEIR_ORG", "platform")]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("owner@weir.example"), "{}", ran.stdout);
}
