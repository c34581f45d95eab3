//! `weir trash`: what was deleted, seen, brought back, removed for good.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::api::{Api, Ask, Column, Confirmation, List, Organization, Paging, tell};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

const COLUMNS: [Column; 5] = [
    Column::member("KIND", "/kind"),
    Column::member("NAME", "/name"),
    Column::moment("DELETED", "/deleted_at"),
    Column::moment("GOES FOR GOOD", "/purged_at"),
    Column::member("ID", "/id"),
];

/// What was deleted: list, bring back, remove for good
///
/// Organizations, accounts and resources (routes, upstreams, policies, certificates) are in the trash of the platform;
/// roles, memberships and invitations in that of their organization (`--org`). After the retention they go by themselves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir trash list
    weir trash list --org acme
    weir trash restore org_01m7ze54r9et6bezx3tq7xzhvr
    weir trash purge --org acme rol_01m7ze54r9et6bezx3tq7xzhvr")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was deleted, the latest first
    List {
        #[command(flatten)]
        organization: Organization,
        #[command(flatten)]
        paging: Paging,
    },
    /// Bring something back, with all that went with it
    Restore {
        #[command(flatten)]
        organization: Organization,
        /// Identifier
        id: String,
    },
    /// Remove something for good
    Purge {
        #[command(flatten)]
        organization: Organization,
        /// Identifier
        id: String,
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
            paging,
        } => {
            let list = List::at(organization.path(&["trash"]));
            return list.print(api, paging, &COLUMNS, output);
        }
        Action::Restore { organization, id } => {
            let restored = api.post(&organization.path(&["trash", id, "restore"]), None)?;
            let done = output.style(Style::Good, "restored");
            tell(&restored, &format!("{done} {}", printable(id)), output)?;
        }
        Action::Purge {
            organization,
            id,
            confirmation,
        } => {
            let address = organization.path(&["trash", id]);
            let what = format!("remove {} for good, with all that it has", printable(id));
            confirmation.ask(&what, output)?;
            let purged = api.delete(&address)?;
            let done = output.style(Style::Good, "purged");
            tell(&purged, &format!("{done} {}", printable(id)), output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
