//! `weir demo`: a sample API with Weir in front of it, to try things out.

mod configuration;
mod sample_api;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::output::{Output, Style};
use crate::serve::{self, Ready, RunOptions};

/// Ports that the demo takes if they are free: those of the documentation.
const TRAFFIC: u16 = 8080;
const ADMIN: u16 = 9900;

/// Try it out: a sample API with Weir in front of it
///
/// Starts a small catalogue API on this machine and Weir in front of it, writes the configuration to
/// a temporary directory and prints requests to try. Edit the configuration while it runs: changes
/// take effect at once. Everything listens on 127.0.0.1 only; Ctrl-C stops it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir demo
    weir demo --directory ./try-weir")]
pub(crate) struct Arguments {
    /// Where to write the configuration instead of a temporary directory
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let directory = directory(arguments)?;
    let api = sample_api::start().context("cannot start the sample API")?;
    let (traffic, admin) = (free_port(TRAFFIC)?, free_port(ADMIN)?);
    let config = directory.join("weir.yaml");
    let text = configuration::text(traffic, admin, api, &directory);
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;

    let guide = {
        let (output, config) = (output.clone(), config.clone());
        move |ready: Ready| {
            let Some(traffic) = ready.listeners.first() else {
                return;
            };
            let guide = guide(*traffic, ready.admin, api, &config, &output);
            // Whoever closed standard output can still use the demo.
            let _ = output.print(&guide);
        }
    };
    serve::run(RunOptions {
        config,
        data: None,
        environment: None,
        last_good: false,
        strict: false,
        on_ready: Some(Box::new(guide)),
    })
}

fn directory(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    let directory = match &arguments.directory {
        Some(directory) => std::path::absolute(directory)?,
        None => std::env::temp_dir().join(format!("weir-demo-{}", std::process::id())),
    };
    let create = || {
        if arguments.directory.is_some() {
            return std::fs::create_dir_all(&directory);
        }
        // Others may write to the temporary directory: what is there already is not ours.
        private_directory(&directory)
    };
    create().with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

#[cfg(unix)]
fn private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}

/// The wanted port if it is free, else any.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("cannot listen on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// What to try, with commands that can be copied as they are.
fn guide(
    traffic: SocketAddr,
    admin: SocketAddr,
    api: SocketAddr,
    config: &Path,
    output: &Output,
) -> String {
    let strong = |text: &str| output.style(Style::Strong, text);
    let mut text = format!(
        "\n{}\n\n",
        strong("Weir is running in front of a sample API.")
    );
    text.push_str(&format!("  traffic        http://{traffic}\n"));
    text.push_str(&format!("  admin          http://{admin}\n"));
    text.push_str(&format!("  sample API     http://{api}\n"));
    text.push_str(&format!("  configuration  {}\n", config.display()));
    if let Some(directory) = config.parent() {
        text.push_str(&format!(
            "  log            {}\n",
            configuration::log(directory).display()
        ));
    }
    for (wanted, taken) in [(TRAFFIC, traffic.port()), (ADMIN, admin.port())] {
        if wanted != taken {
            text.push_str(&format!("\n  Port {wanted} was taken, so it is {taken}.\n"));
        }
    }
    text.push_str(&format!("\n{}\n\n", strong("Try, in another terminal:")));
    for (what, command) in configuration::attempts(traffic, admin, config) {
        text.push_str(&format!(
            "  {}\n  {command}\n\n",
            output.style(Style::Faint, &format!("# {what}"))
        ));
    }
    text.push_str("Edit the configuration: changes take effect at once. Ctrl-C stops.\n\n");
    text
}
