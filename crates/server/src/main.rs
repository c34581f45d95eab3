//! The `weir` binary: reads the command line and hands over to one command.

mod admin;
mod admin_client;
mod cli;
mod codes;
mod command;
mod configuration;
mod credential;
mod deeds;
mod failure;
mod installation_key;
mod log;
mod operator;
mod otlp;
mod output;
mod panics;
mod people;
mod records;
mod redact;
mod requests;
mod serve;

use std::process::ExitCode;

use clap::Parser;
use weir_config::ResourceKind;

use crate::cli::{Cli, Command};
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which each thread then holds some for the little that it
    // needs: that is most of an idle process. Without them requests cost the same (measured with
    // `make bench`, HTTP/1.1, HTTP/2 and TLS). Where the system knows none, nothing is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let mut cli = Cli::parse();
    // A variable that is set to nothing, as Compose files do, is not set.
    cli.global.environment = cli.global.environment.filter(|name| !name.is_empty());
    let output = Output::new(cli.global.color, cli.global.json);
    match dispatch(cli, &output) {
        Ok(code) => code,
        Err(error) => output.fail(&error),
    }
}

fn dispatch(cli: Cli, output: &Output) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Run(arguments) => command::run::run(global, &arguments),
        Command::Demo(arguments) => command::demo::run(&arguments, output),
        Command::Check(arguments) => command::check::run(&global, &arguments, output),
        Command::Explain(arguments) => command::explain::run(&arguments, output),
        Command::Schema(arguments) => command::schema::run(&arguments, output),
        Command::Import(arguments) => command::import::run(&arguments, output),
        Command::Match(arguments) => command::dry_run::run(&global, &arguments, output),
        Command::Doctor(_) => command::doctor::run(&global, output),
        Command::Upstreams(arguments) => command::upstreams::run(&global, &arguments, output),
        Command::Requests(arguments) => command::requests::run(&global, &arguments, output),
        Command::Bans(arguments) => command::bans::run(&global, &arguments, output),
        Command::Top(arguments) => command::top::run(&global, &arguments, output),
        Command::Reload(arguments) => command::reload::run(&global, &arguments, output),
        Command::Traffic(arguments) => command::traffic::run(&global, &arguments, output),
        Command::Upgrade(arguments) => command::upgrade::run(&global, &arguments, output),
        Command::Login(arguments) => command::login::run(&global, &arguments, output),
        Command::Logout(arguments) => command::logout::run(&global, &arguments, output),
        Command::Whoami(arguments) => command::whoami::run(&global, &arguments, output),
        Command::PasswordHash(arguments) => command::password_hash::run(&arguments, output),
        Command::Account(arguments) => command::account::run(&global, &arguments, output),
        Command::Accept(arguments) => command::accept::run(&global, &arguments, output),
        Command::SetupLink(arguments) => command::setup_link::run(&global, &arguments, output),
        Command::Org(arguments) => command::organization::run(&global, &arguments, output),
        Command::Member(arguments) => command::member::run(&global, &arguments, output),
        Command::Role(arguments) => command::role::run(&global, &arguments, output),
        Command::Route(arguments) => {
            command::resource::run(ResourceKind::Route, &global, &arguments, output)
        }
        Command::Upstream(arguments) => {
            command::resource::run(ResourceKind::Upstream, &global, &arguments, output)
        }
        Command::Policy(arguments) => command::policy::run(&global, &arguments, output),
        Command::Certificate(arguments) => command::certificate::run(&global, &arguments, output),
        Command::Revision(arguments) => command::revision::run(&global, &arguments, output),
        Command::Invitation(arguments) => command::invitation::run(&global, &arguments, output),
        Command::ApiKey(arguments) => command::api_key::run(&global, &arguments, output),
        Command::AccessPolicy(arguments) => {
            command::access_policy::run(&global, &arguments, output)
        }
        Command::User(arguments) => command::user::run(&global, &arguments, output),
        Command::Trash(arguments) => command::trash::run(&global, &arguments, output),
        Command::Keys(arguments) => command::keys::run(&global, &arguments, output),
        Command::Migrate(arguments) => command::migrate::run(&global, &arguments, output),
        Command::Audit(arguments) => command::audit::run(&global, &arguments, output),
        Command::Backup(arguments) => command::backup::run(&global, &arguments, output),
        Command::Restore(arguments) => command::restore::run(&global, &arguments, output),
        Command::Completions(arguments) => command::completions::run(&arguments, output),
        Command::Version(_) => command::version::run(output),
    }
}
