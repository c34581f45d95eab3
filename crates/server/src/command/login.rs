//! `weir login`: begins a session that the commands after it go on with.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use weir_core::Secret;

use super::api::{self, Api, Ask, path, tell};
use crate::admin_client::{Refusal, reachable};
use crate::cli::Global;
use crate::credential::{Kept, KeptSession};
use crate::output::{Incomplete, Output, Style};

/// How often a second factor may be mistyped.
const ATTEMPTS: u32 = 3;
/// Longer than a password may be.
const MOST: u64 = 64 * 1024;

/// Sign in, so that other commands ask as you
///
/// Asks for address, password and, where the account has one, the second factor. The session is kept in
/// `$XDG_CONFIG_HOME/weir/credentials.json` (usually below `~/.config`), readable by you alone, for the
/// admin listener that was asked. It ends a day later, after 15 minutes without a command, or with
/// `weir logout`. Until then it wins over the operator's token; the variable WEIR_TOKEN wins over both.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir login
    weir login --email ada@acme.example
    weir login --email ada@acme.example --password-stdin < password

Exit status: 0; 1 if the sign-in is refused; 2 if something is not stated and there is no terminal.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    /// Address of the account
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Read the password from standard input, instead of asking for it
    #[arg(long, requires = "email")]
    password_stdin: bool,
    /// What the authenticator shows, or a recovery code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = Api::as_nobody(&arguments.ask, global, output)?;
    let address = reachable(api.admin().address);
    let Some(mut kept) = Kept::load()? else {
        bail!("neither XDG_CONFIG_HOME nor HOME is set: there is no place to keep a session");
    };
    let email = match &arguments.email {
        Some(email) => email.clone(),
        None => {
            need_terminal("--email")?;
            api::line("address: ", output)?
        }
    };
    let password = match arguments.password_stdin {
        true => read_password()?,
        false => {
            need_terminal("--password-stdin")?;
            api::password("password: ")?
        }
    };
    let mut step = api.post(
        &path(&["sign-in"]),
        Some(&json!({ "email": email, "password": password.expose() })),
    )?;
    if step["status"] == "second_factor" {
        step = second_factor(&api, &step, arguments.code.as_deref(), output)?;
    }
    let Some(token) = step["token"].as_str() else {
        bail!("the answer of the admin listener has no token");
    };
    let session = KeptSession {
        email: email.clone(),
        token: token.to_owned(),
    };
    kept.put(address, session)?;
    let sentence = format!(
        "{} as {email} at {address}",
        output.style(Style::Good, "signed in")
    );
    // The token is kept, not shown.
    tell(&step["session"], &sentence, output)?;
    if std::env::var_os("WEIR_TOKEN").is_some_and(|token| !token.is_empty()) {
        output.note("WEIR_TOKEN is set: as long as it is, commands ask with that\n");
    }
    Ok(ExitCode::SUCCESS)
}

fn second_factor(
    api: &Api,
    first: &Value,
    code: Option<&str>,
    output: &Output,
) -> anyhow::Result<Value> {
    let send = |code: &str| {
        let body = json!({ "token": first["second_factor_token"], "code": code });
        api.post(&path(&["sign-in", "second-factor"]), Some(&body))
    };
    if let Some(code) = code {
        return send(code);
    }
    need_terminal("--code")?;
    for _ in 1..ATTEMPTS {
        match send(&api::line("code of the second factor: ", output)?) {
            Err(error) if is_refused(&error) => output.note("that code is not right\n"),
            sent => return sent,
        }
    }
    send(&api::line("code of the second factor: ", output)?)
}

fn is_refused(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.and_then(Refusal::reason) == Some("refused")
}

pub(super) fn need_terminal(option: &str) -> anyhow::Result<()> {
    if api::has_terminal() {
        return Ok(());
    }
    Err(Incomplete(format!("there is no terminal to ask at: state {option}")).into())
}

/// The first line, as files and pipes end with a line break that is no part of it.
pub(super) fn read_password() -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    std::io::stdin()
        .take(MOST)
        .read_to_string(&mut text)
        .context("cannot read the password from standard input")?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("standard input has no password");
    }
    Ok(Secret::new(password.to_owned()))
}
