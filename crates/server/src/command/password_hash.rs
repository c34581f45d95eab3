//! `weir password-hash`: lines for users files.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use weir_core::Secret;
use weir_signatures::UsersFile;

use super::api;
use crate::output::Output;

/// Hash a password for the users file of a `basic` policy
///
/// Asks for the password twice, without showing it, and prints the line for the file: the name and an Argon2id
/// hash of the password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir password-hash ada
    weir password-hash ada --password-stdin < password >> users.htpasswd

Exit status: 0; 1 if the passwords differ or the name cannot be used; 2 if there is no terminal.")]
pub(crate) struct Arguments {
    /// Name of the user
    name: String,
    /// Read the password from standard input, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let password = match arguments.password_stdin {
        true => api::secret_line("password")?,
        false => ask()?,
    };
    let line = UsersFile::line(&arguments.name, password.expose())?;
    output.print(&format!("{line}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn ask() -> anyhow::Result<Secret<String>> {
    api::need_terminal("--password-stdin")?;
    let password = api::password("Password: ")?;
    let again = api::password("The same again: ")?;
    if password != again {
        bail!("the passwords differ");
    }
    if password.expose().is_empty() {
        bail!("the password is empty");
    }
    Ok(password)
}
