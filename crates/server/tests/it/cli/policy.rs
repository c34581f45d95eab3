//! `weir policy test`, `check` and `schema`

use super::Workspace;

const SHOP: &str = r#"// Who may do what with items.
@id("readers")
permit (principal, action in Action::"read", resource == Route::"items")
when { principal.scopes.contains("items:read") };

@id("gold")
permit (principal is Client, action, resource)
when { principal.hasTag("plan") && principal.getTag("plan") == "gold" };

@id("from home")
forbid (principal, action in Action::"write", resource)
unless { context.address.isInRange(ip("10.0.0.0/8")) };

forbid (principal, action, resource)
when { context.risk * 100000000000000000 > 1 && context.level < 3 };
"#;

const CASES: &str = "\
cases:
  - name: readers read
    as: user:ada
    scopes: [items:read]
    method: GET
    path: /items/1
    route: items
    expect: allowed
    rule: readers
  - name: gold customers write from home
    as: client:eve
    issuer: https://issuer.example
    claims: { plan: gold }
    method: POST
    address: 10.1.2.3
    time: 2026-01-01T12:00:00Z
    strength: token
    expect: allowed
  - name: and from nowhere else
    as: client:eve
    claims: { plan: gold }
    method: POST
    address: 192.0.2.1
    expect: denied
    rule: from home
";

const ADA: [&str; 10] = [
    "--as",
    "user:ada",
    "--scope",
    "items:read",
    "--path",
    "/items/1",
    "--route",
    "items",
    "--time",
    "2026-01-01T00:00:00Z",
];

fn shop() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("shop.cedar", SHOP);
    workspace.write("cases.yaml", CASES);
    workspace
}

fn test(workspace: &Workspace, arguments: &[&str]) -> super::Ran {
    let mut all = vec!["policy", "test", "shop.cedar"];
    all.extend(ADA);
    all.extend(arguments);
    workspace.run(&all)
}

#[test]
fn the_rules_that_decide_are_named_with_their_place() {
    let shop = shop();
    let allowed = test(&shop, &["--method", "GET"]);
    insta::assert_snapshot!("policy-test-allowed", allowed.transcript());
    let forbidden = test(&shop, &["--method", "POST", "--address", "192.0.2.1"]);
    insta::assert_snapshot!("policy-test-forbidden", forbidden.transcript());
    let failed = test(&shop, &["--risk", "100"]);
    insta::assert_snapshot!("policy-test-failed", failed.transcript());
    for (who, said) in [
        ("user:", "as in `user:ada`"),
        ("key", "`key:ada`"),
        ("anonymous:x", "nobody has no name"),
    ] {
        let ran = shop.run(&["policy", "test", "shop.cedar", "--as", who]);
        assert_eq!(ran.code, Some(2), "{who}");
        assert!(ran.stderr.contains(said), "{who}: {}", ran.stderr);
    }
    let none = test(&shop, &["--route", "other"]);
    assert_eq!(none.code, Some(2), "an option that is given twice");
}

#[test]
fn programs_get_the_decision() {
    let ran = test(
        &shop(),
        &["--method", "POST", "--address", "192.0.2.1", "--json"],
    );
    assert_eq!(ran.code, Some(1));
    let decision = ran.json();
    assert_eq!(decision["allowed"], false);
    assert_eq!(decision["reason"], "forbidden");
    assert_eq!(decision["rules"][0]["name"], "from home");
    assert_eq!(decision["rules"][0]["line"], 10);
}

#[test]
fn cases_that_come_out_otherwise_are_listed() {
    let shop = shop();
    let ran = shop.run(&["policy", "test", "shop.cedar", "--cases", "cases.yaml"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "3 cases, 0 failed\n"),
        "{}",
        ran.transcript()
    );
    shop.write(
        "cases.yaml",
        &CASES
            .replace("10.1.2.3", "11.1.2.3")
            .replace("rule: from home", "rule: gold"),
    );
    let ran = shop.run(&["policy", "test", "shop.cedar", "--cases", "cases.yaml"]);
    insta::assert_snapshot!("policy-cases", ran.transcript());
    let ran = shop.run(&[
        "policy",
        "test",
        "shop.cedar",
        "--cases",
        "cases.yaml",
        "--json",
    ]);
    assert_eq!((ran.code, &ran.json()["failed"]), (Some(1), &2.into()));
}

#[test]
fn cases_that_cannot_be_understood_are_refused() {
    let shop = shop();
    for (cases, said) in [
        ("cases: []", "has no cases"),
        ("questions: []", "has no list `cases`"),
        ("cases: [{ name: x, expect: maybe }]", "case 1"),
        (
            "cases: [{ name: x, expect: denied, scope: [a] }]",
            "unknown field `scope`",
        ),
        (
            "cases: [{ name: x, expect: denied, as: ada }]",
            "write it as `user:ada`",
        ),
        (
            "cases: [{ name: x, expect: denied, strength: iron }]",
            "a strength is one of",
        ),
    ] {
        shop.write("cases.yaml", cases);
        let ran = shop.run(&["policy", "test", "shop.cedar", "--cases", "cases.yaml"]);
        assert_eq!(ran.code, Some(1), "{cases}");
        assert!(ran.stderr.contains(said), "{cases}: {}", ran.stderr);
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let shop = shop();
    let ran = shop.run(&["policy", "check", "shop.cedar"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "shop.cedar can be used: 4 rules\n")
    );
    shop.write(
        "shop.cedar",
        &SHOP
            .replace("context.risk", "context.rsik")
            .replace("scopes", "scope"),
    );
    insta::assert_snapshot!(
        "policy-check",
        shop.run(&["policy", "check", "shop.cedar"]).transcript()
    );
    let ran = shop.run(&["policy", "check", "shop.cedar", "--json"]);
    let mistakes = ran.json();
    assert_eq!(
        (&mistakes[0]["line"], &mistakes[0]["column"]),
        (&4.into(), &8.into())
    );
    let ran = test(&shop, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("shop.cedar:4:8"),
        "{}",
        ran.transcript()
    );
}

#[test]
fn policies_of_the_admin_api_are_about_permissions() {
    let workspace = Workspace::new();
    workspace.write(
        "admin.cedar",
        "@id(\"roles\") permit (principal, action, resource) when { principal.permissions.contains(context.permission) };
         @id(\"strong\") forbid (principal, action == Action::\"user:erase\", resource is Platform) unless { context.level == 3 };",
    );
    let ask = |strength: &str| {
        let arguments = [
            "policy",
            "test",
            "admin.cedar",
            "--admin-api",
            "--as",
            "user:ada",
            "--permission",
            "user:erase",
            "--grant",
            "user:erase",
            "--strength",
            strength,
        ];
        let ran = workspace.run(&arguments);
        (ran.code, ran.stdout)
    };
    let (code, said) = ask("password");
    assert_eq!(code, Some(1));
    assert!(said.contains("forbid strong, admin.cedar:2"), "{said}");
    assert_eq!(ask("two_factor").0, Some(0));
    let ran = workspace.run(&["policy", "test", "admin.cedar", "--admin-api"]);
    assert!(
        ran.stderr.contains("say which permission"),
        "{}",
        ran.transcript()
    );
    let schema = workspace.run(&["policy", "schema", "--admin-api"]).stdout;
    assert!(
        schema.contains("action \"user:erase\" in [write]"),
        "{schema}"
    );
    let schema = workspace.run(&["policy", "schema"]).stdout;
    assert!(schema.contains("entity Route"), "{schema}");
}
