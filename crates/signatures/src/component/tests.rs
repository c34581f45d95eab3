use super::*;

#[test]
fn what_configuration_names_is_read_or_refused_with_what_may_be_there() {
    for text in [
        "@method",
        "content-type",
        "@query-param;name=\"id\"",
        "cache-control;key=\"max-age\"",
    ] {
        assert!(RequiredComponent::parse(text).is_ok(), "{text}");
    }
    let cases = [
        "",
        "@status",
        "@nonsense",
        "Content-Type",
        "a b",
        "\"@method\"",
        "@query-param",
        "@query-param;name=id",
        "@query-param;key=\"id\"",
        "x;tr",
        "x;sf",
        "x;key=\"a\";sf",
        "@path;name=\"a\"",
        "x;key=\"a",
        "x;",
    ];
    for text in cases {
        let error = RequiredComponent::parse(text).unwrap_err().to_string();
        assert!(error.contains("@target-uri"), "{text}: {error}");
    }
}

#[test]
fn what_holds_all_of_a_component_covers_it() {
    let covers = |covered: &str, asked: &str| {
        let component = Component {
            name: Cow::Borrowed(StringRef::from_str(covered).unwrap()),
            parameters: SmallVec::new(),
        };
        RequiredComponent::parse(asked)
            .unwrap()
            .is_covered(&[component])
    };
    assert!(covers("@path", "@path"));
    for asked in [
        "@scheme",
        "@authority",
        "@request-target",
        "@path",
        "@query",
    ] {
        assert!(covers("@target-uri", asked), "{asked}");
        assert!(!covers(asked, "@target-uri"), "{asked}");
    }
    assert!(covers("@target-uri", "@query-param;name=\"a\""));
    assert!(covers("@query", "@query-param;name=\"a\""));
    assert!(!covers("@query", "@path"));
    assert!(covers("priority", "priority;key=\"u\""));
    assert!(!covers("@authority", "@scheme"));
}
