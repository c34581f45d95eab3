//! Questions to whoever sits at the terminal. They go to standard error: what a command prints can be
//! passed on.

use std::io::{self, IsTerminal};

use anyhow::{Context, bail};
use weir_core::Secret;

use crate::output::Output;

/// Whether somebody can be asked.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line.
pub(crate) fn line(question: &str, output: &Output) -> anyhow::Result<String> {
    output.note(question);
    let mut line = String::new();
    let length = io::stdin()
        .read_line(&mut line)
        .context("cannot read from the terminal")?;
    if length == 0 {
        bail!("nothing was answered");
    }
    Ok(line.trim().to_owned())
}

/// Asks for a password; the terminal does not show it.
pub(crate) fn password(question: &str) -> anyhow::Result<Secret<String>> {
    let password = rpassword::prompt_password(question).context("cannot read from the terminal")?;
    Ok(Secret::new(password))
}
