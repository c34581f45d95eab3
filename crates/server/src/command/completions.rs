//! `weir completions`: scripts that let a shell complete Weir's command line.
//!
//! They know commands and options, not the names of routes or organizations: scripts that ask the program for those
//! are behind the feature `unstable-dynamic` of clap_complete, and are installed once for many versions of Weir.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output::Output;

/// Print a completion script for a shell
///
/// Write it to where the shell looks for completions, then start a new shell:
///
///     bash        ~/.local/share/bash-completion/completions/weir
///     zsh         a directory of $fpath, as _weir
///     fish        ~/.config/fish/completions/weir.fish
///     elvish      ~/.config/elvish/rc.elv, appended
///     powershell  the file that $PROFILE names, appended
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
    weir completions fish > weir.fish
    weir completions bash > weir.bash"
)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "weir", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
