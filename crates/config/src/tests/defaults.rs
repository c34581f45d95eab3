use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use super::{BASE, loaded, options};
use crate::decode::{Context, Mode};
use crate::model::{Action, Destination};
use crate::node::{Node, Value};
use crate::reference::Materials;
use crate::shape::{Presence, Shape, default_of, records};
use crate::source::Source;
use crate::{DEFAULT, section, yaml};

/// The default configuration with everything that is left out put in.
fn complete() -> String {
    let uncomment = |line: &str| {
        line.strip_prefix("#   ")
            .map_or_else(|| line.to_owned(), str::to_owned)
            + "\n"
    };
    DEFAULT.lines().map(uncomment).collect()
}

fn parse(text: &str) -> Node {
    let mut findings = Vec::new();
    let node = yaml::parse(text, &mut findings);
    assert!(findings.is_empty(), "{findings:#?}");
    node.unwrap()
}

/// Calls `visit` with each (record, key, value) of a tree.
fn walk(node: &Node, shape: &'static Shape, visit: &mut impl FnMut(&'static str, &str, &Node)) {
    match shape {
        Shape::Record(record) => {
            for entry in node.entries() {
                let field = record.field(&entry.key).unwrap();
                visit(record.name, &entry.key, &entry.value);
                walk(&entry.value, &field.shape, visit);
            }
        }
        Shape::Map { values, .. } => {
            for entry in node.entries() {
                walk(&entry.value, values, visit);
            }
        }
        Shape::List { items, .. } | Shape::OneOrMany(items) => {
            if let Value::Sequence(nodes) = &node.value {
                for node in nodes.iter() {
                    walk(node, items, visit);
                }
            }
        }
        Shape::Either(shapes) if matches!(node.value, Value::Mapping(_)) => {
            for shape in *shapes {
                walk(node, shape, visit);
            }
        }
        _ => {}
    }
}

static ROOT: Shape = Shape::Record(&section::ROOT);

#[test]
fn the_default_configuration_runs_as_it_is() {
    let loaded = loaded(DEFAULT);
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address, address("127.0.0.1:8080"));
    assert_eq!(config.admin.address, address("127.0.0.1:9900"));
    assert_eq!(config.upstreams[0].name, "sample");
    assert_eq!(config.upstreams[0].targets[0].port, 9001);
    assert!(matches!(
        config.routes[0].action,
        Action::Forward {
            to: Destination::Upstream(0),
            ..
        }
    ));
}

#[test]
fn what_the_default_configuration_states_are_the_defaults() {
    let minimal = "listeners: [{address: 127.0.0.1:8080}]\n\
        upstreams: {sample: {targets: [127.0.0.1:9001]}}\n\
        routes: [{name: sample, match: {path: /*}, upstream: sample}]\n";
    assert_eq!(
        format!("{:#?}", loaded(DEFAULT).config),
        format!("{:#?}", loaded(minimal).config)
    );
}

#[test]
fn every_key_stands_in_the_default_configuration() {
    let mut seen = BTreeSet::new();
    walk(&parse(&complete()), &ROOT, &mut |record, key, _| {
        seen.insert((record, key.to_owned()));
    });
    for record in records() {
        for key in record.keys() {
            assert!(
                seen.contains(&(record.name, key.to_owned())),
                "{} of {}",
                key,
                record.name
            );
        }
    }
}

#[test]
fn every_default_stands_in_the_default_configuration_with_its_value() {
    let mut stated = Vec::new();
    walk(&parse(&complete()), &ROOT, &mut |record, key, value| {
        stated.push((record, key.to_owned(), value.clone()));
    });
    for record in records() {
        for field in record.fields {
            let Presence::Default(text) = field.presence else {
                continue;
            };
            if matches!(text, "{}" | "[]") {
                continue;
            }
            let default = default_of(record, field.key).unwrap();
            let is_stated = stated.iter().any(|(name, key, value)| {
                *name == record.name && key == field.key && same(value, default)
            });
            assert!(is_stated, "{} of {}: {text}", field.key, record.name);
        }
    }
}

fn same(left: &Node, right: &Node) -> bool {
    match (&left.value, &right.value) {
        (Value::Scalar { text: left, .. }, Value::Scalar { text: right, .. }) => left == right,
        (Value::Sequence(left), Value::Sequence(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(l, r)| same(l, r))
        }
        _ => false,
    }
}

#[test]
fn everything_in_the_default_configuration_is_valid() {
    let text = complete();
    let source = Source::new("default.yaml", &text);
    let options = options();
    let now = std::time::SystemTime::UNIX_EPOCH;
    let materials = Materials::new(Path::new(""), &options.variables, now);
    let mut context = Context::new(&source, Mode::Form, false, materials);
    section::decode(&mut context, &parse(&text), None, None);
    let problems: Vec<_> = context
        .findings
        .iter()
        .filter(|finding| finding.severity == crate::Severity::Error)
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_default_reads_without_a_finding() {
    // Reading the smallest configuration with one of everything touches each table's defaults; a
    // table that names another kind than its decoder reads stops a debug build.
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: [{{address: 'a:1'}}], tls: true}}}}\n\
         routes:\n- {{name: a, upstream: a}}\n- {{name: b, match: {{path: /b}}, redirect: {{to: /c}}}}\n"
    );
    assert_eq!(loaded(&text).warnings, []);
}

#[test]
fn names_of_tables_are_unique() {
    let mut names = BTreeSet::new();
    let mut count = 0;
    ROOT.visit_records(&mut |record| {
        let is_new = names.insert((record.name, std::ptr::from_ref(record) as usize));
        count += usize::from(is_new);
        is_new
    });
    let distinct: BTreeSet<_> = names.iter().map(|(name, _)| name).collect();
    assert_eq!(distinct.len(), count);
}
