//! `weir requests`: what happened to the latest requests, to one of them, or to all as they end.

mod detail;
mod line;

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use form_urlencoded::Serializer;
use http::Method;
use serde_json::Value;

use super::admin_address::{self, Ask};
use crate::admin_client::{self, Admin, AdminError, Refusal};
use crate::cli::Global;
use crate::output::Output;

/// Time for one answer of the admin listener.
const WITHIN: Duration = Duration::from_secs(10);
/// How long to wait for a Weir that restarts.
const PAUSE: Duration = Duration::from_secs(1);

/// Show the latest requests, one of them in full, or all as they end
///
/// Asks the running Weir, which keeps the latest requests of the access log, and for longer those that
/// failed, were refused or took long (`admin.requests` in the configuration). With `--follow` every
/// request is shown as it ends, whether it is logged or not. Of several filters all must hold; of several
/// values of one, any.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir requests
    weir requests 4bf92f35
    weir requests --status 5xx --limit 100
    weir requests --follow --route items --slower 250ms
    weir requests --reason circuit_open --json

Exit status: 0; 1 if no request of the id is kept, or Weir cannot be asked.")]
pub(crate) struct Arguments {
    /// Id of a request or a trace, or its first 8 digits or more; shows all that is known
    #[arg(conflicts_with_all = ["follow", "limit", "Filters"])]
    id: Option<String>,
    /// Show requests as they end, until Ctrl-C
    #[arg(short, long, conflicts_with = "limit")]
    follow: bool,
    /// Most requests to show
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    ask: Ask,
}

/// Which requests.
#[derive(Debug, Args)]
#[group(id = "Filters", multiple = true)]
#[command(next_help_heading = "Filters")]
struct Filters {
    /// Name of the route; `_unrouted` where none took it
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Name of the upstream
    #[arg(long, value_name = "NAME")]
    upstream: Vec<String>,
    /// Status, or a class such as 5xx
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Why it was answered by Weir, refused or cut short
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Method
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Host, with or without its port
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Beginning of the path
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Address of the client, or a network
    #[arg(long, value_name = "ADDRESS")]
    client: Vec<String>,
    /// Those that took at least so long, such as 250ms
    #[arg(long, value_name = "DURATION")]
    slower: Option<String>,
}

impl Filters {
    fn write(&self, query: &mut Serializer<'_, String>) {
        let lists = [
            ("route", &self.route),
            ("upstream", &self.upstream),
            ("status", &self.status),
            ("reason", &self.reason),
            ("method", &self.method),
            ("host", &self.host),
            ("path", &self.path),
            ("client", &self.client),
        ];
        for (key, values) in lists {
            for value in values {
                query.append_pair(key, value);
            }
        }
        if let Some(slower) = &self.slower {
            query.append_pair("slower", slower);
        }
    }
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    if let Some(id) = &arguments.id {
        return show(admin, id, output);
    }
    let mut query = Serializer::new(String::new());
    arguments.filters.write(&mut query);
    if arguments.follow {
        query.append_pair("follow", "true");
        return follow(admin, &format!("/v1/requests?{}", query.finish()), output);
    }
    query.append_pair("limit", &arguments.limit.to_string());
    list(admin, &format!("/v1/requests?{}", query.finish()), output)
}

fn list(admin: &Admin, path: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let mut requests = ask(admin, path)?;
    if output.json {
        output.print_json(&serde_json::json!({ "requests": requests }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if requests.is_empty() {
        output.note("no such request is kept\n");
    }
    // The latest one last, where the eye is.
    requests.reverse();
    let text: String = requests
        .iter()
        .map(|request| line::render(request, output))
        .collect();
    output.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(admin: &Admin, id: &str, output: &Output) -> anyhow::Result<ExitCode> {
    // Whatever was copied along with it.
    let id = id.trim().to_ascii_lowercase();
    let is_id = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id || !(8..=32).contains(&id.len()) {
        bail!("`{id}` is no id: write its 32 hexadecimal digits, or the first 8 or more");
    }
    let requests = ask(admin, &format!("/v1/requests/{id}"))?;
    if output.json {
        output.print_json(&serde_json::json!({ "requests": requests }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let texts: Vec<String> = requests
        .iter()
        .map(|request| detail::render(request, output))
        .collect();
    output.print(&texts.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn ask(admin: &Admin, path: &str) -> anyhow::Result<Vec<Value>> {
    let response = admin_client::request(admin, Method::GET, path, WITHIN)?;
    if response.status != 200 {
        return Err(Refusal::of(&response, admin).into());
    }
    let mut body = response
        .json()
        .context("the answer of the admin listener is not JSON")?;
    match body["requests"].take() {
        Value::Array(requests) => Ok(requests),
        _ => bail!("the answer of the admin listener has no requests"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process has nothing else to do in between"
)]
fn follow(admin: &Admin, path: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let mut outcome = Ok(());
    let mut has_begun = false;
    loop {
        let ended = admin_client::follow(admin, path, |line| {
            has_begun = true;
            outcome = tell(line, output);
            if outcome.is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        std::mem::replace(&mut outcome, Ok(()))?;
        match ended {
            Ok(Some(response)) => return Err(Refusal::of(&response, admin).into()),
            // A Weir that restarts is not there for a moment.
            Ok(None) => output.note("Weir ended, or restarts; asking again\n"),
            Err(error @ AdminError::Malformed { .. }) => return Err(error.into()),
            Err(error) if !has_begun => return Err(error.into()),
            Err(_) => {}
        }
        has_begun = true;
        std::thread::sleep(PAUSE);
    }
}

fn tell(line: &str, output: &Output) -> anyhow::Result<()> {
    if line.is_empty() {
        return Ok(()); // a heartbeat
    }
    let request: Value = serde_json::from_str(line).context("a line is not JSON")?;
    if request["event.name"] == "weir.requests.missed" {
        output.note(&format!(
            "{} more ended faster than they could be told\n",
            request["count"]
        ));
        return Ok(());
    }
    if output.json {
        output.print(&format!("{line}\n"))
    } else {
        output.print(&line::render(&request, output))
    }
}
