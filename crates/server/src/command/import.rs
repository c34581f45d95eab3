//! `weir import`: configurations out of what describes an API elsewhere.

mod openapi;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use weir_contract::openapi::Loss;

use crate::output::{Output, Style, counted};

/// Make a configuration of what describes an API elsewhere
///
/// What cannot be carried over is listed on standard error, with its place, and nothing is written:
/// the exit status is 1. With --allow-losses the configuration is written all the same.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir import openapi api.yaml
    weir import openapi api.yaml --output orders.yaml --upstream http://127.0.0.1:9001
    weir import openapi api.yaml --allow-losses")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    Openapi(OpenApi),
}

/// Make routes of an OpenAPI document (3.0 or 3.1, YAML or JSON)
///
/// Each path becomes a route with its methods, each server an upstream. A `validate` policy refers to
/// the document, so that parameters and bodies are checked by it.
#[derive(Debug, Args)]
struct OpenApi {
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the configuration to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where requests go, in place of the document's servers: `http://127.0.0.1:9001`
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Write the configuration even if something cannot be carried over
    #[arg(long)]
    allow_losses: bool,
}

/// A configuration, and what it lacks.
struct Imported {
    text: String,
    routes: usize,
    losses: Vec<Loss>,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> anyhow::Result<ExitCode> {
    let Source::Openapi(wanted) = &arguments.source;
    let imported = openapi::import(wanted)?;
    if output.json {
        let losses = imported.losses.iter();
        let losses: Vec<_> = losses
            .map(|loss| json!({ "place": loss.place, "what": loss.what }))
            .collect();
        output.print_json(&json!({ "configuration": imported.text, "losses": losses }))?;
    } else {
        for Loss { place, what } in &imported.losses {
            let place = output.note_style(Style::Strong, place);
            output.note(&format!("{place}: {what}\n"));
        }
    }
    if !imported.losses.is_empty() && !wanted.allow_losses {
        let lost = counted(imported.losses.len(), "thing");
        output.note(&format!(
            "{lost} cannot be carried over, so nothing was written; --allow-losses writes the rest\n"
        ));
        return Ok(ExitCode::FAILURE);
    }
    match &wanted.output {
        Some(path) => {
            std::fs::write(path, &imported.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let routes = counted(imported.routes, "route");
            output.note(&format!("wrote {} with {routes}\n", path.display()));
        }
        None if !output.json => output.print(&imported.text)?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}
