//! The password and the code that a change asks for.

use clap::Args;
use serde_json::{Value, json};

use super::super::api::{self, Api, path};
use crate::output::{Incomplete, Output};

/// How the password and the code are stated.
#[derive(Debug, Args)]
pub(super) struct Proof {
    /// Read the password from standard input, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// What the authenticator shows, or a recovery code; `-` reads it from standard input, behind the password
    ///
    /// It is asked for where there is a second factor. As an argument it is in the list of processes, where
    /// others on this machine can read it.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

impl Proof {
    /// The members of a request that show them.
    pub(super) fn shown(&self, api: &Api, output: &Output) -> anyhow::Result<Value> {
        let has_second_factor = has_second_factor(api)?;
        let password = match self.password_stdin {
            true => api::secret_line("password")?,
            false => {
                api::need_terminal("--password-stdin")?;
                api::password("password: ")?
            }
        };
        let mut body = json!({ "password": password.expose() });
        add_code(&mut body, has_second_factor, self.code.as_deref(), output)?;
        Ok(body)
    }
}

/// The body of a request for another password.
pub(super) fn new_password(
    api: &Api,
    password_stdin: bool,
    code: Option<&str>,
    output: &Output,
) -> anyhow::Result<Value> {
    let has_second_factor = has_second_factor(api)?;
    let (present, password) = match password_stdin {
        true => (
            api::secret_line("present password")?,
            api::secret_line("new password")?,
        ),
        false => {
            api::need_terminal("--password-stdin")?;
            let present = api::password("present password: ")?;
            let password = api::password("new password: ")?;
            if *api::password("again: ")?.expose() != *password.expose() {
                return Err(Incomplete("the two are not the same".to_owned()).into());
            }
            (present, password)
        }
    };
    let mut body = json!({ "present": present.expose(), "password": password.expose() });
    add_code(&mut body, has_second_factor, code, output)?;
    Ok(body)
}

fn has_second_factor(api: &Api) -> anyhow::Result<bool> {
    Ok(api.get(&path(&["me"]))?["has_second_factor"] == true)
}

fn add_code(
    body: &mut Value,
    has_second_factor: bool,
    stated: Option<&str>,
    output: &Output,
) -> anyhow::Result<()> {
    let code = match stated {
        Some("-") => api::secret_line("code")?.expose().clone(),
        Some(code) => code.to_owned(),
        None if has_second_factor => {
            api::need_terminal("--code")?;
            api::line("code of the second factor: ", output)?
        }
        None => return Ok(()),
    };
    body["code"] = Value::from(code);
    Ok(())
}
