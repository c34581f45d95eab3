//! `weir account`: one's own account.

mod proof;
mod second_factor;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::proof::Proof;
use super::api::{Api, Ask, Column, Confirmation, Table, details, path, tell};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style, counted};

const SESSIONS: [Column; 6] = [
    Column::moment("BEGAN", "/created_at"),
    Column::moment("LAST SEEN", "/last_seen_at"),
    Column::moment("ENDS", "/expires_at"),
    Column::member("ADDRESS", "/address"),
    Column::member("DEVICE", "/device"),
    Column::member("ID", "/id"),
];

/// One's own account: name, password, address, second factor, sessions
///
/// What changes how one signs in asks for the password and, where there is a second factor, for a code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir account show
    weir account password
    weir account email ada@acme.example
    weir account second-factor enrol
    weir account sessions --end-others

Exit status: 0; 1 if it is refused; 2 if something is not stated and there is no terminal.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the account
    Show,
    /// Change the name
    Update {
        /// Another name
        #[arg(long)]
        name: String,
    },
    /// Set another password, and end all other sessions
    Password {
        /// Read the present password and, from the line behind it, the new one from standard input
        #[arg(long)]
        password_stdin: bool,
        /// What the authenticator shows, or a recovery code; `-` reads it from standard input, behind the passwords
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Change the address, or verify it
    ///
    /// The new address counts once the link was opened that a letter brings there; where no mail leaves
    /// this installation, at once. All other sessions end with it.
    Email {
        /// The new address
        #[arg(value_name = "ADDRESS", required_unless_present_any = ["withdraw", "verify"])]
        email: Option<String>,
        /// Take the change back that waits for its link
        #[arg(long, conflicts_with_all = ["email", "verify"])]
        withdraw: bool,
        /// Send a link by which the present address is verified
        #[arg(long, conflicts_with = "email")]
        verify: bool,
        #[command(flatten)]
        proof: Proof,
    },
    /// The authenticator and the recovery codes
    SecondFactor {
        #[command(subcommand)]
        action: second_factor::Action,
    },
    /// List one's own sessions, or end them
    Sessions {
        /// End the one of this identifier
        #[arg(long, value_name = "ID")]
        end: Option<String>,
        /// End all but the one with which this is asked
        #[arg(long, conflicts_with = "end")]
        end_others: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::Show => {
            let me = api.get(&path(&["me"]))?;
            match output.json {
                true => output.print_json(&me)?,
                false => output.print(&details(&me, output))?,
            }
        }
        Action::Update { name } => {
            let changed = api.patch(&path(&["me"]), &json!({ "name": name }))?;
            let name = printable(changed["name"].as_str().unwrap_or_default());
            tell(&changed, &format!("the name is {name}"), output)?;
        }
        Action::Password {
            password_stdin,
            code,
        } => {
            let body = proof::new_password(api, *password_stdin, code.as_deref(), output)?;
            let set = api.put(&path(&["me", "password"]), &body)?;
            tell(
                &set,
                "the password is set; all other sessions have ended",
                output,
            )?;
        }
        Action::Email { withdraw: true, .. } => {
            let gone = api.delete(&path(&["me", "email"]))?;
            tell(&gone, "the address stays as it is", output)?;
        }
        Action::Email { verify: true, .. } => {
            let sent = api.post(&path(&["me", "email", "verify"]), None)?;
            tell(&sent, "a letter with a link is on its way", output)?;
        }
        Action::Email { email, proof, .. } => {
            change_email(api, email.as_deref().unwrap_or_default(), proof, output)?;
        }
        Action::SecondFactor { action } => second_factor::run(api, action, output)?,
        Action::Sessions {
            end: None,
            end_others: false,
            ..
        } => {
            let mut found = api.get(&path(&["me", "sessions"]))?;
            let sessions = found["items"].as_array_mut().map(std::mem::take);
            let sessions = sessions.unwrap_or_default();
            match output.json {
                true => output.print_json(&sessions)?,
                false => output.print(&Table::new(&SESSIONS).page(&sessions, output))?,
            }
        }
        Action::Sessions {
            end: Some(id),
            confirmation,
            ..
        } => {
            let shown = printable(id);
            confirmation.ask(&format!("end the session {shown}"), output)?;
            let ended = api.delete(&path(&["me", "sessions", id]))?;
            let done = output.style(Style::Good, "ended");
            tell(&ended, &format!("{done} {shown}"), output)?;
        }
        Action::Sessions { confirmation, .. } => {
            confirmation.ask("end all your other sessions", output)?;
            let ended = api.delete(&path(&["me", "sessions"]))?;
            let count = ended["ended"].as_u64().unwrap_or_default();
            let count = counted(usize::try_from(count)?, "session");
            let done = output.style(Style::Good, "ended");
            tell(&ended, &format!("{done} {count}"), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change_email(api: &Api, email: &str, proof: &Proof, output: &Output) -> anyhow::Result<()> {
    let mut body = proof.shown(api, output)?;
    body["email"] = Value::from(email);
    api.put(&path(&["me", "email"]), &body)?;
    // As it is from now on: the answer is the same whether the address is somebody's or not.
    let me = api.get(&path(&["me"]))?;
    let shown = |name: &str| printable(me[name].as_str().unwrap_or_default());
    let sentence = match me["pending_email"].is_null() {
        true => format!(
            "the address is {}; all other sessions have ended",
            shown("email")
        ),
        false => format!(
            "a letter with a link is on its way to {}; until it is opened, the address is {}",
            shown("pending_email"),
            shown("email")
        ),
    };
    tell(&me, &sentence, output)
}
