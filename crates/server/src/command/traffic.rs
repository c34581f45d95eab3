//! `weir traffic`: shows and changes the shares of splits while traffic flows.

mod share;
mod table;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use self::share::{Percent, Share};
use super::admin_address::{self, Ask};
use crate::admin_client::{self, Admin, Refusal, Response};
use crate::cli::Global;
use crate::output::Output;

/// Time for an answer of the admin listener.
const WITHIN: Duration = Duration::from_secs(10);

/// Show and change how splits divide their traffic
///
/// Without a command, all splits are shown: the share of each upstream, requests, failures and latency
/// of late, a shift under way and what a guard did. Changes take effect at once, without a reload. They
/// survive restarts and upgrades, and hold until `weir traffic reset`, or until the split in the
/// configuration is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir traffic
    weir traffic show items
    weir traffic set items blue=80 green=20
    weir traffic shift items green --to 50% --over 10m --watch
    weir traffic switch items green
    weir traffic rollback items")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show splits; all of them, or that of one route
    Show {
        /// Route
        route: Option<String>,
    },
    /// Give each upstream its share at once
    Set {
        /// Route
        route: String,
        /// Shares in percent, together 100; upstreams that are not named get nothing
        #[arg(required = true, value_name = "UPSTREAM=PERCENT")]
        shares: Vec<Share>,
    },
    /// Send everything to one upstream at once
    Switch {
        /// Route
        route: String,
        /// Upstream
        upstream: String,
    },
    /// Move traffic to an upstream step by step
    Shift {
        /// Route
        route: String,
        /// Upstream
        upstream: String,
        /// Its share at the end; the others divide the rest as they do now
        #[arg(long, value_name = "PERCENT", default_value = "100%")]
        to: Percent,
        /// How long that takes: 30s, 10m, 2h
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        over: String,
        /// Wait, and show how it goes, until it is done, halted or rolled back
        #[arg(long)]
        watch: bool,
    },
    /// Stop a shift where it is
    Halt {
        /// Route
        route: String,
    },
    /// Go on with a halted shift
    Resume {
        /// Route
        route: String,
    },
    /// Send everything to the first upstream of the split at once
    Rollback {
        /// Route
        route: String,
    },
    /// Return to the shares in the configuration
    Reset {
        /// Route
        route: String,
    },
}

fn duration(text: &str) -> Result<String, String> {
    weir_config::parse_duration(text).map(|_| text.to_owned())
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    let (route, change, watched) = match &arguments.action {
        None => return show(admin, None, output),
        Some(Action::Show { route }) => return show(admin, route.as_deref(), output),
        Some(Action::Set { route, shares }) => {
            let shares = shares
                .iter()
                .map(|share| (share.upstream.clone(), json!(share.percent.0)));
            (
                route,
                json!({ "set": shares.collect::<Map<_, _>>() }),
                false,
            )
        }
        Some(Action::Switch { route, upstream }) => (route, json!({ "switch": upstream }), false),
        Some(Action::Shift {
            route,
            upstream,
            to,
            over,
            watch,
        }) => {
            let to = Map::from_iter([(upstream.clone(), json!(to.0))]);
            (
                route,
                json!({ "shift": { "to": to, "over": over } }),
                *watch,
            )
        }
        Some(Action::Halt { route }) => (route, json!({ "halt": true }), false),
        Some(Action::Resume { route }) => (route, json!({ "resume": true }), false),
        Some(Action::Rollback { route }) => (route, json!({ "rollback": true }), false),
        Some(Action::Reset { route }) => (route, json!({ "reset": true }), false),
    };
    let split = send(admin, route, &change)?;
    if watched {
        return watch::watch(admin, route, output);
    }
    if output.json {
        output.print_json(&split)?;
    } else {
        output.print(&table::render(&[&split], output))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn send(admin: &Admin, route: &str, change: &Value) -> anyhow::Result<Value> {
    // As the file may name routes; anything else would be another path, and cannot be a route.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if route.is_empty() || !route.bytes().all(is_name) {
        bail!("`{}` is not the name of a route", route.escape_default());
    }
    let path = format!("/v1/traffic/{route}");
    let body = serde_json::to_vec(change)?;
    let response = admin_client::request_with(admin, Method::POST, &path, body, WITHIN)?;
    accepted(&response, admin)
}

/// The JSON of an answer that is no refusal.
fn accepted(response: &Response, admin: &Admin) -> anyhow::Result<Value> {
    let body = response
        .json()
        .context("the answer of the admin listener is not JSON")?;
    if (200..300).contains(&response.status) {
        return Ok(body);
    }
    Err(Refusal::of(response, admin).into())
}

/// All splits, as `/v1/traffic` tells them.
fn splits(admin: &Admin) -> anyhow::Result<Vec<Value>> {
    let response = admin_client::request(admin, Method::GET, "/v1/traffic", WITHIN)?;
    match accepted(&response, admin)?["splits"].take() {
        Value::Array(splits) => Ok(splits),
        _ => bail!("the admin listener knows no splits: is it of an older version?"),
    }
}

/// The split of one route.
fn split_of<'a>(splits: &'a [Value], route: &str) -> anyhow::Result<&'a Value> {
    let names = splits.iter().filter_map(|split| split["route"].as_str());
    match splits.iter().find(|split| split["route"] == route) {
        Some(split) => Ok(split),
        None => {
            let help = weir_config::suggestion(route, names, "routes with a split");
            bail!("no route `{}` with a split; {help}", route.escape_default())
        }
    }
}

fn show(admin: &Admin, route: Option<&str>, output: &Output) -> anyhow::Result<ExitCode> {
    let splits = splits(admin)?;
    let shown: Vec<&Value> = match route {
        Some(route) => vec![split_of(&splits, route)?],
        None => splits.iter().collect(),
    };
    match (output.json, route) {
        (true, Some(_)) => output.print_json(&shown[0])?,
        (true, None) => output.print_json(&json!({ "splits": shown }))?,
        (false, _) => output.print(&table::render(&shown, output))?,
    }
    Ok(ExitCode::SUCCESS)
}
