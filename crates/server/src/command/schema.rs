//! `weir schema`: the configuration's JSON Schema.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::output::Output;

/// Print the JSON Schema of the configuration
///
/// Editors use it to complete and check the configuration as it is written. With the YAML language
/// server, this line at the top of the configuration is enough:
///
///     # yaml-language-server: $schema=weir.schema.json
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
    weir schema
    weir schema --output weir.schema.json"
)]
pub(crate) struct Arguments {
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let schema = weir_config::schema();
    let Some(path) = &arguments.output else {
        output.print_json(&schema)?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    output.note(&format!("wrote {}\n", path.display()));
    Ok(ExitCode::SUCCESS)
}
