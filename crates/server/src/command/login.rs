//! `weir login`: begins a session that the commands after it go on with.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::api::{self, Api, Ask, path, tell};
use crate::admin_client::Refusal;
use crate::cli::Global;
use crate::credential::{Kept, KeptSession};
use crate::output::{Output, Style};

/// How often a second factor may be mistyped.
const ATTEMPTS: u32 = 3;

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
    weir login --email ada@acme.example --password-stdin --code - < password-and-code
    weir login --admin https://weir.example --ca authority.pem

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
    /// What the authenticator shows, or a recovery code; `-` reads it from standard input, behind the password
    ///
    /// As an argument it is in the list of processes, where others on this machine can read it.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = Api::as_nobody(&arguments.ask, global, output)?;
    let place = api.admin().place.clone();
    let Some(kept) = Kept::find() else {
        bail!("neither XDG_CONFIG_HOME nor HOME is set: there is no place to keep a session");
    };
    let email = match &arguments.email {
        Some(email) => email.clone(),
        None => {
            api::need_terminal("--email")?;
            api::line("address: ", output)?
        }
    };
    let password = match arguments.password_stdin {
        true => api::secret_line("password")?,
        false => {
            api::need_terminal("--password-stdin")?;
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
    kept.put(&place, session)?;
    let sentence = format!(
        "{} as {email} at {place}",
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
    match code {
        Some("-") => return send(api::secret_line("code")?.expose()),
        Some(code) => return send(code),
        None => {}
    }
    api::need_terminal("--code")?;
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
