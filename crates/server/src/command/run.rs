//! `weir run`: serves until it is told to stop.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Global;
use crate::serve::{self, RunOptions};

/// Serve traffic with a configuration
///
/// Reads the configuration, opens its listeners and forwards requests until it is told to stop.
/// A configuration with mistakes is refused as a whole, with every mistake listed. While Weir runs,
/// a changed configuration takes effect without a dropped request; one with mistakes is reported and
/// what runs stays.
///
/// Signals: SIGTERM and SIGINT finish requests under way (at most `drain_timeout`) and stop; SIGHUP
/// reads the configuration again; SIGUSR1 opens log files anew; SIGUSR2 lets a new process of the
/// installed program take over (see `weir upgrade`).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir run
    weir run -c /etc/weir/weir.yaml --data-dir /var/lib/weir
    weir run --environment production --strict")]
pub(crate) struct Arguments {
    /// If the configuration cannot be loaded, start with the last one that took effect
    #[arg(long)]
    last_good: bool,
    /// Refuse a configuration with warnings, too, as the environment `production` always does
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let strict = global.as_run_would(arguments.strict).strict;
    serve::run(RunOptions {
        config: global.config,
        data: global.data_dir,
        environment: global.environment,
        last_good: arguments.last_good,
        strict,
        on_ready: None,
    })
}
