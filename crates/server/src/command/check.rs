//! `weir check`: every mistake of a configuration at once.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::Value;
use weir_config::{LoadOptions, Loaded, Report};

use crate::cli::Global;
use crate::configuration;
use crate::output::{Output, Style, counted};

/// Look for mistakes in a configuration
///
/// Reads the configuration as `weir run` would, with everything that it refers to, and reports every
/// mistake with its place, its fix and a code for `weir explain`. Nothing is opened or changed.
///
/// Diagnostics go to standard error; with --json an array of them goes to standard output instead.
/// The exit status is 0 if the configuration would be accepted and 1 if not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir check
    weir check staging.yaml weir.yaml
    weir check --environment production --strict
    weir check --json
    weir check - < weir.yaml")]
pub(crate) struct Arguments {
    /// Files to check instead of --config; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Count warnings as errors, as the environment `production` always does
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let options = global.as_run_would(arguments.strict);
    let files = match arguments.files.as_slice() {
        [] => std::slice::from_ref(&global.config),
        files => files,
    };
    let mut is_valid = true;
    let mut diagnostics: Vec<Value> = Vec::new();
    for file in files {
        let verdict = check(file, &options)?;
        is_valid &= verdict.is_valid();
        if output.json {
            diagnostics.extend(verdict.to_json()?);
        } else {
            verdict.print(file, output)?;
        }
    }
    if output.json {
        output.print_json(&diagnostics)?;
    }
    Ok(if is_valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

enum Verdict {
    Loaded(Box<Loaded>),
    Refused(Report),
}

fn check(file: &Path, options: &LoadOptions) -> anyhow::Result<Verdict> {
    let result = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        configuration::load_text(&text, "<stdin>", Path::new(""), options)
    } else {
        configuration::load(file, options)
    };
    Ok(match result {
        Ok(loaded) => Verdict::Loaded(Box::new(loaded)),
        Err(report) => Verdict::Refused(report),
    })
}

impl Verdict {
    fn is_valid(&self) -> bool {
        matches!(self, Self::Loaded(_))
    }

    fn to_json(&self) -> anyhow::Result<Vec<Value>> {
        let diagnostics = match self {
            Self::Loaded(loaded) => &loaded.warnings,
            Self::Refused(report) => &report.diagnostics,
        };
        let diagnostics = diagnostics.iter().map(serde_json::to_value);
        Ok(diagnostics.collect::<Result<_, _>>()?)
    }

    fn print(&self, file: &Path, output: &Output) -> anyhow::Result<()> {
        let loaded = match self {
            Self::Loaded(loaded) => loaded,
            Self::Refused(report) => {
                output.note(&report.render(output.note_color()));
                return Ok(());
            }
        };
        for warning in &loaded.warnings {
            output.note(&format!("{}\n", warning.render(output.note_color())));
        }
        let name = if file == Path::new("-") {
            "<stdin>".into()
        } else {
            file.display().to_string()
        };
        output.print(&format!(
            "{name} {}: {}\n",
            output.style(Style::Good, "is valid"),
            summary(loaded)
        ))
    }
}

/// `3 routes, 2 upstreams, 1 listener; 1 warning`
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut text = [
        counted(config.routes.len(), "route"),
        counted(config.upstreams.len(), "upstream"),
        counted(config.listeners.len(), "listener"),
    ]
    .join(", ");
    if !loaded.warnings.is_empty() {
        text.push_str("; ");
        text.push_str(&counted(loaded.warnings.len(), "warning"));
    }
    text
}
