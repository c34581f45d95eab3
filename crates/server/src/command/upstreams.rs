//! `weir upstreams`: how the servers behind a running Weir fare, as a table.

mod age;
mod table;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use serde_json::Value;
use weir_config::suggestion;

use super::admin_address::{self, Ask};
use super::interval;
use crate::admin_client::{self, Admin, Refusal};
use crate::cli::Global;
use crate::output::Output;
pub(super) use age::short;
use table::{Earlier, Table};

/// Time for one answer of the admin listener.
const WITHIN: Duration = Duration::from_secs(5);

/// Show upstreams and their targets: health with reasons, load, latency, breakers
///
/// Asks the running Weir. With `--watch` the table refreshes until Ctrl-C, and shows how many
/// requests a second each target takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir upstreams
    weir upstreams catalog --watch
    weir upstreams --watch --interval 500ms
    weir upstreams --json

Exit status: 0 if every target shown takes traffic, 1 if one does not or the breaker is open.")]
pub(crate) struct Arguments {
    /// Upstreams to show; otherwise all
    #[arg(value_name = "UPSTREAM")]
    names: Vec<String>,
    /// Refresh the table until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// Time from one refresh to the next: 500ms, 5s, 1m
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval::parse, requires = "watch")]
    interval: Duration,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    if arguments.watch {
        return watch(admin, arguments, output);
    }
    let upstreams = ask(admin, &arguments.names)?;
    if output.json {
        output.print_json(&serde_json::json!({ "upstreams": upstreams }))?;
    } else {
        let table = Table::new(&upstreams, None, SystemTime::now());
        output.print(&table.render(output))?;
    }
    Ok(if upstreams.iter().all(table::is_well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The upstreams of these names, or all.
fn ask(admin: &Admin, names: &[String]) -> anyhow::Result<Vec<Value>> {
    let response = admin_client::request(admin, Method::GET, "/v1/upstreams", WITHIN)?;
    if response.status != 200 {
        return Err(Refusal::of(&response, admin).into());
    }
    let mut body = response
        .json()
        .context("the answer of the admin listener is not JSON")?;
    let Value::Array(upstreams) = body["upstreams"].take() else {
        bail!("the answer of the admin listener has no upstreams");
    };
    for name in names {
        if upstreams.iter().all(|upstream| upstream["name"] != **name) {
            bail!("{}", unknown(name, &upstreams));
        }
    }
    let is_wanted =
        |upstream: &Value| names.is_empty() || names.iter().any(|name| upstream["name"] == **name);
    Ok(upstreams.into_iter().filter(is_wanted).collect())
}

fn unknown(name: &str, upstreams: &[Value]) -> String {
    let known: Vec<&str> = upstreams
        .iter()
        .filter_map(|upstream| upstream["name"].as_str())
        .collect();
    let help = suggestion(name, known, "upstreams");
    format!("there is no upstream `{name}`; {help}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process has nothing else to do in between"
)]
fn watch(admin: &Admin, arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let interval = arguments.interval;
    let is_screen = std::io::stdout().is_terminal() && !output.json;
    let mut earlier: Option<Earlier> = None;
    if is_screen {
        output.print(CLEAR)?;
    }
    loop {
        // A Weir that restarts is not there for a moment: what was shown stays, with a line about it.
        match ask(admin, &arguments.names) {
            Ok(upstreams) if output.json => {
                let line = serde_json::json!({ "upstreams": upstreams });
                output.print(&format!("{line}\n"))?;
            }
            Ok(upstreams) => {
                let table = Table::new(&upstreams, earlier.as_ref(), SystemTime::now());
                let text = table.render(output);
                let shown = if is_screen {
                    format!("{HOME}{}{BELOW}", text.replace('\n', END_OF_LINE))
                } else {
                    format!("{text}\n")
                };
                output.print(&shown)?;
                earlier = Some(Earlier::new(&upstreams, Instant::now()));
            }
            Err(error) if earlier.is_none() && !output.json => return Err(error),
            Err(error) => output.note(&format!("{error:#}\n")),
        }
        std::thread::sleep(interval);
    }
}

/// Terminal sequences (ECMA-48): clear the screen; go to its first place; clear what is below; clear
/// the rest of the line and begin the next one.
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const BELOW: &str = "\x1b[J";
const END_OF_LINE: &str = "\x1b[K\n";
