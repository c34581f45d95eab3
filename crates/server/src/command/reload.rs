//! `weir reload`: asks the running Weir to read its configuration again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use crate::admin_client::{self, Response};
use crate::cli::Global;
use crate::finding::Finding;
use crate::output::{Output, Style, counted};

/// Where the admin listener is unless the configuration says otherwise.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

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
    /// Admin listener to ask; otherwise the one in the configuration
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Longest wait for the outcome
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = match arguments.admin {
        Some(admin) => admin,
        None => configured_admin(global)?,
    };
    let within = Duration::from_secs(arguments.timeout);
    let response = admin_client::request(admin, "POST", "/v1/reload", within)?;
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

/// Where the running Weir's admin listener is, as far as the configuration tells.
pub(super) fn configured_admin(global: &Global) -> anyhow::Result<SocketAddr> {
    if let Ok(loaded) = weir_config::load(&global.config, &global.lenient()) {
        return Ok(loaded.config.admin.address);
    }
    // It has mistakes, or refers to what only the running Weir can see: that is for the running Weir
    // to say, so all that is needed is where to ask.
    let text = std::fs::read_to_string(&global.config).with_context(|| {
        format!(
            "cannot read {}; state the admin address with --admin",
            global.config.display()
        )
    })?;
    Ok(written_admin(&text).unwrap_or(DEFAULT_ADMIN))
}

/// The admin address in a text that may be anything but valid: the first address in or under the
/// line `admin:`.
fn written_admin(text: &str) -> Option<SocketAddr> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("admin:"));
    let head = lines.next()?.strip_prefix("admin:")?;
    let is_below = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    let words = std::iter::once(head)
        .chain(lines.take_while(is_below))
        .flat_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            line.split([' ', '{', '}', ',', '"', '\''])
        });
    words.filter_map(|word| word.parse().ok()).next()
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

fn refusal(status: u16, body: &Value, output: &Output) -> String {
    let mut text = String::new();
    // A list, or a whole report with the list inside.
    let report = &body["diagnostics"];
    let diagnostics = report
        .as_array()
        .or_else(|| report["diagnostics"].as_array());
    let diagnostics = diagnostics.map(Vec::as_slice).unwrap_or_default();
    for diagnostic in diagnostics {
        match serde_json::from_value::<Finding>(diagnostic.clone()) {
            Ok(finding) => text.push_str(&finding.render(output)),
            Err(_) => {
                let message = diagnostic["message"].as_str().unwrap_or_default();
                text.push_str(&format!(
                    "{} {message}",
                    output.note_style(Style::Bad, "error:")
                ));
            }
        }
        text.push('\n');
    }
    let errors = diagnostics
        .iter()
        .filter(|one| one["severity"] != "warning")
        .count();
    let reason = match (body["detail"].as_str(), errors) {
        (_, 1..) => counted(errors, "error"),
        (Some(detail), _) => detail.trim_end_matches('.').to_lowercase(),
        (None, _) => format!("the admin listener answered {status}"),
    };
    let head = output.note_style(Style::Bad, "refused:");
    text.push_str(&format!("{head} {reason}; what runs stays in effect\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_found_in_a_broken_text() {
        let address = Some("127.0.0.1:9901".parse().unwrap());
        for text in [
            "admin: { address: 127.0.0.1:9901 }\nroutes: [",
            "a: b: c\nadmin:\n  # 1.1.1.1:1\n\n  address: \"127.0.0.1:9901\"\n",
            "admin:   # 127.0.0.1:1\n  address: '127.0.0.1:9901' # here\n",
        ] {
            assert_eq!(written_admin(text), address, "{text}");
        }
        for text in [
            "",
            "admin:",
            "admin: {}\nlisteners:\n  - address: 127.0.0.1:80",
            "  admin: 1.1.1.1:1",
        ] {
            assert_eq!(written_admin(text), None, "{text}");
        }
    }
}
