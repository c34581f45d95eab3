//! `weir audit verify`: whether what was recorded is still what was recorded.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use weir_store::Records;
use weir_store::records::Scope;

use crate::cli::Global;
use crate::output::{Output, Style, counted, hex};
use crate::records;

/// Go through the chain of every scope and find the first broken link
///
/// Goes to the database directly, so that a running Weir is neither needed nor asked. The hash at a
/// chain's end, kept elsewhere, shows later whether the chain was cut or written anew: pass it with
/// `--expect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir audit verify
    weir audit verify --scope platform

Exit status: 0; 1 if a link is broken, or the database cannot be read.")]
pub(super) struct Verify {
    /// Only this one: `platform`, or the identifier of an organization
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Scope>,
    /// Number and hash of an entry that must be in the chain, as an earlier run printed them
    #[arg(long, value_name = "NUMBER:HASH", requires = "scope")]
    expect: Option<Expected>,
}

/// An entry that is known from elsewhere.
#[derive(Clone, Debug)]
struct Expected {
    sequence: i64,
    hash: String,
}

impl std::str::FromStr for Expected {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "expected a number, a colon and 64 hexadecimal digits";
        let (sequence, hash) = text.split_once(':').ok_or(fault)?;
        let sequence = sequence.parse().map_err(|_| fault)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sequence < 1 || !is_hash {
            return Err(fault);
        }
        Ok(Self {
            sequence,
            hash: hash.to_ascii_lowercase(),
        })
    }
}

pub(super) fn run(global: &Global, verify: &Verify, output: &Output) -> anyhow::Result<ExitCode> {
    records::with(global, async |records| {
        let Some(records) = records else {
            bail!("there are no records yet: `weir run` or `weir migrate` makes them");
        };
        let pending = records.schema().await?.pending.len();
        if pending > 0 {
            bail!(
                "the database lacks {}: run `weir migrate`",
                counted(pending, "step")
            );
        }
        let scopes = match &verify.scope {
            Some(scope) => vec![scope.clone()],
            None => records.scopes().await?,
        };
        check(&records, &scopes, verify.expect.as_ref(), output).await
    })
}

async fn check(
    records: &Records,
    scopes: &[Scope],
    expected: Option<&Expected>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let mut results = Vec::with_capacity(scopes.len());
    let mut broken = 0;
    for scope in scopes {
        let name = scope.name();
        let progress = output.progress();
        let verified = records
            .verify_audit(scope, |entry| {
                progress.show(&format!("{name}: {entry} entries"));
            })
            .await?;
        progress.clear();
        let outcome = match (verified, expected) {
            (Err(link), _) => Err(link.to_string()),
            (Ok(verified), None) => Ok(verified),
            (Ok(verified), Some(expected)) => {
                match records.audit_hash(scope, expected.sequence).await? {
                    Some(hash) if hex(&hash) == expected.hash => Ok(verified),
                    Some(_) => Err(format!(
                        "entry {} is not the one that is expected: the chain was written anew",
                        expected.sequence
                    )),
                    None => Err(format!(
                        "entry {} is expected and not there: the chain was cut",
                        expected.sequence
                    )),
                }
            }
        };
        broken += usize::from(outcome.is_err());
        results.push(match &outcome {
            Ok(verified) => json!({
                "scope": name,
                "ok": true,
                "entries": verified.entries,
                "hash": hex(&verified.hash),
            }),
            Err(why) => json!({ "scope": name, "ok": false, "error": why }),
        });
        if !output.json {
            output.print(&match outcome {
                Ok(verified) => format!(
                    "{} {name}: {} {}, ends with {}:{}\n",
                    output.style(Style::Good, "ok:"),
                    verified.entries,
                    if verified.entries == 1 {
                        "entry"
                    } else {
                        "entries"
                    },
                    verified.entries,
                    hex(&verified.hash),
                ),
                Err(why) => format!("{} {name}: {why}\n", output.style(Style::Bad, "broken:")),
            })?;
        }
    }
    if output.json {
        output.print_json(&results)?;
    }
    Ok(ExitCode::from(u8::from(broken > 0)))
}
