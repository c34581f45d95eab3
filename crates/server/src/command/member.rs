//! `weir member`: who belongs to an organization.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::{Api, Ask, Column, Confirmation, InOrganization, List, Paging, person, tell};
use super::role;
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 5] = [
    Column::member("EMAIL", "/email"),
    Column::member("NAME", "/name"),
    Column::member("ROLE", "/role"),
    Column::moment("SINCE", "/created_at"),
    Column::member("USER", "/user_id"),
];

/// Members of an organization: list, give another role, remove
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir member list --org acme
    weir member set-role --org acme ada@acme.example admin
    weir member remove --org acme ada@acme.example")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List members with their roles
    List {
        #[command(flatten)]
        organization: InOrganization,
        /// Only those whose address begins with this
        #[arg(long, value_name = "PREFIX")]
        email: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Give a member another role
    SetRole {
        #[command(flatten)]
        organization: InOrganization,
        /// Address or identifier
        user: String,
        /// Built-in (owner, admin, editor, viewer) or of the organization, by name or identifier
        role: String,
    },
    /// Take a member out; the membership can be brought back from the trash
    Remove {
        #[command(flatten)]
        organization: InOrganization,
        /// Address or identifier
        user: String,
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
        Action::List {
            organization,
            email,
            paging,
        } => {
            let list = List::at(organization.path(&["members"])).with("email", email.as_ref());
            return list.print_prepared(api, paging, &COLUMNS, output, |members| {
                role::name_all(api, organization, members)
            });
        }
        Action::SetRole {
            organization,
            user,
            role,
        } => {
            let user = person(api, Some(organization.name()), user)?;
            let role = role::assigned(api, organization, role)?;
            let address = organization.path(&["members", &user]);
            let mut member = api.patch(&address, &json!({ "role": role }))?;
            if !output.json {
                role::name_all(api, organization, std::slice::from_mut(&mut member))?;
            }
            let sentence = format!(
                "{} {} is {} now",
                output.style(Style::Good, "changed:"),
                text(&member, "email"),
                text(&member, "role")
            );
            tell(&member, &sentence, output)?;
        }
        Action::Remove {
            organization,
            user,
            confirmation,
        } => {
            let id = person(api, Some(organization.name()), user)?;
            let shown = printable(user);
            let place = printable(organization.name());
            confirmation.ask(&format!("take {shown} out of {place}"), output)?;
            let removed = api.delete(&organization.path(&["members", &id]))?;
            let done = output.style(Style::Good, "removed");
            tell(&removed, &format!("{done} {shown} from {place}"), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(member: &Value, name: &str) -> String {
    printable(member[name].as_str().unwrap_or_default())
}
