//! Records of the running process, and of commands that go to them directly.

mod keeper;

pub(crate) use keeper::{Condition, Keeper};

use std::process::ExitCode;

use anyhow::anyhow;
use weir_config::Config;
use weir_core::Secret;
use weir_store::Records;
use weir_store::records::{Address, Options};

use crate::cli::Global;
use crate::serve::make_directory;

/// The database in the data directory.
pub(crate) const FILE: &str = "weir.db";

/// Opens what the configuration names. A server is not spoken to yet.
pub(crate) fn open(config: &Config) -> anyhow::Result<Records> {
    let settings = &config.records;
    let address = match &settings.url {
        Some(url) => Address::Postgres(Secret::new(url.expose().clone())),
        None => Address::Sqlite(config.data.join(FILE)),
    };
    address.check()?;
    Ok(Records::open(&Options {
        address,
        connections: settings.connections,
        acquire_timeout: settings.acquire_timeout,
        statement_timeout: settings.statement_timeout,
    })?)
}

/// Has a command do something with the records that the configuration names; `None` if there is no
/// database yet.
pub(crate) fn with(
    global: &Global,
    work: impl AsyncFnOnce(Option<Records>) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let config = weir_config::load(&global.config, &global.lenient())?.config;
    let is_there = config.records.url.is_some() || config.data.join(FILE).exists();
    run(async {
        let records = is_there.then(|| open(&config)).transpose()?;
        let mut outcome = work(records.clone()).await;
        if let Some(records) = records {
            outcome = outcome.map_err(|error| explained(&records, error));
            records.close().await;
        }
        outcome
    })
}

/// The same, but a database that is not there yet is made.
pub(crate) fn with_new(
    global: &Global,
    work: impl AsyncFnOnce(Records) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let config = weir_config::load(&global.config, &global.lenient())?.config;
    if config.records.url.is_none() {
        make_directory(&config.data)?;
    }
    run(async {
        let records = open(&config)?;
        let outcome = work(records.clone()).await;
        let outcome = outcome.map_err(|error| explained(&records, error));
        records.close().await;
        outcome
    })
}

/// If the file of the database is at fault, which one and what to do.
fn explained(records: &Records, error: anyhow::Error) -> anyhow::Error {
    match records.explain(error.as_ref()) {
        Some(words) => anyhow!(words),
        None => error,
    }
}

fn run(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
