//! Policies that change bodies: their mistakes have a place.

use std::path::PathBuf;
use std::time::Duration;

use super::{BASE, Folder, loaded, options, refused};
use crate::load_text;
use crate::model::{Action, PolicyKind, Transform};

fn config(transform: &str) -> String {
    format!(
        "{BASE}upstreams: {{up: {{targets: [127.0.0.1:9001]}}}}\n\
         policies:\n  shape:\n    transform: {transform}\n\
         routes: [{{name: r, policies: [shape], upstream: up}}]\n"
    )
}

fn transform(text: &str) -> Transform {
    match loaded(&config(text)).config.policies[0].kind.clone() {
        PolicyKind::Transform(transform) => *transform,
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_careful_unless_they_are_told_otherwise() {
    let Transform {
        request,
        response,
        limits,
    } = transform("{response: {jq: .}}");
    let response = response.unwrap();
    assert!(request.is_none() && response.content_type.is_none());
    assert!(!response.rejects_other && !response.every_status);
    assert_eq!((limits.body, limits.output), (1 << 20, 4 << 20));
    assert_eq!(limits.time, Duration::from_millis(100));
    let page =
        transform("{request: {template: x, other: reject}, response: {jq: ., statuses: all}}");
    let request = page.request.unwrap();
    assert_eq!(request.content_type.unwrap(), "application/json");
    assert!(request.rejects_other && page.response.unwrap().every_status);
}

#[test]
fn mistakes_have_a_place_in_the_file() {
    for (text, code, place, words) in [
        (
            "{response: {jq: '.a | nope'}}",
            "WR0140",
            "nope'",
            "line 1, column 6: there is no function `nope`",
        ),
        (
            "{response: {jq: '{a: (1}'}}",
            "WR0140",
            "}'",
            "line 1, column 7: expected closing parenthesis",
        ),
        (
            "\n      request:\n        jq: |\n          .a\n          | nope",
            "WR0140",
            "",
            "line 2, column 3: there is no function `nope`",
        ),
        (
            "{response: {jq: 'env'}}",
            "WR0140",
            "env'",
            "there is no function `env`",
        ),
        (
            "{response: {jq: 'input'}}",
            "WR0140",
            "input'",
            "there is no function `input`",
        ),
        (
            "{response: {jq: 'import \"a\" as $a; .'}}",
            "WR0140",
            "a\" as",
            "cannot take in files",
        ),
        (
            "{response: {template: 'a{{ b'}}",
            "WR0141",
            "b'",
            "line 1, column",
        ),
        (
            "{response: {template: '{{ a | nope }}'}}",
            "WR0141",
            "nope }}",
            "there is no filter `nope`",
        ),
        (
            "{response: {template: '{% if body.rare %}{{ body | shout }}{% endif %}'}}",
            "WR0141",
            "shout }}",
            "line 1, column 29: there is no filter `shout`",
        ),
        (
            "{response: {template: '{% set a %}{% endset %}'}}",
            "WR0141",
            "set a %}",
            "line 1, column 4",
        ),
        (
            "{response: {template: x, type: text}}",
            "WR0131",
            "text}",
            "not a content type",
        ),
        (
            "{response: {normalize: {}}}",
            "WR0206",
            "{}}}",
            "nothing is normalised",
        ),
        (
            "{response: {normalize: {remove: ['a[0]']}}}",
            "WR0142",
            "'a[0]'",
            "not the path of a field",
        ),
        (
            "{response: {normalize: {types: {a..b: number}}}}",
            "WR0142",
            "a..b",
            "not the path of a field",
        ),
        (
            "{response: {normalize: {dates: {a: iso}}}}",
            "WR0121",
            "iso",
            "how the date is written",
        ),
        (
            "{response: {normalize: {dates: {a: '%d.%m.'}}}}",
            "WR0121",
            "'%d.%m.'",
            "no date can be read",
        ),
        (
            "{response: {normalize: {dates: {a: '%Y-%m-%!'}}}}",
            "WR0121",
            "'%Y-%m-%!'",
            "no date can be read",
        ),
        (
            "{response: {normalize: {types: {a: float}}}}",
            "WR0114",
            "float",
            "float",
        ),
        (
            "{response: {jq: ., template: x}}",
            "WR0205",
            "template: x",
            "cannot stand beside",
        ),
        (
            "{response: {}}",
            "WR0206",
            "{}}",
            "nothing says what the change is",
        ),
        ("{}", "WR0206", "{}", "changes nothing"),
    ] {
        let report = refused(&config(text));
        let first = &report.diagnostics[0];
        assert_eq!(first.code, code, "{report}");
        assert!(first.message.contains(words), "{report}");
        let marked: String = first.excerpt.chars().skip(first.column - 1).collect();
        assert!(marked.starts_with(place), "{marked}: {report}");
    }
    let two = format!(
        "{}",
        refused(
            &config("{response: {jq: .}}")
                .replace("[shape]", "[shape, again]")
                .replace(
                    "routes:",
                    "  again: {transform: {request: {jq: .}}}\nroutes:"
                )
        )
    );
    assert!(two.contains("WR0220"), "{two}");
}

#[test]
fn programs_may_stand_in_files() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("good.jq"), "# slim\n{id}\n").unwrap();
    std::fs::write(folder.path().join("bad.jq"), "# slim\n{id}\n| nope\n").unwrap();
    let load = |file: &str| {
        let text = config(&format!("{{response: {{jq: file:{file}}}}}"));
        load_text(
            &text,
            "weir.yaml",
            &PathBuf::from(folder.path()),
            &options(),
        )
    };
    assert!(load("good.jq").is_ok());
    let report = load("bad.jq").unwrap_err();
    assert_eq!(report.diagnostics[0].code, "WR0140");
    let message = &report.diagnostics[0].message;
    assert!(message.starts_with("line 3, column 3:"), "{message}");
    assert_eq!(load("none.jq").unwrap_err().diagnostics[0].code, "WR0303");
}

fn aggregate(text: &str) -> String {
    format!(
        "{BASE}upstreams: {{up: {{targets: [127.0.0.1:9001]}}}}\n\
         routes: [{{name: r, match: {{path: \"/a/{{id}}\"}}, aggregate: {text}}}]\n"
    )
}

#[test]
fn aggregates_have_careful_defaults() {
    let config = loaded(&aggregate("{parts: {b: {upstream: up, path: \"/{path.id}\"}, a: {upstream: up, path: /, fallback: {x: [1]}}}}")).config;
    let Action::Aggregate(aggregate) = &config.routes[0].action else {
        panic!()
    };
    let names: Vec<_> = aggregate.parts.iter().map(|part| &*part.name).collect();
    assert_eq!(names, ["b", "a"], "the order of the file");
    assert!(aggregate.shows_errors && aggregate.program.is_none());
    let (first, second) = (&aggregate.parts[0], &aggregate.parts[1]);
    assert!(!first.is_required && first.fallback.is_none() && first.headers.is_empty());
    assert_eq!(second.fallback.as_deref(), Some(&b"{\"x\":[1]}"[..]));
}

#[test]
fn aggregates_that_cannot_be_are_refused() {
    for (text, code, words) in [
        ("{}", "WR0102", "`parts` is missing"),
        ("{parts: {}}", "WR0119", "needs a part"),
        (
            "{parts: {a: {upstream: up}}}",
            "WR0102",
            "`path` is missing",
        ),
        (
            "{parts: {a: {upstream: no, path: /}}}",
            "WR0201",
            "no upstream `no`",
        ),
        ("{parts: {a: {upstream: up, path: x}}}", "WR0116", ""),
        (
            "{parts: {a: {upstream: up, path: \"/{path.b}\"}}}",
            "WR0207",
            "{path.b}",
        ),
        (
            "{parts: {errors: {upstream: up, path: /}}}",
            "WR0118",
            "cannot be called `errors`",
        ),
        (
            "{parts: {a: {upstream: up, path: /, required: true, fallback: 1}}}",
            "WR0205",
            "beside",
        ),
        (
            "{parts: {a: {upstream: up, path: /, headers: [a, A]}}}",
            "WR0211",
            "twice",
        ),
        (
            "{parts: {a: {upstream: up, path: /}}, jq: nope}",
            "WR0140",
            "nope",
        ),
        (
            "{parts: {a: {upstream: up, path: /}}, concurrency: 0}",
            "WR0107",
            "",
        ),
        (
            "{parts: {a: {upstream: up, path: /}}}, upstream: up",
            "WR0205",
            "beside",
        ),
        (
            "{parts: {a: {upstream: up, path: /}}}, rewrite: {prefix: /}",
            "WR0205",
            "beside",
        ),
    ] {
        let report = refused(&aggregate(text));
        let found = report.diagnostics.iter().find(|one| one.code == code);
        assert!(
            found.is_some_and(|one| one.message.contains(words)),
            "{text}: {report}"
        );
    }
    let many: Vec<_> = (0..33)
        .map(|at| format!("p{at}: {{upstream: up, path: /}}"))
        .collect();
    let report = refused(&aggregate(&format!("{{parts: {{{}}}}}", many.join(", "))));
    assert!(report.to_string().contains("at most 32 parts"), "{report}");
    let both = aggregate("{parts: {a: {upstream: up, path: /}}}, policies: [t]").replace(
        "routes:",
        "policies: {t: {transform: {response: {jq: .}}}}\nroutes:",
    );
    assert!(
        refused(&both).to_string().contains("does not go through"),
        "{both}"
    );
}
