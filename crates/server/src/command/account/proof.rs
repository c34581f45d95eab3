//! The password and the code that a change asks for.

use std::io::Read as _;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use weir_core::Secret;

use super::super::api::{self, Api, path};
use super::super::login::{need_terminal, read_password};
use crate::output::{Incomplete, Output};

/// Longer than two passwords may be.
const MOST: u64 = 64 * 1024;

/// How the password and the code are stated.
#[derive(Debug, Args)]
pub(super) struct Proof {
    /// Read the password from standard input, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// What the authenticator shows, or a recovery code; asked for where there is a second factor
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

impl Proof {
    /// The members of a request that show them.
    pub(super) fn shown(&self, api: &Api, output: &Output) -> anyhow::Result<Value> {
        let has_second_factor = has_second_factor(api)?;
        let password = match self.password_stdin {
            true => read_password()?,
            false => {
                need_terminal("--password-stdin")?;
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
        true => two_passwords()?,
        false => {
            need_terminal("--password-stdin")?;
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
        Some(code) => code.to_owned(),
        None if has_second_factor => {
            need_terminal("--code")?;
            api::line("code of the second factor: ", output)?
        }
        None => return Ok(()),
    };
    body["code"] = Value::from(code);
    Ok(())
}

fn two_passwords() -> anyhow::Result<(Secret<String>, Secret<String>)> {
    let mut text = String::new();
    std::io::stdin()
        .take(MOST)
        .read_to_string(&mut text)
        .context("cannot read the passwords from standard input")?;
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let (Some(present), Some(password)) = (lines.next(), lines.next()) else {
        bail!("standard input needs two lines: the present password, and the new one");
    };
    Ok((
        Secret::new(present.to_owned()),
        Secret::new(password.to_owned()),
    ))
}
