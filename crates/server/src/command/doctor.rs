//! `weir doctor`: whether this machine and this configuration go together.

mod certificates;
mod holder;
mod listeners;
mod running;
mod sealing;
mod sources;
mod storage;
mod system;
mod targets;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use weir_config::Loaded;

use crate::cli::Global;
use crate::configuration;
use crate::output::{Output, Style, counted};

/// Check whether this machine is fit to run the configuration
///
/// Looks at what `weir check` cannot see in a file: whether the configured addresses can be listened
/// on or are held by a running Weir, the limit of open files, clock, data directory, certificates,
/// kernel settings, what a running Weir says of its records and resources, whether sources of targets answer, and whether each upstream's targets can be resolved and reached within a
/// second.
/// Each finding says how to put it right. Nothing is changed.
///
/// The exit status is 1 if anything failed; warnings alone leave it 0.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    weir doctor
    weir doctor -c weir.yaml --json")]
pub(crate) struct Arguments {}

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// What kind of check, a stable word.
    name: &'static str,
    /// What was checked, if there are several: an address, a file.
    subject: Option<String>,
    status: Status,
    message: String,
    /// What to do about it.
    fix: Option<String>,
}

impl Check {
    fn new(name: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self {
            name,
            subject: None,
            status,
            message: message.into(),
            fix: None,
        }
    }

    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message)
    }

    fn warn(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, message)
    }

    fn fail(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, message)
    }

    fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

pub(crate) fn run(global: &Global, output: &Output) -> anyhow::Result<ExitCode> {
    let clock = system::Clock::start();
    let (loaded, mut checks) = configuration(global);
    if let Some(Loaded { config, .. }) = &loaded {
        checks.extend(listeners::check(config));
        checks.extend(storage::check(&config.data));
        checks.extend(running::check(config));
        checks.extend(sealing::check(config));
        checks.extend(certificates::check(config));
        let mut config = config.clone();
        checks.extend(sources::check(&mut config));
        checks.extend(targets::check(&config));
    }
    let connections = loaded
        .as_ref()
        .map(|loaded| loaded.config.limits.connections);
    checks.extend(connections.map(system::check_descriptors));
    checks.extend(system::check_kernel());
    checks.push(clock.check(&global.config));

    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (warnings, failures) = (count(Status::Warn), count(Status::Fail));
    if output.json {
        output.print_json(&json!({
            "checks": checks,
            "ok": count(Status::Ok),
            "warn": warnings,
            "fail": failures,
        }))?;
    } else {
        output.print(&render(&checks, output))?;
        let summary = match (failures, warnings) {
            (0, 0) => output.style(Style::Good, "all is well"),
            _ => format!(
                "{}, {}",
                counted(failures, "failure"),
                counted(warnings, "warning")
            ),
        };
        output.print(&format!("\n{summary}\n"))?;
    }
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Loads the configuration; without one, only the machine can be looked at.
fn configuration(global: &Global) -> (Option<Loaded>, Vec<Check>) {
    let name = "configuration";
    let file = global.config.display().to_string();
    match configuration::load(&global.config, &global.as_run_would(false)) {
        Ok(loaded) => {
            let check = match loaded.warnings.len() {
                0 => Check::ok(name, "loads without a warning"),
                warnings => {
                    Check::warn(name, format!("loads with {}", counted(warnings, "warning")))
                        .fix("`weir check` shows them")
                }
            };
            (Some(loaded), vec![check.about(file)])
        }
        Err(report) => {
            let errors = report
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == weir_config::Severity::Error)
                .count();
            let message = match report.diagnostics.as_slice() {
                [only] if only.line == 0 => only.message.clone(),
                _ => format!("has {}", counted(errors, "mistake")),
            };
            let check = Check::fail(name, message).about(file).fix(
                "`weir check` shows what is wrong; listeners, upstreams, certificates and the data \
                 directory are looked at once it loads",
            );
            (None, vec![check])
        }
    }
}

fn render(checks: &[Check], output: &Output) -> String {
    let mut text = String::new();
    for check in checks {
        let status = match check.status {
            Status::Ok => output.style(Style::Good, "ok  "),
            Status::Warn => output.style(Style::Warning, "warn"),
            Status::Fail => output.style(Style::Bad, "fail"),
        };
        let subject = check.subject.as_ref().map(|subject| format!(" {subject}"));
        let name = format!("{}{}", check.name, subject.unwrap_or_default());
        let name = output.style(Style::Strong, &name);
        text.push_str(&format!("{status}  {name}: {}\n", check.message));
        if let Some(fix) = &check.fix {
            text.push_str(&format!(
                "      {}\n",
                output.style(Style::Faint, &format!("fix: {fix}"))
            ));
        }
    }
    text
}
