//! Questions to whoever sits at the terminal. They go to standard error: what a command prints can be
//! passed on.

use std::io::{self, BufRead as _, IsTerminal, Read as _};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use weir_core::Secret;

use crate::output::{Incomplete, Output};

/// More bytes than any secret has.
const MOST: u64 = 64 * 1024;

/// Whether somebody can be asked.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What is not stated has to be asked for.
///
/// # Errors
/// [`Incomplete`] where nobody can be asked.
pub(crate) fn need_terminal(option: &str) -> anyhow::Result<()> {
    if has_terminal() {
        return Ok(());
    }
    Err(Incomplete(format!("there is no terminal to ask at: state {option}")).into())
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

/// Asks for a secret; the terminal does not show it.
pub(crate) fn password(question: &str) -> anyhow::Result<Secret<String>> {
    // What is pasted as soon as the question is there comes before the terminal is told to show nothing otherwise.
    let _hidden = Hidden::begin();
    let password = rpassword::prompt_password(question).context("cannot read from the terminal")?;
    Ok(Secret::new(password))
}

/// The terminal shows nothing of what is typed for as long as this lives.
struct Hidden(Termios);

impl Hidden {
    /// `None` if it cannot be told so.
    fn begin() -> Option<Self> {
        let shown = tcgetattr(io::stdin()).ok()?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &hidden).ok()?;
        Some(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If the terminal is gone, nobody sees anything.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The next line of standard input, without its end, as files and pipes have one that is no part of it. Unlike
/// arguments, it is in no list of processes.
///
/// # Errors
/// If it is not there: `what` it should have been.
pub(crate) fn secret_line(what: &str) -> anyhow::Result<Secret<String>> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(MOST)
        .read_line(&mut line)
        .with_context(|| format!("cannot read {what} from standard input"))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        bail!("standard input has no {what}");
    }
    Ok(Secret::new(line.to_owned()))
}
