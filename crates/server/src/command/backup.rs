//! `weir backup`: everything in records, as one file.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use weir_store::backup::{Progress, Summary};

use crate::cli::Global;
use crate::output::{Incomplete, Output, Style, counted, hex};
use crate::records;

/// Write all records into one file
///
/// Goes to the database directly, while Weir runs or not: the file has the state of one moment, and who
/// writes meanwhile goes on. It can be restored onto either engine, so this is also the way from SQLite to
/// PostgreSQL. The file is as secret as the database, and readable by its owner alone; its name is only
/// touched when all of it has reached the disk. What was cut on its way to standard output (`-`) is refused by `weir restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir backup weir.backup
    weir backup --json weir.backup
    weir backup - | gzip > weir.backup.gz

Exit status: 0; 1 if there is no backup now.")]
pub(crate) struct Arguments {
    /// File to write; a backup that is there is replaced, and nothing else. `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    records::with(global, async |records| {
        let Some(records) = records else {
            bail!("there are no records yet: `weir run` or `weir migrate` makes them");
        };
        let line = output.progress();
        let is_stream = arguments.file.as_os_str() == "-";
        let progress = |done: &Progress| line.show(&shown(done));
        let written = match is_stream {
            true => {
                refuse_terminal()?;
                let written = records.backup(std::io::stdout(), progress).await;
                written.map(|(summary, _)| summary)
            }
            false => records.backup_to_file(&arguments.file, progress).await,
        };
        line.clear();
        let name = match is_stream {
            true => "standard output".to_owned(),
            false => arguments.file.display().to_string(),
        };
        let summary = written.with_context(|| format!("cannot back up to {name}"))?;
        tell(&summary, &name, is_stream, output)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A terminal would take it for commands.
fn refuse_terminal() -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        let message = "a backup is nothing to look at: write standard output into a file or a pipe";
        return Err(Incomplete(message.to_owned()).into());
    }
    Ok(())
}

/// Where the backup itself has standard output, what is said of it goes to standard error.
fn tell(summary: &Summary, name: &str, is_stream: bool, output: &Output) -> anyhow::Result<()> {
    if output.json {
        let described = described(summary);
        return match is_stream {
            true => {
                output.note(&format!("{described:#}\n"));
                Ok(())
            }
            false => output.print_json(&described),
        };
    }
    let said = format!(
        "{name} has {}, {} bytes, SHA-256 {}\n",
        rows(summary),
        summary.bytes,
        hex(&summary.digest),
    );
    match is_stream {
        true => {
            let head = output.note_style(Style::Good, "backed up:");
            output.note(&format!("{head} {said}"));
            Ok(())
        }
        false => {
            let head = output.style(Style::Good, "backed up:");
            output.print(&format!("{head} {said}"))
        }
    }
}

/// How far it is, for a line that is written over.
pub(super) fn shown(done: &Progress) -> String {
    let percent = (done.rows * 100)
        .checked_div(done.total_rows)
        .unwrap_or(100)
        .min(100);
    format!(
        "{percent}%: {} of {} rows, {} of about {} MiB",
        done.rows,
        done.total_rows,
        done.bytes >> 20,
        done.total_bytes() >> 20
    )
}

/// The same for programs.
pub(super) fn described(summary: &Summary) -> Value {
    let tables = summary.tables.iter();
    let tables: serde_json::Map<String, Value> = tables
        .map(|(name, rows)| (name.clone(), json!(rows)))
        .collect();
    json!({
        "version": summary.version,
        "engine": summary.engine,
        "created_at": summary.created_at.to_string(),
        "rows": summary.rows(),
        "tables": tables,
        "bytes": summary.bytes,
        "sha256": hex(&summary.digest),
    })
}

pub(super) fn rows(summary: &Summary) -> String {
    counted(usize::try_from(summary.rows()).unwrap_or(usize::MAX), "row")
}
