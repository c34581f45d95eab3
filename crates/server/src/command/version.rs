//! `weir version`: what exactly is this program.

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::Args;
use serde_json::json;

use crate::output::Output;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Set by release builds.
const COMMIT: Option<&str> = option_env!("WEIR_COMMIT");

/// Print version, commit and platform
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir version
    weir version --json")]
pub(crate) struct Arguments {}

pub(crate) fn run(output: &Output) -> anyhow::Result<ExitCode> {
    if output.json {
        output.print_json(&json!({
            "version": VERSION,
            "commit": COMMIT,
            "platform": platform(),
        }))?;
    } else {
        output.print(&format!("weir {} {}\n", text(), platform()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `0.1.0`, or `0.1.0 (4f2a90c)` if the commit is known.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| match COMMIT {
        Some(commit) => format!("{VERSION} ({commit})"),
        None => VERSION.to_owned(),
    });
    &TEXT
}

fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}
