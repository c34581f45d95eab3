//! The command line's grammar and its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_config::LoadOptions;

use crate::command::{
    accept, access_policy, account, api_key, audit, backup, bans, certificate, check, completions,
    demo, doctor, dry_run, explain, import, invitation, keys, login, logout, member, migrate,
    organization, password_hash, policy, reload, requests, resource, restore, revision, role, run,
    schema, setup_link, top, traffic, trash, upgrade, upstreams, user, version, whoami,
};

/// API gateway in one binary.
///
/// Weir stands in front of your services: it routes, protects and observes their traffic. What it
/// does is written in one configuration file, which is checked as a whole before any of it takes
/// effect.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version = version::text(),
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
    weir demo                          try it out: a sample API with Weir in front
    weir check                         look for mistakes in weir.yaml
    weir run -c weir.yaml              serve
    weir match GET http://api.example.com/items/7
                                       what would happen to this request?

Exit status: 0 done; 1 it failed, or the answer is no; 2 the command line was not understood.
`weir help COMMAND` says more about each command."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "WEIR_CONFIG",
        default_value = "weir.yaml",
        help_heading = "Global options"
    )]
    pub(crate) config: PathBuf,

    /// Directory for what Weir keeps; wins over `data` in the configuration
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "WEIR_DATA",
        help_heading = "Global options"
    )]
    pub(crate) data_dir: Option<PathBuf>,

    /// Environment whose changes apply: a name under `environments` in the configuration
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "WEIR_ENVIRONMENT",
        help_heading = "Global options"
    )]
    pub(crate) environment: Option<String>,

    /// Print results as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    /// When to use colours; `auto` honours NO_COLOR
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub(crate) color: ColorChoice,
}

/// Environment in which warnings refuse a configuration, as `weir run` has it.
const PRODUCTION: &str = "production";

impl Global {
    /// How a command that only wants to look loads the configuration: warnings do no harm.
    pub(crate) fn lenient(&self) -> LoadOptions {
        self.load_options(false)
    }

    /// How `weir run` would load the configuration.
    pub(crate) fn as_run_would(&self, strict: bool) -> LoadOptions {
        self.load_options(strict || self.environment.as_deref() == Some(PRODUCTION))
    }

    fn load_options(&self, strict: bool) -> LoadOptions {
        LoadOptions {
            environment: self.environment.clone(),
            data: self.data_dir.clone(),
            strict,
            ..LoadOptions::default()
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// At a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Arguments),
    Demo(demo::Arguments),
    Check(check::Arguments),
    Match(dry_run::Arguments),
    Explain(explain::Arguments),
    Schema(schema::Arguments),
    Import(import::Arguments),
    Doctor(doctor::Arguments),
    Upstreams(upstreams::Arguments),
    Requests(requests::Arguments),
    Top(top::Arguments),
    Reload(reload::Arguments),
    Traffic(traffic::Arguments),
    Bans(bans::Arguments),
    Upgrade(upgrade::Arguments),
    /// Routes beside the configuration file: list, show, put, delete, restore
    #[command(after_help = resource::ROUTES)]
    Route(resource::Arguments),
    /// Upstreams beside the configuration file: list, show, put, delete, restore
    #[command(after_help = resource::UPSTREAMS)]
    Upstream(resource::Arguments),
    Policy(policy::Arguments),
    Certificate(certificate::Arguments),
    Revision(revision::Arguments),
    SetupLink(setup_link::Arguments),
    Accept(accept::Arguments),
    Login(login::Arguments),
    Logout(logout::Arguments),
    Whoami(whoami::Arguments),
    PasswordHash(password_hash::Arguments),
    Account(account::Arguments),
    Org(organization::Arguments),
    Member(member::Arguments),
    Role(role::Arguments),
    Invitation(invitation::Arguments),
    ApiKey(api_key::Arguments),
    AccessPolicy(access_policy::Arguments),
    User(user::Arguments),
    Trash(trash::Arguments),
    Audit(audit::Arguments),
    Keys(keys::Arguments),
    Migrate(migrate::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Completions(completions::Arguments),
    Version(version::Arguments),
}
