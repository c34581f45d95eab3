//! `weir restore`: a backup back into an empty database.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use weir_store::backup::{self, Summary};

use super::backup::{described, rows, shown};
use crate::cli::Global;
use crate::output::{Output, Style, hex};
use crate::records;

/// Restore all records from a backup into an empty database
///
/// The whole file is checked before anything is written, and all of it is restored or nothing. Afterwards
/// the audit of each scope has been verified, and the schema is this version's. The database may be of
/// another engine than the backup's.
///
/// With `--check` the file is only checked: no database is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir restore --check weir.backup
    weir restore weir.backup

Exit status: 0; 1 if the file is not a good backup, or the database is not empty.")]
pub(crate) struct Arguments {
    /// File that `weir backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check whether the file could be restored
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(
    global: &Global,
    arguments: &Arguments,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display();
    let line = output.progress();
    if arguments.check {
        let file = File::open(&arguments.file).with_context(|| format!("cannot read {name}"))?;
        let checked = backup::check(BufReader::new(file), |done| line.show(&shown(done)));
        line.clear();
        let summary = checked.with_context(|| format!("cannot restore {name}"))?;
        return tell(&summary, "can be restored:", &name.to_string(), output);
    }
    // A file that is not there makes no database.
    File::open(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    records::with_new(global, async |records| {
        let restored = records
            .restore_from_file(&arguments.file, |done| line.show(&shown(done)))
            .await;
        line.clear();
        let summary = restored.with_context(|| format!("cannot restore {name}"))?;
        tell(&summary, "restored:", &name.to_string(), output)
    })
}

fn tell(summary: &Summary, word: &str, name: &str, output: &Output) -> anyhow::Result<ExitCode> {
    if output.json {
        output.print_json(&described(summary))?;
    } else {
        output.print(&format!(
            "{} {name} of {}, made by weir {} on {}, has {}, SHA-256 {}\n",
            output.style(Style::Good, word),
            summary.created_at,
            summary.version,
            summary.engine,
            rows(summary),
            hex(&summary.digest),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
