use super::*;
use crate::node::Value;

fn parse_ok(text: &str) -> Node {
    let mut findings = Vec::new();
    let node = parse(text, &mut findings);
    assert!(findings.is_empty(), "{findings:?}");
    node.unwrap()
}

fn codes_of(text: &str) -> Vec<&'static str> {
    let mut findings = Vec::new();
    parse(text, &mut findings);
    findings.iter().map(|finding| finding.code).collect()
}

fn text_at<'a>(node: &'a Node, path: &[&str]) -> &'a str {
    let mut node = node;
    for key in path {
        node = &node.entry(key).unwrap().value;
    }
    match &node.value {
        Value::Scalar { text, .. } => text,
        _ => panic!("no scalar at {path:?}"),
    }
}

#[test]
fn keys_and_values_know_their_exact_place() {
    let text = "é: [1]\nroutes:\r\n  - name:   \"ite\\u006ds\"  # note\n    to: a b  # note\n    at: 'it''s' # x\n";
    let root = parse_ok(text);
    let Value::Sequence(items) = &root.entry("routes").unwrap().value.value else {
        panic!()
    };
    let name = items[0].entry("name").unwrap();
    assert_eq!(&text[name.key_span.start..name.key_span.end], "name");
    assert_eq!(
        &text[name.value.span.start..name.value.span.end],
        "\"ite\\u006ds\""
    );
    let to = items[0].entry("to").unwrap();
    assert_eq!(&text[to.value.span.start..to.value.span.end], "a b");
    let at = items[0].entry("at").unwrap();
    assert_eq!(&text[at.value.span.start..at.value.span.end], "'it''s'");
    assert_eq!(items[0].head(), name.key_span);
}

#[test]
fn words_that_yaml_1_1_reads_as_booleans_stay_text() {
    let root = parse_ok("on: off\nyes: no\nnumber: 0x10\n");
    assert_eq!(text_at(&root, &["on"]), "off");
    assert_eq!(text_at(&root, &["yes"]), "no");
    assert_eq!(text_at(&root, &["number"]), "0x10");
}

#[test]
fn a_missing_value_is_pointed_at_by_its_key() {
    let root = parse_ok("a:\nb: x\n");
    assert_eq!(root.entry("a").unwrap().value.span, Span::new(0, 1));
}

#[test]
fn aliases_and_merge_keys_work_and_own_keys_win() {
    let root = parse_ok("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 9}\nq: *x\n");
    assert_eq!(text_at(&root, &["z", "a"]), "9");
    assert_eq!(text_at(&root, &["z", "b"]), "2");
    assert_eq!(text_at(&root, &["z", "c"]), "4");
    assert_eq!(text_at(&root, &["q", "b"]), "2");
}

#[test]
fn a_quoted_merge_key_is_a_key() {
    assert_eq!(text_at(&parse_ok("'<<': 1"), &["<<"]), "1");
}

#[test]
fn expanding_aliases_are_refused_quickly() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let previous = level - 1;
        let aliases = vec![format!("*a{previous}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(codes_of(&text), [codes::TOO_MANY_VALUES]);
}

#[test]
fn merges_that_copy_are_counted() {
    let keys: String = (0..2000).map(|index| format!("  k{index}: 1\n")).collect();
    let uses = "- {<<: *x}\n".repeat(2000);
    assert_eq!(
        codes_of(&format!("- &x\n{keys}{uses}")),
        [codes::TOO_MANY_VALUES]
    );
}

#[test]
fn depth_is_bounded() {
    assert_eq!(codes_of(&"[".repeat(65)), [codes::TOO_DEEP]);
    assert_eq!(codes_of(&"- ".repeat(100_000)), [codes::TOO_DEEP]);
    // The parser has a bound of its own for what it must read ahead.
    assert_eq!(codes_of(&"[".repeat(100_000)), [codes::SYNTAX]);
    assert!(codes_of(&format!("{}x{}", "[".repeat(64), "]".repeat(64))).is_empty());
}

#[test]
fn depth_that_only_aliases_reach_is_bounded() {
    let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
    let text = format!("a: &a {}\nb: {}\n", nested("x"), nested("*a"));
    assert_eq!(codes_of(&text), [codes::TOO_DEEP]);
}

#[test]
fn the_number_of_values_is_bounded() {
    assert_eq!(
        codes_of(&format!("[{}]", "1,".repeat(2_100_000))),
        [codes::TOO_MANY_VALUES]
    );
}

#[test]
fn what_is_not_one_plain_document_is_refused() {
    assert_eq!(codes_of("a: 1\n---\nb: 2\n"), [codes::SEVERAL_DOCUMENTS]);
    assert_eq!(
        codes_of("a: 1\na: 2\nb: {c: 1, c: 2}\n"),
        [codes::DUPLICATE_KEY; 2]
    );
    assert_eq!(codes_of("? [a]\n: 1\n"), [codes::BAD_KEY]);
    assert_eq!(codes_of("~: 1\n"), [codes::BAD_KEY]);
    assert_eq!(codes_of("a: !!binary aGk=\n"), [codes::BAD_TAG]);
    assert_eq!(
        codes_of("a: !env HOME\nb: !list [1]\n"),
        [codes::BAD_TAG; 2]
    );
    assert_eq!(codes_of("<<: 1\n"), [codes::BAD_MERGE]);
    assert_eq!(codes_of("a: &a [*a]\n"), [codes::SYNTAX]);
    assert_eq!(codes_of("a: *nope\n"), [codes::SYNTAX]);
    assert_eq!(codes_of("a: [\n"), [codes::SYNTAX]);
    assert_eq!(codes_of("a:\n\tb: 1\n"), [codes::SYNTAX]);
}

#[test]
fn an_empty_text_has_no_root() {
    assert!(parse("", &mut Vec::new()).is_none());
    assert!(parse("# only a comment\n", &mut Vec::new()).is_none());
}
