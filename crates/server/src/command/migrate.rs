//! `weir migrate`: brings the database to what this version wants, or tells what is missing.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use weir_store::Records;
use weir_store::records::{Engine, SchemaState};

use crate::cli::Global;
use crate::output::{Output, Style, counted};
use crate::records;

/// Bring the database of records up to date
///
/// `weir run` does the same when it starts. Run it by itself to take the steps before a new version is
/// started, with an account that may change the schema. Several may run at once: one takes the steps, the
/// others wait.
///
/// With `--check` nothing is changed: the exit status is 1 if steps are missing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir migrate
    weir migrate --check
    weir migrate --json

Exit status: 0; 1 if steps are missing, or the database cannot be reached or is not this version's.")]
pub(crate) struct Arguments {
    /// Only tell which steps are missing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    if arguments.check {
        records::with(global, async |records| match records {
            Some(records) => {
                let state = records.schema().await?;
                check(records.engine(), &state, output)
            }
            None => check(Engine::Sqlite, &SchemaState::of_nothing(), output),
        })
    } else {
        records::with_new(global, async |records| migrate(&records, output).await)
    }
}

fn check(engine: Engine, state: &SchemaState, output: &Output) -> anyhow::Result<ExitCode> {
    let engine = engine.name();
    let is_complete = state.pending.is_empty();
    if output.json {
        output.print_json(&json!({
            "engine": engine,
            "applied": state.applied,
            "pending": state.pending,
        }))?;
    } else if is_complete {
        output.print(&format!(
            "{} {} is up to date, at step {}\n",
            output.style(Style::Good, "ok:"),
            engine,
            state.applied
        ))?;
    } else {
        let mut text = format!(
            "{} {} lacks {}, which `weir migrate` takes:\n",
            output.style(Style::Warning, "behind:"),
            engine,
            counted(state.pending.len(), "step")
        );
        for name in &state.pending {
            text.push_str(&format!("  {name}\n"));
        }
        output.print(&text)?;
    }
    Ok(ExitCode::from(u8::from(!is_complete)))
}

async fn migrate(records: &Records, output: &Output) -> anyhow::Result<ExitCode> {
    let migrated = records.migrate().await?;
    if output.json {
        output.print_json(&json!({
            "engine": records.engine().name(),
            "applied": migrated.applied,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for name in &migrated.applied {
        text.push_str(&format!("  {name}\n"));
    }
    let said = match migrated.applied.len() {
        0 => "was up to date".to_owned(),
        steps => format!("took {}", counted(steps, "step")),
    };
    text.push_str(&format!(
        "{} {} {said}\n",
        output.style(Style::Good, "ok:"),
        records.engine().name()
    ));
    output.print(&text)?;
    Ok(ExitCode::SUCCESS)
}
