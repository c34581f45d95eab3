//! `weir accept`: does on the command line what a link opens in a browser.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use weir_core::Secret;

use super::api::{self, Api, Ask, path, tell};
use crate::cli::Global;
use crate::output::{Incomplete, Output};

/// Use a link: to set up, of an invitation, for a new password, to verify an address
///
/// The link is the one that the first start prints, that `weir invitation create` shows, or that came in a
/// letter. What it needs, address, name and password, is asked for at the terminal. Whoever was invited
/// and has an account signs in first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir accept
    weir accept - --email ada@acme.example --name Ada --password-stdin < link-and-password

Exit status: 0; 1 if the link opens nothing or what is given is refused; 2 if something is not stated
and there is no terminal.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    /// The link; `-` reads it from standard input, before the password, and without one it is asked for
    ///
    /// As an argument it stands in quotes, since shells take `?` for a pattern, and is in the list of processes, where
    /// others on this machine can read it and be faster.
    #[arg(value_name = "LINK")]
    link: Option<String>,
    /// Address of the first account
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Name of the person
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Read the password from standard input, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

/// What a link is about, by its page.
enum Page {
    Setup,
    Invitation,
    Reset,
    Verify,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let link = match arguments.link.as_deref() {
        Some("-") => api::secret_line("link")?,
        Some(link) => Secret::new(link.to_owned()),
        None => {
            api::need_terminal("the link, or `-` to read it from standard input")?;
            api::password("link: ")?
        }
    };
    let (page, token) = read(link.expose().trim())?;
    let nobody = || Api::as_nobody(&arguments.ask, global, output);
    let given = Given { arguments, output };
    let (made, sentence) = match page {
        Page::Setup => {
            let body = json!({
                "token": token,
                "email": given.email()?,
                "name": given.name()?,
                "password": given.password()?.expose(),
            });
            let made = nobody()?.post(&path(&["setup"]), Some(&body))?;
            let sentence = format!("{} owns this installation", text(&made["email"]));
            (made, sentence)
        }
        Page::Invitation => join(&given, global, &token)?,
        Page::Reset => {
            let body = json!({ "token": token, "password": given.password()?.expose() });
            let made = nobody()?.post(&path(&["password", "reset"]), Some(&body))?;
            (
                made,
                "the password is set; all sessions have ended".to_owned(),
            )
        }
        Page::Verify => {
            let body = json!({ "token": token });
            // With a session, if there is one: where the address takes the place of another, it is the one
            // that does not end.
            let api = Api::find(&arguments.ask, global, output).or_else(|_| nobody())?;
            let made = api.post(&path(&["email", "verify"]), Some(&body))?;
            (made, "the address is verified".to_owned())
        }
    };
    tell(&made, &sentence, output)?;
    Ok(ExitCode::SUCCESS)
}

fn join(given: &Given<'_>, global: &Global, token: &str) -> anyhow::Result<(Value, String)> {
    let Given { arguments, output } = given;
    let nobody = Api::as_nobody(&arguments.ask, global, output)?;
    let shown = json!({ "token": token });
    let offer = nobody.post(&path(&["invitations", "look"]), Some(&shown))?;
    let (email, organization) = (text(&offer["email"]), text(&offer["organization"]));
    let accept = path(&["invitations", "accept"]);
    let made = if offer["has_account"] == true {
        // As whoever is signed in: another account is refused.
        Api::find(&arguments.ask, global, output)?.post(&accept, Some(&shown))?
    } else {
        let question = format!("{email} is invited to {organization}\n");
        if api::has_terminal() {
            output.note(&question);
        }
        let body = json!({
            "token": token,
            "name": given.name()?,
            "password": given.password()?.expose(),
        });
        nobody.post(&accept, Some(&body))?
    };
    Ok((made, format!("{email} is a member of {organization}")))
}

/// The page and the token of a link.
fn read(link: &str) -> anyhow::Result<(Page, String)> {
    let Some((address, token)) = link
        .split_once("?token=")
        .filter(|(_, token)| !token.is_empty())
    else {
        bail!(
            "the link is not complete: something has to stand behind `?token=` in it; put it in quotes"
        );
    };
    let page = match address.rsplit('/').next().unwrap_or_default() {
        "setup" => Page::Setup,
        "accept" => Page::Invitation,
        "reset" => Page::Reset,
        "verify" => Page::Verify,
        _ => bail!(
            "this is not a link of Weir: it would end in /setup, /accept, /reset or /verify before `?`"
        ),
    };
    Ok((page, token.trim().to_owned()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What was stated, or is asked for.
struct Given<'a> {
    arguments: &'a Arguments,
    output: &'a Output,
}

impl Given<'_> {
    fn email(&self) -> anyhow::Result<String> {
        self.line(self.arguments.email.as_deref(), "--email", "address: ")
    }

    fn name(&self) -> anyhow::Result<String> {
        self.line(self.arguments.name.as_deref(), "--name", "name: ")
    }

    fn line(&self, stated: Option<&str>, option: &str, question: &str) -> anyhow::Result<String> {
        match stated {
            Some(stated) => Ok(stated.to_owned()),
            None => {
                api::need_terminal(option)?;
                api::line(question, self.output)
            }
        }
    }

    fn password(&self) -> anyhow::Result<Secret<String>> {
        if self.arguments.password_stdin {
            return api::secret_line("password");
        }
        api::need_terminal("--password-stdin")?;
        let password = api::password("password: ")?;
        if *api::password("again: ")?.expose() != *password.expose() {
            return Err(Incomplete("the two are not the same".to_owned()).into());
        }
        Ok(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_what_it_is_about() {
        let (page, token) = read("https://weir.example/accept?token=weir_once_x").unwrap();
        assert!(matches!(page, Page::Invitation));
        assert_eq!(token, "weir_once_x");
        for bad in [
            "",
            "https://weir.example/accept",
            "https://weir.example/accept?token=",
            "https://weir.example/other?token=weir_once_x",
            "weir_once_x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
