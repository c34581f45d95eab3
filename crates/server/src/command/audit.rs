//! `weir audit`: what was done, by whom, and whether that is still what was recorded.

mod entries;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::api::{Api, Ask};
use crate::cli::Global;
use crate::output::Output;

/// Look into the audit: list, export, verify
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir audit list --since 24h
    weir audit list --org acme --actor ada@acme.example
    weir audit export --org acme --since 2026-01-01 > acme.ndjson
    weir audit export --format csv > platform.csv
    weir audit verify
    weir audit verify --scope platform --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(entries::Listing),
    Export(entries::Export),
    Verify(verify::Verify),
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = || Api::find(&arguments.ask, global, output);
    match &arguments.action {
        Action::List(listing) => entries::list(&api()?, listing, output),
        Action::Export(wanted) => entries::export(&api()?, wanted, output),
        Action::Verify(wanted) => verify::run(global, wanted, output),
    }
}
