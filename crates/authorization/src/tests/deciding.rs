use std::net::IpAddr;

use jiff::Timestamp;

use super::*;
use crate::Reason;

const ALLOW_ALL: &str = "@id(\"all\") permit (principal, action, resource);";

fn is_allowed(condition: &str, question: &Question<'_>) -> bool {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let decision = requests(&text).decide(question);
    assert_eq!(decision.errors, [], "{condition}");
    decision.allowed
}

#[test]
fn nothing_is_allowed_that_no_rule_permits() {
    let decision = requests("").decide(&question());
    assert!(!decision.allowed);
    assert_eq!(decision.reason, Reason::NoPermit);
    let other = requests("permit (principal == User::\"eve\", action, resource);");
    assert_eq!(other.decide(&question()).reason, Reason::NoPermit);
}

#[test]
fn one_rule_that_forbids_outweighs_all_that_permit() {
    let rules = requests(
        r#"
        @id("all") permit (principal, action, resource);
        @id("clerks") permit (principal, action, resource) when { principal.roles.contains("clerk") };
        @id("closed") forbid (principal, action, resource == Route::"items");
        "#,
    );
    let decision = rules.decide(&question());
    assert!(!decision.allowed);
    assert_eq!(decision.reason, Reason::Forbidden);
    assert_eq!(determining(&decision), ["closed"]);
}

#[test]
fn the_rules_that_permit_are_named_in_their_order() {
    let rules = requests(
        r#"
        @id("z") permit (principal, action, resource);
        permit (principal, action == Action::"GET", resource);
        permit (principal, action == Action::"POST", resource);
        @id("a") permit (principal is User, action in Action::"read", resource is Route);
        "#,
    );
    let decision = rules.decide(&question());
    assert_eq!(determining(&decision), ["z", "shop.cedar:2", "a"]);
    assert_eq!(decision.reason, Reason::Permitted);
}

// Cedar passes over a rule that fails, so that a prohibition would be gone with it.
#[test]
fn a_rule_that_cannot_be_evaluated_denies() {
    let rules = requests(
        r#"
        @id("all") permit (principal, action, resource);
        @id("broken") forbid (principal, action, resource)
        when { context.risk * 9223372036854775807 > 10 };
        "#,
    );
    let risky = Question {
        risk: 100,
        ..question()
    };
    let decision = rules.decide(&risky);
    assert!(!decision.allowed);
    assert_eq!(decision.reason, Reason::Failed);
    assert_eq!(decision.determining, []);
    assert_eq!(decision.errors[0].rule.as_deref(), Some("broken"));
    assert!(decision.errors[0].message.contains("overflow"));
    assert!(rules.decide(&question()).allowed, "0 does not overflow");
}

#[test]
fn without_an_address_a_rule_that_reads_it_denies_and_no_other() {
    let nowhere = Question {
        address: None,
        ..question()
    };
    assert!(requests(ALLOW_ALL).decide(&nowhere).allowed);
    let rules = requests(
        "@id(\"all\") permit (principal, action, resource);
         @id(\"outside\") forbid (principal, action, resource)
         unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };",
    );
    let decision = rules.decide(&nowhere);
    assert_eq!(decision.reason, Reason::Failed);
    assert_eq!(decision.errors[0].rule.as_deref(), Some("outside"));
    assert!(rules.decide(&question()).allowed);
}

#[test]
fn addresses_are_compared_by_what_they_are() {
    let from = |address: &str| Question {
        address: Some(address.parse::<IpAddr>().unwrap()),
        ..question()
    };
    let inside = "context.address.isInRange(ip(\"10.0.0.0/8\"))";
    assert!(is_allowed(inside, &from("10.255.255.255")));
    assert!(is_allowed(inside, &from("::ffff:10.0.0.1")));
    assert!(!is_allowed(inside, &from("11.0.0.0")));
    assert!(!is_allowed(inside, &from("::10.0.0.1")));
    assert!(is_allowed(
        "context.address.isInRange(ip(\"2001:db8::/32\"))",
        &from("2001:db8::1")
    ));
    assert!(is_allowed("context.address.isLoopback()", &from("::1")));
}

#[test]
fn time_windows_begin_and_end_to_the_millisecond() {
    let at = |now: &str| Question {
        now: now.parse().unwrap(),
        ..question()
    };
    let hours =
        "context.time.toTime() >= duration(\"9h\") && context.time.toTime() < duration(\"17h\")";
    assert!(!is_allowed(hours, &at("2026-01-01T08:59:59.999999Z")));
    assert!(is_allowed(hours, &at("2026-01-01T09:00:00Z")));
    assert!(is_allowed(hours, &at("2026-01-01T16:59:59.999Z")));
    assert!(!is_allowed(hours, &at("2026-01-01T17:00:00Z")));
    let work = "context.weekday <= 5";
    assert!(is_allowed(work, &at("2026-01-02T23:59:59Z")), "a Friday");
    assert!(!is_allowed(work, &at("2026-01-03T00:00:00Z")), "a Saturday");
    let until = "context.time < datetime(\"2026-01-01T12:00:00Z\")";
    assert!(is_allowed(until, &at("2026-01-01T11:59:59.999Z")));
    assert!(!is_allowed(until, &at("2026-01-01T12:00:00Z")));
    assert!(is_allowed(
        "context.time < datetime(\"2026-01-01\")",
        &at("1965-07-01T00:00:00Z")
    ));
}

#[test]
fn claims_are_tags() {
    let gold = "principal.hasTag(\"plan\") && principal.getTag(\"plan\") == \"gold\"";
    assert!(is_allowed(gold, &question()));
    let mut plain = question();
    plain.principal.claims = &[("plan", "lead"), ("plan ", "gold")];
    assert!(!is_allowed(gold, &plain));
    plain.principal.claims = &[];
    assert!(!is_allowed(gold, &plain));
}

#[test]
fn principals_resources_and_context_are_what_was_asked() {
    for condition in [
        "principal == User::\"ada\"",
        "principal.id == \"ada\"",
        "!(principal has issuer)",
        "principal has tenant && principal.tenant == \"acme\"",
        "principal has tenant && resource has tenant && principal.tenant == resource.tenant",
        "principal.scopes.contains(\"items:read\") && !principal.scopes.contains(\"items:write\")",
        "principal.roles.containsAny([\"clerk\", \"chief\"])",
        "action == Action::\"GET\" && action in Action::\"read\" && !(action in Action::\"write\")",
        "resource == Route::\"items\" && resource.name == \"items\" && resource.path == \"/items/*\"",
        "!(resource has host)",
        "context.method == \"GET\" && context.host == \"api.example.com\"",
        "context.path like \"/items/*\" && !(context.path like \"/items/*/*\")",
        "context.strength == \"password\" && context.level == 1 && context.risk == 0",
        "context has tenant && context.tenant == \"acme\"",
        // The principal, reached by its name rather than as `principal`.
        "User::\"ada\".roles.contains(\"clerk\")",
        "(if true then context else context).method == \"GET\"",
    ] {
        assert!(is_allowed(condition, &question()), "{condition}");
    }
}

#[test]
fn equal_names_of_two_issuers_are_two_principals() {
    let mut foreign = question();
    foreign.principal.kind = Kind::Client;
    foreign.principal.issuer = Some("https://issuer.example");
    let named = "principal == Client::\"https://issuer.example|ada\"";
    assert!(is_allowed(named, &foreign));
    assert!(!is_allowed("principal == Client::\"ada\"", &foreign));
    foreign.principal.issuer = Some("https://other.example");
    assert!(!is_allowed(named, &foreign));
    assert!(is_allowed(
        "principal has issuer && principal.issuer like \"https://other.*\"",
        &foreign
    ));
}

#[test]
fn methods_that_nobody_knows_count_as_writing() {
    let text = "permit (principal, action in Action::\"write\", resource);";
    let rules = requests(text);
    for method in [
        "POST", "DELETE", "PROPFIND", "get", "", "read", "GET ", "other", "\0",
    ] {
        let asked = Question {
            target: request(method, "/"),
            ..question()
        };
        assert!(rules.decide(&asked).allowed, "{method:?}");
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        let asked = Question {
            target: request(method, "/"),
            ..question()
        };
        assert!(!rules.decide(&asked).allowed, "{method:?}");
    }
}

#[test]
fn what_callers_send_is_never_read_as_cedar() {
    let rules = requests(
        r#"
        permit (principal == User::"ada", action, resource);
        permit (principal, action, resource) when { principal.hasTag("plan") && principal.getTag("plan") == "gold" };
        permit (principal, action, resource) when { principal.scopes.contains("items:read") || context.path == "/open" };
        "#,
    );
    let long = "a".repeat(1 << 20);
    for hostile in [
        "ada\" || true || \"",
        "ada\"; permit (principal, action, resource);",
        "User::\"ada\"",
        "ada\0",
        "\\\"ada",
        "ada|",
        "*",
        "\u{202e}ada",
        "${ada}",
        "\n",
        "",
        &long,
    ] {
        let claims = [("plan", hostile), (hostile, "gold")];
        let scopes = [hostile];
        let asked = Question {
            principal: Principal {
                kind: Kind::User,
                id: hostile,
                issuer: None,
                tenant: Some(hostile),
                name: Some(hostile),
                scopes: &scopes,
                roles: &scopes,
                permissions: &scopes,
                claims: &claims,
            },
            target: request("GET", hostile),
            ..question()
        };
        let decision = rules.decide(&asked);
        assert_eq!(decision.reason, Reason::NoPermit, "{hostile:.40?}");
        assert_eq!(decision.errors, []);
    }
}

#[test]
fn times_that_cedar_has_not_deny_where_they_are_read() {
    let past = Question {
        now: Timestamp::MIN,
        ..question()
    };
    assert!(requests(ALLOW_ALL).decide(&past).allowed);
    let text = "permit (principal, action, resource) when { context.weekday < 8 };";
    let decision = requests(text).decide(&past);
    assert_eq!(decision.reason, Reason::Failed);
    assert_eq!(decision.errors[0].rule, None);
}

#[test]
fn the_deepest_rules_that_compile_can_be_asked() {
    let ifs = [
        "if context.risk > 100 then false else ".repeat(190),
        "true".into(),
    ];
    let sum = vec!["1"; 390].join("+");
    let conditions = [
        ifs.concat(),
        format!("{sum} == 390"),
        vec!["context.risk == 0"; 190].join(" && "),
        format!("{}true{}", "(".repeat(29), ")".repeat(29)),
        format!(
            "{}true{}",
            "if true then ".repeat(390),
            " else false".repeat(390)
        ),
    ];
    for condition in conditions {
        assert!(is_allowed(&condition, &question()), "{condition:.60}");
    }
}

#[test]
fn a_question_of_the_other_schema_is_denied() {
    let asked = Question {
        target: administration("route:read"),
        ..question()
    };
    let decision = requests(ALLOW_ALL).decide(&asked);
    assert_eq!(decision.reason, Reason::Failed);
    assert_eq!(decision.errors[0].rule, None);
}

#[test]
fn permissions_are_asked_for_where_they_are_needed() {
    let schema = Schema::administration(["route:read", "route:write"]).unwrap();
    let text = r#"
        @id("roles") permit (principal, action, resource)
        when { principal.permissions.contains(context.permission) };
        @id("from home") forbid (principal, action in Action::"write", resource)
        unless { context.address.isInRange(ip("10.0.0.0/8")) };
        @id("eve") forbid (principal == User::"eve", action == Action::"route:read", resource is Organization)
        when { resource.slug == "acme" && context has tenant && context.tenant == resource.id };
    "#;
    let source = Source {
        name: "admin.cedar",
        text,
    };
    let rules = compile(&[source], &schema).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let ask = |id, permission, address: &str| {
        let decision = rules.decide(&Question {
            principal: Principal {
                kind: Kind::User,
                id,
                permissions: &["route:read", "route:write"],
                ..Principal::default()
            },
            target: administration(permission),
            address: address.parse().ok(),
            ..question()
        });
        assert_eq!(decision.errors, []);
        determining(&decision).join(",")
    };
    assert_eq!(ask("ada", "route:write", "10.0.0.1"), "roles");
    assert_eq!(ask("ada", "route:write", "192.0.2.1"), "from home");
    assert_eq!(ask("ada", "route:read", "192.0.2.1"), "roles");
    assert_eq!(ask("eve", "route:read", "10.0.0.1"), "eve");
    assert_eq!(ask("ada", "route:delete", "10.0.0.1"), "");
}
