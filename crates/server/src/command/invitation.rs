//! `weir invitation`: who was asked to join an organization.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::{Api, Ask, Column, Confirmation, InOrganization, List, Paging, by_address, tell};
use super::role;
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 5] = [
    Column::member("EMAIL", "/email"),
    Column::member("ROLE", "/role"),
    Column::moment("EXPIRES", "/expires_at"),
    Column::moment("ACCEPTED", "/accepted_at"),
    Column::member("ID", "/id"),
];

/// Invitations to an organization: list, invite, take back, send again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir invitation list --org acme
    weir invitation create --org acme grace@acme.example --role editor
    weir invitation resend --org acme grace@acme.example
    weir invitation revoke --org acme grace@acme.example")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List invitations that wait, and those that were accepted
    List {
        #[command(flatten)]
        organization: InOrganization,
        /// Only those whose address begins with this
        #[arg(long, value_name = "PREFIX")]
        email: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Invite somebody, with or without an account
    ///
    /// They get a letter or, where no mail leaves this installation, you get the link to hand over. It
    /// works once, within seven days.
    Create {
        #[command(flatten)]
        organization: InOrganization,
        /// Whom
        email: String,
        /// Built-in (owner, admin, editor, viewer) or of the organization, by name or identifier
        #[arg(long)]
        role: String,
    },
    /// Take an invitation back: its link opens nothing any more
    Revoke {
        #[command(flatten)]
        organization: InOrganization,
        /// Address or identifier
        invitation: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Send an invitation again, for another seven days; the link before it opens nothing any more
    Resend {
        #[command(flatten)]
        organization: InOrganization,
        /// Address or identifier
        invitation: String,
    },
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let api = &Api::find(&arguments.ask, global, output)?;
    match &arguments.action {
        Action::List {
            organization,
            email,
            paging,
        } => {
            let list = List::at(organization.path(&["invitations"])).with("email", email.as_ref());
            return list.print_prepared(api, paging, &COLUMNS, output, |invitations| {
                role::name_all(api, organization, invitations)
            });
        }
        Action::Create {
            organization,
            email,
            role,
        } => {
            let role = role::assigned(api, organization, role)?;
            let new = json!({ "email": email, "role": role });
            let made = api.create(&organization.path(&["invitations"]), &new)?;
            say("invited", &made, output)?;
        }
        Action::Revoke {
            organization,
            invitation,
            confirmation,
        } => {
            let id = find(api, organization, invitation)?;
            let shown = printable(invitation);
            confirmation.ask(&format!("take the invitation of {shown} back"), output)?;
            let revoked = api.delete(&organization.path(&["invitations", &id]))?;
            let done = output.style(Style::Good, "revoked");
            tell(
                &revoked,
                &format!("{done} the invitation of {shown}"),
                output,
            )?;
        }
        Action::Resend {
            organization,
            invitation,
        } => {
            let id = find(api, organization, invitation)?;
            let address = organization.path(&["invitations", &id, "resend"]);
            say("invited again:", &api.post(&address, None)?, output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn find(api: &Api, organization: &InOrganization, named: &str) -> anyhow::Result<String> {
    by_address(
        api,
        List::at(organization.path(&["invitations"])),
        "id",
        named,
    )
}

/// The link is a result, too: alone on its line, so that it can be passed on.
fn say(done: &str, sent: &Value, output: &Output) -> anyhow::Result<()> {
    let email = printable(sent["email"].as_str().unwrap_or_default());
    let done = output.style(Style::Good, done);
    let sentence = match sent["link"].as_str() {
        Some(link) => format!(
            "{done} {email}; no mail leaves this installation, so hand over this link, which is shown only \
             here:\n{}",
            printable(link)
        ),
        None => format!("{done} {email}, by a letter"),
    };
    tell(sent, &sentence, output)
}
