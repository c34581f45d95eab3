//! `weir keys`: the installation's own keys.

mod rewrap;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::Global;
use crate::output::Output;

/// The installation's own keys: seal secrets under the present one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir keys rewrap")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Rewrap(rewrap::Arguments),
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Rewrap(_) => rewrap::run(global, output),
    }
}
