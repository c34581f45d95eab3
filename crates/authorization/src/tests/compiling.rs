use super::*;
use crate::{Domain, LARGEST_TEXT, MOST_RULES};

#[test]
fn syntax_errors_are_said_with_their_place() {
    insta::assert_snapshot!(faults(
        "permit (principal, action, resource);\n\
         permit (principal, action);\n\
         forbid (principal, action, resource) when { context.risk > };\n\
         allow (principal, action, resource);\n"
    ));
    insta::assert_snapshot!(faults(
        "permit (principal, action, resource) when { \"é\" = 1 };"
    ));
    insta::assert_snapshot!(faults("permit (principal, action, resource)"));
}

#[test]
fn what_there_is_not_is_refused_when_it_is_saved() {
    insta::assert_snapshot!(faults(
        r#"
permit (principal, action, resource) when { principal.email == "ada@example.com" };
permit (principal, action == Action::"PATC", resource);
permit (principal is Person, action, resource);
permit (principal, action, resource) when { context.rsik < 50 };
permit (principal, action, resource) when { principal.tenant == "acme" };
permit (principal, action, resource) when { context.risk == "low" };
permit (principal, action, resource) when { context.address.isInRange(ip("10.0.0.0/99")) };
permit (principal, action, resource) when { principal.getTag("plan") == "gold" };
permit (principal, action, resource) when { principal.scopes.contains(1) };
permit (principal == Route::"items", action, resource);
"#
    ));
}

#[test]
fn rules_that_mislead_are_refused() {
    insta::assert_snapshot!(faults(
        "@id(\"a\") permit (principal, action, resource);\n\
         @id(\"a\") forbid (principal, action, resource);\n\
         permit (principal == ?principal, action, resource);\n\
         @id(\"\") permit (principal, action, resource);"
    ));
    insta::assert_snapshot!(faults(
        "permit (principal, action, resource) when { principal.id == \"ada\u{202e}nimda\" };\n\
         permit (principal, action, resource) when { context.risk > 5 && false };"
    ));
}

#[test]
fn names_in_any_script_are_no_mistake() {
    assert_eq!(
        faults("permit (principal == User::\"Юлия Smith\", action, resource);"),
        ""
    );
}

#[test]
fn texts_and_rules_have_their_limits() {
    let rule = "permit (principal, action, resource);";
    let most = rule.repeat(MOST_RULES);
    assert_eq!(requests(&most).rules().len(), MOST_RULES);
    assert_eq!(
        faults(&rule.repeat(MOST_RULES + 3)).lines().next().unwrap(),
        "shop.cedar:1:37001: there are more than 1000 rules"
    );
    let largest = " ".repeat(LARGEST_TEXT);
    assert_eq!(faults(&largest), "");
    assert!(faults(&format!("{largest} ")).contains("the text has more than 65536 bytes"));
}

// Each of these ended the process by a stack overflow.
#[test]
fn what_is_too_deep_is_refused_before_it_is_parsed() {
    for condition in [
        format!("{}true{}", "(".repeat(60), ")".repeat(60)),
        format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000)),
        "(".repeat(60_000),
        vec!["true"; 8000].join("&&"),
        vec!["true"; 8000].join("||"),
        vec!["1"; 20_000].join("+"),
        format!("principal{}", ".id".repeat(20_000)),
        format!("{}true", "if true then true else ".repeat(2000)),
        format!("{}true", "!".repeat(60_000)),
        format!("{}1 > 0", "-".repeat(60_000)),
    ] {
        let said = faults(&format!(
            "permit (principal, action, resource) when {{ {condition} }};"
        ));
        let is_refused = said.contains("brackets are open") || said.contains("operators");
        assert!(is_refused, "{condition:.30}: {said}");
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_count() {
    let text = format!(
        "// {}\npermit (principal, action, resource) when {{ principal.id == \"\\\"{}\" }};",
        "(".repeat(100),
        "(.".repeat(1000),
    );
    assert_eq!(faults(&text), "");
}

#[test]
fn rules_know_where_they_stand() {
    let sources = [
        Source {
            name: "one",
            text: "// first\n\npermit (principal, action, resource);\n@id(\"x\")\nforbid (principal, action, resource) when { context.risk > 5 };",
        },
        Source {
            name: "two",
            text: "permit (principal, action, resource);\npermit (principal, action, resource);",
        },
    ];
    let rules = compile(&sources, &Schema::requests().unwrap()).unwrap_or_else(|_| panic!());
    let rules: Vec<_> = rules
        .rules()
        .into_iter()
        .map(|rule| {
            (
                rule.name.to_string(),
                rule.policy.to_string(),
                rule.line,
                rule.forbids,
            )
        })
        .collect();
    let expected = [
        ("one:1", "one", 3, false),
        ("x", "one", 4, true),
        ("two:1", "two", 1, false),
        ("two:2", "two", 2, false),
    ];
    let expected = expected
        .map(|(name, policy, line, forbids)| (name.to_owned(), policy.to_owned(), line, forbids));
    assert_eq!(rules, expected);
}

#[test]
fn all_faults_of_all_policies_are_said_at_once() {
    let sources = [
        Source {
            name: "one",
            text: "permit;",
        },
        Source {
            name: "two",
            text: "forbid;",
        },
    ];
    let faults = compile(&sources, &Schema::requests().unwrap())
        .err()
        .unwrap();
    let named: Vec<_> = faults.iter().map(|fault| fault.policy.as_str()).collect();
    assert_eq!(named, ["one", "two"]);
}

#[test]
fn schemas_are_printed_as_they_are_read() {
    let schema = Schema::requests().unwrap();
    assert_eq!(schema.domain(), Domain::Requests);
    assert!(
        schema
            .text()
            .contains("entity User, ApiKey, Client, Certificate, Anonymous")
    );
    let schema = Schema::administration(["user:read", "user:erase"]).unwrap();
    assert!(schema.text().contains("action \"user:erase\" in [write]"));
    assert!(Schema::administration(["x\" {"]).is_ok(), "quoted");
}
