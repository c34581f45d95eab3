//! Diagnostics that a running Weir reports. They look the same as the loader's, to people and
//! programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::output::{Output, Style};

/// One mistake and where it stands; the members are those of [`weir_config::Diagnostic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) code: String,
    /// `error` or `warning`.
    pub(crate) severity: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) file: String,
    /// From 1; 0 when there is no one line.
    #[serde(default)]
    pub(crate) line: usize,
    #[serde(default)]
    pub(crate) column: usize,
    #[serde(default)]
    pub(crate) length: usize,
    #[serde(default)]
    pub(crate) excerpt: String,
    #[serde(default)]
    pub(crate) help: Option<String>,
    /// Where in the configuration: `listeners[0].tls`.
    #[serde(default)]
    pub(crate) path: String,
}

impl Finding {
    /// For people, on standard error.
    pub(crate) fn render(&self, output: &Output) -> String {
        let Self {
            code,
            severity,
            message,
            file,
            line,
            column,
            excerpt,
            path,
            ..
        } = self;
        let style = if severity == "warning" {
            Style::Warning
        } else {
            Style::Bad
        };
        let head = output.note_style(style, &format!("{severity}[{code}]"));
        let number = if *line == 0 {
            String::new()
        } else {
            line.to_string()
        };
        let margin = " ".repeat(number.len());
        let mut text = format!("{head}: {message}\n");
        // Writing to a String cannot fail.
        if *line == 0 {
            let _ = writeln!(text, "{margin} --> {file}");
        } else {
            let _ = writeln!(text, "{margin}--> {file}:{line}:{column}");
            let _ = writeln!(text, "{margin} |\n{number} | {excerpt}\n{margin} |");
        }
        if !path.is_empty() {
            let _ = writeln!(text, "{margin} = at: {path}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "{margin} = help: {help}");
        }
        text
    }
}
