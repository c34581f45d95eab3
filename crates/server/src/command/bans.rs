//! `weir bans`: addresses that are not served for a while, and an end to it.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Method;

use super::admin_address::{self, Ask};
use super::upstreams::short;
use crate::admin_client::{self, Admin, Refusal};
use crate::cli::Global;
use crate::log::printable;
use crate::output::{Output, Style};

/// Time for one answer of the admin listener.
const WITHIN: Duration = Duration::from_secs(5);

/// Show the addresses that are banned, or lift a ban
///
/// Asks the running Weir. IPv6 addresses are banned by network: any address of it lifts the ban.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir bans
    weir bans --lift 192.0.2.7
    weir bans --json

Exit status: 0; 1 if the address to lift is not banned, or Weir cannot be asked.")]
pub(crate) struct Arguments {
    /// Serve this address again
    #[arg(long, value_name = "ADDRESS")]
    lift: Option<IpAddr>,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    match arguments.lift {
        Some(address) => lift(admin, address, output),
        None => list(admin, output),
    }
}

fn list(admin: &Admin, output: &Output) -> anyhow::Result<ExitCode> {
    let response = admin_client::request(admin, Method::GET, "/v1/bans", WITHIN)?;
    if response.status != 200 {
        return Err(Refusal::of(&response, admin).into());
    }
    let body = response
        .json()
        .context("the answer of the admin listener is not JSON")?;
    if output.json {
        output.print_json(&body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let bans = body["bans"].as_array().map_or(&[][..], Vec::as_slice);
    if bans.is_empty() {
        output.print("nobody is banned\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let address = |at: usize| printable(bans[at]["address"].as_str().unwrap_or_default());
    let width = (0..bans.len()).map(|at| address(at).len()).max();
    let width = width.unwrap_or_default().max("ADDRESS".len());
    let mut text = output.style(Style::Faint, &format!("{:<width$}  LEFT", "ADDRESS")) + "\n";
    for (at, ban) in bans.iter().enumerate() {
        let left = ban["seconds_left"].as_f64().unwrap_or_default();
        let left = short(Duration::from_secs_f64(left.max(0.0)));
        text.push_str(&format!("{:<width$}  {left}\n", address(at)));
    }
    output.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lift(admin: &Admin, address: IpAddr, output: &Output) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/bans/{address}");
    let response = admin_client::request(admin, Method::DELETE, &path, WITHIN)?;
    let body = response.json().unwrap_or_default();
    match response.status {
        200 if output.json => {
            output.print_json(&body)?;
            Ok(ExitCode::SUCCESS)
        }
        200 => {
            output.print(&format!("{address} is served again\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        404 if !output.json => {
            output.note(&format!("{address} is not banned\n"));
            Ok(ExitCode::FAILURE)
        }
        _ => Err(Refusal::of(&response, admin).into()),
    }
}
