//! Mistakes that show only when a loaded configuration is used, at the place of their cause.

use std::sync::Arc;

use crate::decode::Path;
use crate::diagnostic::{Diagnostic, Finding, Report, locate};
use crate::load::Loaded;
use crate::node::{Node, Value};
use crate::resources::Resources;
use crate::source::{Source, Span};
use crate::{overlay, resources, yaml};

/// What a text needs besides itself to be shown in diagnostics.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Name of the file.
    pub(crate) name: String,
    /// Parts of the text that no excerpt may show.
    pub(crate) hidden: Vec<Span>,
    /// What was beside the text.
    pub(crate) resources: Option<Arc<Resources>>,
}

impl Loaded {
    /// An error at the value that `path` leads to, such as `["listeners", "0", "tls", "key"]`; items
    /// of lists are counted from 0. Steps that are not written are passed over, so that the place is
    /// the nearest one above.
    ///
    /// `message` and `help` are lowercase, one line each and without secrets.
    pub fn diagnostic(
        &self,
        code: &'static str,
        message: impl Into<String>,
        help: Option<&str>,
        path: &[&str],
    ) -> Diagnostic {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let mut finding = Finding::error(code, message);
        finding.help = help.map(str::to_owned);
        // The tree is built again: it is rarely needed, and large beside what it describes.
        let nothing_new = &mut Vec::new();
        let placed = self.origin.resources.as_deref();
        let placed = placed.map_or_else(Vec::new, |all| resources::place(all, nothing_new));
        if let Some(root) = yaml::parse(text, nothing_new) {
            let root = overlaid(root, self.config.environment.as_deref());
            let root = resources::merge(&root, &placed, nothing_new);
            let (span, path) = find(&root, Path::ROOT, path);
            finding = finding.at(span).path(path);
        }
        let source = Source::new(&self.origin.name, text).beside(&placed);
        locate(finding, &source, &self.origin.hidden)
    }

    /// The report of a configuration that loads and still cannot be used.
    pub fn refused(self, errors: Vec<Diagnostic>) -> Report {
        let mut diagnostics = self.warnings;
        diagnostics.extend(errors);
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        Report {
            diagnostics,
            omitted: 0,
            files: self.files,
        }
    }
}

/// With the selected environment's overlay.
pub(crate) fn overlaid(root: Node, environment: Option<&str>) -> Node {
    let overlay =
        environment.and_then(|name| root.entry("environments")?.value.entry(name).cloned());
    match overlay {
        Some(overlay) => overlay::apply(&root, &overlay.value, &mut Vec::new()),
        None => root,
    }
}

fn find(node: &Node, place: Path<'_>, steps: &[&str]) -> (Span, String) {
    let Some((step, rest)) = steps.split_first() else {
        return (node.head(), place.to_string());
    };
    match &node.value {
        Value::Mapping(_) => {
            if let Some(entry) = node.entry(step) {
                return find(&entry.value, place.key(&entry.key), rest);
            }
        }
        Value::Sequence(items) => {
            let index = step.parse::<usize>().ok();
            if let Some((index, item)) = index.and_then(|index| Some((index, items.get(index)?))) {
                return find(item, place.index(index), rest);
            }
        }
        Value::Scalar { .. } => {}
    }
    find(node, place, rest)
}

#[cfg(test)]
mod tests {
    use crate::{LoadOptions, load_text};

    const TEXT: &str = "\
listeners: [{address: 127.0.0.1:8080}]
routes:
  - name: a
    match: {headers: {authorization: canary-7f3a}}
    redirect: {to: /b}
environments:
  staging:
    routes:
      - name: a
        redirect: {to: /c}
";

    fn shown(environment: Option<&str>, path: &[&str]) -> (usize, usize, String) {
        let options = LoadOptions {
            environment: environment.map(str::to_owned),
            ..LoadOptions::default()
        };
        let text = format!("\u{feff}{TEXT}");
        let loaded = load_text(&text, "weir.yaml", "".as_ref(), &options).unwrap();
        let diagnostic = loaded.diagnostic("WR0601", "wrong", None, path);
        assert!(!diagnostic.excerpt.contains("canary"), "{diagnostic:?}");
        (diagnostic.line, diagnostic.column, diagnostic.path)
    }

    #[test]
    fn a_path_leads_to_its_value_or_to_the_nearest_above() {
        let to = ["routes", "0", "redirect", "to"];
        assert_eq!(shown(None, &to), (5, 20, "routes[0].redirect.to".into()));
        let longer = ["routes", "9", "0", "redirect", "list", "3", "to", "deeper"];
        assert_eq!(
            shown(None, &longer),
            (5, 20, "routes[0].redirect.to".into())
        );
        let hidden = ["routes", "0", "match", "headers"];
        assert_eq!(
            shown(None, &hidden),
            (4, 23, "routes[0].match.headers".into())
        );
        assert_eq!(shown(None, &[]), (1, 1, String::new()));
    }

    #[test]
    fn what_an_environment_writes_is_found_there() {
        let to = ["routes", "0", "redirect", "to"];
        let expected = (10, 24, "routes[0].redirect.to".into());
        assert_eq!(shown(Some("staging"), &to), expected);
    }
}
