//! Diagnostics for people, in the manner of rustc.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Report, Severity};

struct Palette {
    error: &'static str,
    warning: &'static str,
    frame: &'static str,
    strong: &'static str,
    end: &'static str,
}

const PLAIN: Palette = Palette {
    error: "",
    warning: "",
    frame: "",
    strong: "",
    end: "",
};
const ANSI: Palette = Palette {
    error: "\x1b[1;31m",
    warning: "\x1b[1;33m",
    frame: "\x1b[1;34m",
    strong: "\x1b[1m",
    end: "\x1b[0m",
};

pub(crate) fn report(report: &Report, color: bool) -> String {
    let palette = if color { &ANSI } else { &PLAIN };
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        write_diagnostic(&mut text, diagnostic, palette);
        text.push('\n');
    }
    write_summary(&mut text, report, palette);
    text
}

pub(crate) fn diagnostic(diagnostic: &Diagnostic, color: bool) -> String {
    let mut text = String::new();
    write_diagnostic(&mut text, diagnostic, if color { &ANSI } else { &PLAIN });
    text
}

fn write_diagnostic(text: &mut String, diagnostic: &Diagnostic, palette: &Palette) {
    let Palette {
        frame, strong, end, ..
    } = palette;
    let (word, tint) = match diagnostic.severity {
        Severity::Error => ("error", palette.error),
        Severity::Warning => ("warning", palette.warning),
    };
    let Diagnostic {
        code,
        message,
        file,
        line,
        column,
        excerpt,
        ..
    } = diagnostic;
    let number = if *line == 0 {
        String::new()
    } else {
        line.to_string()
    };
    let margin = " ".repeat(number.len());

    // Writing to a String cannot fail.
    let _ = writeln!(text, "{tint}{word}[{code}]{end}{strong}: {message}{end}");
    if *line == 0 {
        let _ = writeln!(text, "{margin} {frame}-->{end} {file}");
    } else {
        let (offset, width) = diagnostic.caret;
        let indent = " ".repeat(offset);
        let carets = "^".repeat(width);
        let _ = writeln!(text, "{margin}{frame}-->{end} {file}:{line}:{column}");
        let _ = writeln!(text, "{margin} {frame}|{end}");
        let _ = writeln!(text, "{frame}{number} |{end} {excerpt}");
        let _ = writeln!(text, "{margin} {frame}|{end} {indent}{tint}{carets}{end}");
    }
    if !diagnostic.path.is_empty() {
        let _ = writeln!(text, "{margin} {frame}={end} at: {}", diagnostic.path);
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "{margin} {frame}={end} help: {help}");
    }
}

fn write_summary(text: &mut String, report: &Report, palette: &Palette) {
    let errors = report.count(Severity::Error);
    let warnings = report.count(Severity::Warning);
    let mut summary = counted(errors, "error");
    if warnings > 0 {
        let _ = write!(summary, " and {}", counted(warnings, "warning"));
    }
    if report.omitted > 0 {
        let _ = write!(summary, ", {} more not shown", report.omitted);
    }
    if let Some(first) = report
        .diagnostics
        .iter()
        .find(|one| one.severity == Severity::Error)
    {
        let _ = write!(summary, "; `weir explain {}` says more", first.code);
    }
    let _ = writeln!(text, "{}{summary}{}", palette.strong, palette.end);
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
