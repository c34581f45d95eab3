//! `weir setup-link`: the link that makes whoever follows it the owner.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::api::{Api, Ask, path, tell};
use crate::cli::Global;
use crate::output::Output;

/// Print a new link to set up this installation
///
/// Whoever opens it makes the first account, which owns the platform. The link is good for a day, and
/// once; links that were made before open nothing any more. Asks with the operator's token of the data
/// directory (or WEIR_TOKEN), whoever is signed in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir setup-link

Exit status: 0; 1 if there is an owner already, or Weir cannot be asked.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = Api::as_operator(&arguments.ask, global, output)?;
    let made = api.post(&path(&["setup", "link"]), None)?;
    let link = made["link"].as_str();
    let link = link.context("the answer of the admin listener has no link")?;
    tell(&made, link, output)?;
    Ok(ExitCode::SUCCESS)
}
