use super::requests;
use crate::Fact;

fn facts(condition: &str) -> Vec<Fact> {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let rules = requests(&text);
    let read = |fact: &Fact| rules.uses().reads(*fact);
    Fact::ALL.into_iter().filter(read).collect()
}

#[test]
fn what_is_read_of_the_context_is_known() {
    assert_eq!(facts("principal.scopes.contains(\"a\")"), []);
    assert_eq!(
        facts("context.risk > 5 || context.level < 2"),
        [Fact::Strength, Fact::Risk]
    );
    assert_eq!(
        facts("context.time.toTime() > duration(\"1h\")"),
        [Fact::Time]
    );
    assert_eq!(facts("context.weekday > 5"), [Fact::Time]);
    assert_eq!(
        facts("context has tenant && context.tenant == \"a\""),
        [Fact::Tenant]
    );
    assert_eq!(
        facts(
            "if context.address.isLoopback() then true else [context.path].contains({a: context.host}.a)"
        ),
        [Fact::Address, Fact::Path, Fact::Host]
    );
    assert_eq!(facts("context.method like \"G*\""), [Fact::Method]);
}

#[test]
fn whoever_passes_the_context_on_reads_all_of_it() {
    assert_eq!(
        facts("(if true then context else context).risk > 1"),
        Fact::ALL
    );
    assert_eq!(facts("context == context"), Fact::ALL);
}

#[test]
fn what_is_read_of_principals_is_known() {
    let rules = requests(
        "permit (principal, action, resource) unless { principal.hasTag(\"a\") || resource.name == \"x\" };",
    );
    assert!(rules.uses().reads_claims() && rules.uses().reads_attribute("name"));
    assert!(!rules.uses().reads_attribute("roles"));
    let rules = requests("permit (principal, action, resource) when { principal has tenant };");
    assert!(rules.uses().reads_attribute("tenant") && !rules.uses().reads_claims());
    let rules = requests("permit (principal, action, resource);");
    assert!(!rules.uses().reads_attribute("id") && !rules.uses().reads_claims());
}
