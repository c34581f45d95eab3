//! Templates: what they make, what bounds them, and what is wrong with them.

use std::time::{Duration, Instant};

use super::template;
use crate::{Escape, Program, Stop};

#[test]
fn templates_make_text() {
    let body = r#"{"name":"<b>","items":[{"n":1},{"n":2.5}],"none":null}"#;
    let json = r#"{"name": {{ body.name }}, "all": [{% for i in body["items"] %}{{ i.n }}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
    assert_eq!(
        template(json, Escape::Json, body).expect("text"),
        r#"{"name": "<b>", "all": [1,2.5]}"#
    );
    assert_eq!(
        template("<p>{{ body.name }}</p>", Escape::Html, body).expect("text"),
        "<p>&lt;b&gt;</p>"
    );
    assert_eq!(
        template(
            "{{ body.name | upper | replace(\"B\", \"x\") }}",
            Escape::None,
            body
        )
        .expect("text"),
        "<x>"
    );
    assert_eq!(
        template(
            "{{ body[\"items\"] | map(attribute=\"n\") | join(\"+\") }}",
            Escape::None,
            body
        )
        .expect("text"),
        "1+2.5"
    );
    assert_eq!(
        template("{{ body.missing | default(\"-\") }}", Escape::None, body).expect("text"),
        "-"
    );
    assert!(
        matches!(template("\n{{ body.missing.x }}", Escape::None, body), Err(Stop::Failed(message)) if message.contains("line 2"))
    );
}

#[test]
fn templates_are_bounded() {
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 99999999 }}",
        "{{ ([body] * 1000000) | tojson }}",
        "{% set a = body | tojson %}{{ ([a] * 1000000) | join(',') }}",
        "{{ ([body] * 1000000) | map('tojson') | list | length }}",
        "{% for a in range(99999) %}{{ body | tojson }}{{ body | tojson }}{{ body | tojson }}{% endfor %}",
        "{{ ('a' * 9999) | replace('a', 'b' * 9999) }}",
        "{{ ('a' * 9999) | replace('', 'b' * 9999) }}",
    ] {
        let begun = Instant::now();
        let outcome = template(source, Escape::None, r#"{"a":[1,2,3]}"#);
        assert!(
            outcome.is_err(),
            "{source}: {}",
            outcome.unwrap_or_default().len()
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{source}");
    }
    for source in [
        "{% for a in [1] recursive %}{{ loop([a]) }}{% endfor %}",
        "{%- for a in ['ab'] recursive -%}{{ loop([a ~ a ~ a ~ a ~ a]) }}{% endfor %}",
        "{% set a %}{% for b in range(99999) %}{{ body }}{% endfor %}{% endset %}",
        "{% filter upper %}a{% endfilter %}",
        "{% macro f() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{%- for a in ['%}'] recursive -%}{{ loop([a]) }}{% endfor %}",
        "{% if false %}{% set a %}{% endset %}{% endif %}",
        "{% for %}",
        "a\n{{ body.",
    ] {
        let outcome = Program::template(source, Escape::None);
        assert!(outcome.is_err(), "{source}");
    }
    let faults = Program::template("a\n{{ body. }}", Escape::None).expect_err("a fault");
    assert_eq!(faults[0].at, Some(11), "{faults:?}");
}

#[test]
fn names_that_nothing_has_are_found_wherever_they_stand() {
    let fault = |source: &str| {
        let faults = Program::template(source, Escape::None).expect_err(source);
        (faults[0].at, faults[0].message.clone())
    };
    for (source, at, message) in [
        ("{{ 1 | nothing }}", 7, "filter `nothing`"),
        (
            "{% if body.rare %}{{ body.x | upper | shout }}{% endif %}",
            38,
            "filter `shout`",
        ),
        (
            "{% for a in body %}{% else %}{{ a is odd and a is seven }}{% endfor %}",
            50,
            "test `seven`",
        ),
        ("{{ {'a': [now()]} }}", 10, "function `now`"),
        ("{{ namespace() }}", 3, "function `namespace`"),
        ("{{ body.a[fetch('x')] }}", 10, "function `fetch`"),
        ("{{ body | map('nothing') }}", 14, "filter `nothing`"),
        (
            "{{ body | map('plain tojson') }}",
            14,
            "filter `plain tojson`",
        ),
        ("{{ body | select('nothing') }}", 17, "test `nothing`"),
        (
            "{{ body | selectattr('a', 'nothing') }}",
            26,
            "test `nothing`",
        ),
        ("{{ body | indent(4) }}", 10, "filter `indent`"),
    ] {
        let found = fault(source);
        assert_eq!(
            found,
            (Some(at), format!("there is no {message}")),
            "{source}"
        );
    }
    for source in [
        "{% set f = range %}{% for a in f(3) %}{{ a }}{% endfor %}",
        "{{ body | map(attribute='a') | select | selectattr('b') | list | length }}",
        "{{ body | map('upper') | reject('odd') | rejectattr('a', 'eq', 1) | first }}",
        "{{ body.items() | list if body is mapping else dict(a=1) | tojson }}",
        "{{ body.a | default('x') is not none }}",
    ] {
        assert!(Program::template(source, Escape::None).is_ok(), "{source}");
    }
}
