//! What the decoder carries along.

use std::collections::HashMap;

use crate::diagnostic::{Finding, Severity};
use crate::reference::Materials;
use crate::section::Lending;
use crate::source::{Source, Span};
use crate::suggest;

/// How far the decoder goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// References are resolved.
    Full,
    /// References are only checked for their form: for environments that are not selected, whose
    /// files and variables need not exist here.
    Form,
}

/// The state of one pass over a tree.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) mode: Mode,
    /// Whether the configuration is for production.
    pub(crate) strict: bool,
    pub(crate) materials: Materials<'a>,
    pub(crate) findings: Vec<Finding>,
    /// Parts of the text that no excerpt may show.
    pub(crate) hidden: Vec<Span>,
    /// Which routes of resources send on secrets of resources.
    pub(crate) lendings: Vec<Lending>,
    /// How many more times names are compared: a file of nothing but mistakes must not take long.
    suggestions_left: usize,
}

const SUGGESTIONS: usize = 100;

impl<'a> Context<'a> {
    pub(crate) fn new(
        source: &'a Source<'a>,
        mode: Mode,
        strict: bool,
        materials: Materials<'a>,
    ) -> Self {
        Self {
            source,
            mode,
            strict,
            materials,
            findings: Vec::new(),
            hidden: Vec::new(),
            lendings: Vec::new(),
            suggestions_left: SUGGESTIONS,
        }
    }

    pub(crate) fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// The nearest of the candidates, or what there is to choose from.
    pub(crate) fn suggest<'c>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str> + Clone,
        what: &str,
    ) -> String {
        if self.suggestions_left == 0 {
            return format!("see the first findings for the {what}");
        }
        self.suggestions_left -= 1;
        suggest::help(word, candidates, what)
    }

    /// `line 12`, for pointing from one place to another.
    pub(crate) fn line(&self, span: Span) -> String {
        match self.source.resource(span) {
            Some(resource) => resource.to_string(),
            None => format!("line {}", self.source.locate(span.start).line),
        }
    }

    /// Reports each value that was seen before, by `report`'s words.
    pub(crate) fn report_repeated<T: std::hash::Hash + Eq>(
        &mut self,
        values: impl IntoIterator<Item = (T, Span)>,
        report: impl Fn(&T, String) -> Finding,
    ) {
        let mut seen: HashMap<T, Span> = HashMap::new();
        for (value, span) in values {
            if let Some(first) = seen.get(&value) {
                let finding = report(&value, self.line(*first)).at(span);
                self.report(finding);
            } else {
                seen.insert(value, span);
            }
        }
    }
}
