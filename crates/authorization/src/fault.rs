//! A mistake in a policy, and where it is.

use std::fmt;

use miette::Diagnostic;

/// A mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The policy, by the name under which it was handed over.
    pub policy: String,
    /// Where it is, from 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    /// A mistake at this byte of a policy's text.
    pub(crate) fn at(policy: &str, source: &str, offset: usize, text: impl Into<String>) -> Self {
        let (line, column) = position(source, offset);
        Self {
            policy: policy.to_owned(),
            line,
            column,
            text: text.into(),
            help: None,
        }
    }

    /// What Cedar says of a policy, at the first place that it points to.
    pub(crate) fn of(policy: &str, source: &str, said: &dyn Diagnostic) -> Self {
        let mut labels = said.labels().into_iter().flatten();
        let label = labels.next();
        let offset = label.as_ref().map_or(0, miette::LabeledSpan::offset);
        let mut text = said.to_string();
        // Of a syntax error, the label has what was expected.
        let detail = label.as_ref().and_then(|label| label.label());
        if let Some(detail) = detail.filter(|detail| !text.contains(detail)) {
            text = format!("{text}: {detail}");
        }
        Self {
            help: said.help().map(|help| help.to_string()),
            ..Self::at(policy, source, offset, text)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            line,
            column,
            text,
            ..
        } = self;
        write!(formatter, "{policy}:{line}:{column}: {text}")
    }
}

/// Line and column of a byte, from 1.
pub(crate) fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}
