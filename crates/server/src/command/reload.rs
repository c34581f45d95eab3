//! `weir reload`: asks the running Weir to read its configuration again.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::admin_address::{self, Ask};
use crate::admin_client::{self, Refusal, Response};
use crate::cli::Global;
use crate::output::{Output, Style};

/// Ask the running Weir to read its configuration again
///
/// Waits for the outcome. If the new configuration has mistakes they are printed, what runs stays in
/// effect, and the exit status is 1. Weir also notices changed files by itself; this command is for
/// scripts that need to know how it went.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir reload
    weir reload -c /etc/weir/weir.yaml
    weir reload --admin 127.0.0.1:9900 --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    ask: Ask,
    /// Longest wait for the outcome
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    let within = Duration::from_secs(arguments.timeout);
    let response = admin_client::request(admin, Method::POST, "/v1/reload", within)?;
    if matches!(response.status, 401 | 403) {
        return Err(Refusal::of(&response, admin).into());
    }
    if output.json {
        let body = response
            .json()
            .context("the answer of the admin listener is not JSON")?;
        output.print_json(&body)?;
    } else {
        print(&response, output)?;
    }
    let is_success = (200..300).contains(&response.status);
    Ok(if is_success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(response: &Response, output: &Output) -> anyhow::Result<()> {
    let body = response.json().unwrap_or(Value::Null);
    if !(200..300).contains(&response.status) {
        output.note(&refusal(response.status, &body, output));
        return Ok(());
    }
    let revision = match &body["revision"] {
        Value::Object(revision) => revision.get("number").and_then(Value::as_u64),
        number => number.as_u64(),
    };
    let revision = revision
        .map(|number| format!("revision {number}"))
        .unwrap_or("it".into());
    let text = match body["outcome"].as_str() {
        Some("unchanged") => format!("nothing changed: {revision} stays in effect\n"),
        _ => format!(
            "{} {revision} is in effect\n",
            output.style(Style::Good, "reloaded:")
        ),
    };
    output.print(&text)
}

/// What `weir check` would print of the configuration, or why the reload was not tried.
fn refusal(status: u16, body: &Value, output: &Output) -> String {
    let head = output.note_style(Style::Bad, "refused:");
    let end = "what runs stays in effect";
    match (body["message"].as_str(), body["detail"].as_str()) {
        (Some(report), _) => {
            let report: String = report.lines().map(|line| painted(line, output)).collect();
            format!("{report}{head} {end}\n")
        }
        (None, Some(detail)) => {
            let detail = detail.trim_end_matches('.').to_lowercase();
            format!("{head} {detail}; {end}\n")
        }
        (None, None) => format!("{head} the admin listener answered {status}; {end}\n"),
    }
}

/// A line of a report, which comes without colours, with a diagnostic's head in its own.
fn painted(line: &str, output: &Output) -> String {
    let style = if line.starts_with("error[") {
        Style::Bad
    } else {
        Style::Warning
    };
    match line.split_once(": ") {
        Some((head, rest)) if head.starts_with("error[") || head.starts_with("warning[") => {
            format!("{}: {rest}\n", output.note_style(style, head))
        }
        _ => format!("{line}\n"),
    }
}
