//! `weir top`: how the running Weir fares, at one look that refreshes.

mod sample;
mod screen;
mod table;
mod view;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::{DefaultTerminal, restore, try_init};

use super::admin_address::{self, Ask};
use super::interval;
use crate::admin_client::Admin;
use crate::cli::Global;
use crate::output::Output;
use sample::Sample;
use view::{View, Wish};

/// Live view of routes and upstreams: rates, errors, latency, health
///
/// Asks the running Weir every second. Rates are of the last second, shares of errors and latencies of the
/// last ten. Keys: `s` sorts by the next column, arrows or `j` and `k` choose a route, `/` filters by name,
/// `space` pauses, `q` ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir top
    weir top --interval 500ms
    weir top --once
    weir top --once --json

Exit status: 0; 1 if Weir cannot be asked.")]
pub(crate) struct Arguments {
    /// Time from one look to the next: 500ms, 5s, 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval::parse)]
    interval: Duration,
    /// Print one table and end; so it is where the output is no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let admin = &admin_address::find(&arguments.ask, global, output)?;
    let interval = arguments.interval;
    let mut view = View::new(Sample::take(admin)?);
    if arguments.once || output.json || !std::io::stdout().is_terminal() {
        once(admin, interval, &mut view, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !std::io::stdin().is_terminal() {
        bail!("keys cannot be read: standard input is no terminal; use --once");
    }
    let mut terminal = try_init()?;
    let outcome = watch(&mut terminal, admin, interval, &mut view);
    restore();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Two looks, and what came to pass in between.
#[expect(
    clippy::disallowed_methods,
    reason = "the process has nothing else to do in between"
)]
fn once(admin: &Admin, interval: Duration, view: &mut View, output: &Output) -> anyhow::Result<()> {
    std::thread::sleep(interval);
    view.add(Sample::take(admin)?);
    if output.json {
        output.print_json(&table::json(view))
    } else {
        output.print(&table::text(view, output))
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    admin: &Admin,
    interval: Duration,
    view: &mut View,
) -> anyhow::Result<()> {
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| screen::draw(frame, view))?;
        let left = next.saturating_duration_since(Instant::now());
        if event::poll(left)? {
            // A new size is drawn as well.
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && view.press(key) == Wish::End
            {
                return Ok(());
            }
            continue;
        }
        next = Instant::now() + interval;
        // A Weir that restarts is not there for a moment: what was shown stays, with a line about it.
        match Sample::take(admin) {
            Ok(sample) => view.add(sample),
            Err(error) => view.fault = Some(format!("{error:#}")),
        }
    }
}
