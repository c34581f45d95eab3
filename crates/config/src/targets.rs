//! Targets that something else than the configuration file lists.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use crate::codes;
use crate::decode::{Context, Cursor, Mode, Path as Place};
use crate::diagnostic::{Finding, Report, Severity, settle};
use crate::model::Target;
use crate::node::{Node, Value};
use crate::reference::{Materials, Variables};
use crate::section;
use crate::source::Source;
use crate::{value, yaml};

/// Reads a list of targets as it stands under `targets`, or a mapping with that key and no other;
/// YAML or JSON. `env:` references find nothing: whoever writes the list is not to read this
/// process' environment.
pub fn targets_from_text(text: &str, file_name: &str) -> Result<Vec<Target>, Report> {
    let shown = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(file_name, shown);
    let variables = Variables::Only(BTreeMap::new());
    let materials = Materials::new(Path::new(""), &variables, SystemTime::UNIX_EPOCH);
    let mut context = Context::new(&source, Mode::Full, false, materials);
    let mut findings = Vec::new();
    let targets = match yaml::parse(shown, &mut findings) {
        Some(root) => decode(&mut context, &root),
        None if findings.is_empty() => {
            context.report(Finding::error(codes::EMPTY_LIST, "the file is empty"));
            Vec::new()
        }
        None => Vec::new(),
    };
    findings.extend(context.findings);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    if !findings.iter().any(is_error) {
        return Ok(targets);
    }
    let (diagnostics, omitted) = settle(findings, &source, &context.hidden);
    Err(Report {
        diagnostics,
        omitted,
        files: Vec::new(),
    })
}

/// Host (IPv6 without brackets, names in lower case) and port of a target that is written as
/// `host:port`; `None` if it is not.
pub fn target_address(text: &str) -> Option<(String, u16)> {
    value::address::target(text).ok()
}

/// Whether this is an IP address (IPv6 without brackets) or a name that DNS can carry.
pub fn is_target_host(host: &str) -> bool {
    value::address::is_host(host)
}

fn decode(context: &mut Context<'_>, root: &Node) -> Vec<Target> {
    let cursor = |node, path| Cursor {
        node,
        shape: &section::target::TARGETS,
        path,
    };
    if let Value::Mapping(entries) = &root.value {
        let help = "write the list of targets, or a mapping with the one key `targets`";
        let others = entries
            .iter()
            .filter(|entry| entry.key.as_ref() != "targets");
        for entry in others {
            let message = format!("unknown key {}", crate::suggest::quote(&entry.key));
            let finding = Finding::error(codes::UNKNOWN_KEY, message).at(entry.key_span);
            context.report(finding.help(help));
        }
        let Some(entry) = root.entry("targets") else {
            let finding = Finding::error(codes::MISSING_KEY, "`targets` is missing");
            context.report(finding.at(root.head()).help(help));
            return Vec::new();
        };
        let list = cursor(&entry.value, Place::ROOT.key("targets"));
        return section::target::decode(context, &list);
    }
    section::target::decode(context, &cursor(root, Place::ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let report = targets_from_text(text, "targets.yaml").unwrap_err();
        let first = &report.diagnostics[0];
        format!("{}:{} {}", first.line, first.column, first.message)
    }

    #[test]
    fn a_list_and_a_mapping_say_the_same_in_yaml_and_json() {
        let list = "- 10.0.0.1:80\n- { address: '[::1]:81', weight: 3, zone: a }\n";
        let targets = targets_from_text(list, "targets.yaml").unwrap();
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[1].host.as_str(), targets[1].port), ("::1", 81));
        assert_eq!(
            (targets[1].weight, targets[1].zone.as_deref()),
            (3, Some("a"))
        );
        let mapping = format!("targets:\n{list}");
        assert_eq!(targets_from_text(&mapping, "t").unwrap(), targets);
        let json = r#"{"targets":["10.0.0.1:80",{"address":"[::1]:81","weight":3,"zone":"a"}]}"#;
        assert_eq!(targets_from_text(json, "t").unwrap(), targets);
    }

    #[test]
    fn what_is_no_list_of_targets_is_refused_at_its_place() {
        assert_eq!(error(""), "0:0 the file is empty");
        assert_eq!(error("[]"), "1:1 the list needs at least 1 item");
        assert!(error("- 10.0.0.1").starts_with("1:3 `10.0.0.1` is not a host and a port"));
        assert_eq!(error("upstreams: {}"), "1:1 `targets` is missing");
        assert_eq!(
            error("targets: [\"10.0.0.1:80\"]\nmore: 1"),
            "2:1 unknown key `more`"
        );
        assert!(error("[\"10.0.0.1:80\", {\"addr").starts_with("1:"));
        assert!(error("- {address: '10.0.0.1:80', weight: -1}").starts_with("1:"));
    }

    #[test]
    fn the_environment_stays_unread() {
        assert!(error("- env:HOME").contains("HOME"));
    }

    #[test]
    fn odd_spellings_of_addresses_are_no_hosts() {
        for text in [
            "127.1:80",
            "2130706433:80",
            "10.0.0.1:0",
            "10.0.0.1:80/a",
            "::1:80",
        ] {
            assert_eq!(target_address(text), None, "{text}");
        }
        assert_eq!(target_address("[::1]:80"), Some(("::1".into(), 80)));
    }
}
