//! What is said about a configuration: one [`Diagnostic`] a mistake, and the [`Report`] of a
//! failed load.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use crate::codes;
use crate::resources::{self, ResourceName};
use crate::source::{Excerpt, Source, Span};

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is accepted; strict loading refuses it.
    Warning,
}

/// One mistake and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, `WR0103`; [`explain`](crate::explain) has its page.
    pub code: &'static str,
    /// Whether it is refused.
    pub severity: Severity,
    /// What is wrong: lowercase, one line, no secret.
    pub message: String,
    /// Name of the configuration file, or the resource.
    pub file: String,
    /// The resource that is meant, and not the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceName>,
    /// Line, from 1; 0 when the file as a whole or a resource is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where there is no line.
    pub column: usize,
    /// Characters at fault on that line.
    pub length: usize,
    /// The line, cut around the place if it is long, with secrets replaced.
    pub excerpt: String,
    /// How to put it right.
    pub help: Option<String>,
    /// Where in the configuration, `routes[0].match.path`, or within the resource, `match.path`; empty for
    /// the whole.
    pub path: String,
    #[serde(skip)]
    pub(crate) caret: (usize, usize),
}

/// Everything that is wrong with a configuration that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the file's order; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were than are listed.
    pub omitted: usize,
    /// Files that the load looked at, for whoever waits for them to be put right.
    pub files: Vec<PathBuf>,
}

impl Report {
    /// For people at a terminal: each diagnostic with its line, then a summary.
    pub fn render(&self, color: bool) -> String {
        crate::render::report(self, color)
    }

    /// For machines: `{"diagnostics": […], "errors": n, "warnings": n, "omitted": n}`.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "diagnostics": self.diagnostics,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "omitted": self.omitted,
        })
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl Diagnostic {
    /// Whether it refuses a change of the resource that it is about, although the whole loads: what was good
    /// when it was made, or on another node, may be so no more, and must not hinder other changes.
    pub fn refuses_its_resource(&self) -> bool {
        const PASSING: [&str; 2] = [codes::CERTIFICATE_OUTDATED, codes::UNKNOWN_LISTENER];
        self.resource.is_some() && PASSING.contains(&self.code)
    }

    /// This diagnostic alone, as [`Report::render`] shows it.
    pub fn render(&self, color: bool) -> String {
        crate::render::diagnostic(self, color)
    }
}

/// Most diagnostics that a report lists.
const LISTED: usize = 1000;

/// A diagnostic before its place is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// `None`: the file as a whole.
    pub(crate) span: Option<Span>,
    pub(crate) path: String,
}

impl Finding {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            help: None,
            span: None,
            path: String::new(),
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }
}

/// Looks up places: findings in the file's order, repeated ones once. Also says how many were left
/// out.
pub(crate) fn settle(
    mut findings: Vec<Finding>,
    source: &Source<'_>,
    hidden: &[Span],
) -> (Vec<Diagnostic>, usize) {
    findings.sort_by(|left, right| (left.span, left.code).cmp(&(right.span, right.code)));
    findings.dedup_by(|left, right| {
        left.span.is_some()
            && (left.span, left.code, &left.message) == (right.span, right.code, &right.message)
    });
    // What refuses the file must be among what is listed.
    let omitted = findings.len().saturating_sub(LISTED);
    if omitted > 0 {
        findings.sort_by_key(|finding| finding.severity);
        findings.truncate(LISTED);
        findings.sort_by_key(|finding| finding.span);
    }
    let diagnostics = findings
        .into_iter()
        .map(|finding| locate(finding, source, hidden))
        .collect();
    (diagnostics, omitted)
}

pub(crate) fn locate(finding: Finding, source: &Source<'_>, hidden: &[Span]) -> Diagnostic {
    if let Some(resource) = finding.span.and_then(|span| source.resource(span)) {
        return Diagnostic {
            code: finding.code,
            severity: finding.severity,
            message: finding.message,
            file: resource.to_string(),
            resource: Some(resource.clone()),
            line: 0,
            column: 0,
            length: 0,
            excerpt: String::new(),
            help: finding.help,
            path: resources::path_within(resource, &finding.path),
            caret: (0, 0),
        };
    }
    let (line, column, excerpt) = match finding.span {
        Some(span) => {
            let location = source.locate(span.start);
            (location.line, location.column, source.excerpt(span, hidden))
        }
        None => (0, 0, Excerpt::default()),
    };
    Diagnostic {
        code: finding.code,
        severity: finding.severity,
        message: finding.message,
        file: source.name.to_owned(),
        resource: None,
        line,
        column,
        length: excerpt.length,
        excerpt: excerpt.text,
        help: finding.help,
        path: finding.path,
        caret: (excerpt.offset, excerpt.width),
    }
}
