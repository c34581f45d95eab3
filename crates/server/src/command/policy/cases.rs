//! Questions with the answers that are expected.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_authorization::Compiled;

use super::question::Asked;
use super::verdict::Verdict;
use crate::command::api::text_file;
use crate::log::printable;
use crate::output::{Output, Style, counted};

/// A question, and what is to come out.
#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    expect: Expected,
    /// A rule that is to be among those that decide.
    rule: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Allowed,
    Denied,
}

impl Case {
    fn is_met(&self, verdict: &Verdict) -> bool {
        let rule = self.rule.as_deref();
        verdict.allowed == (self.expect == Expected::Allowed)
            && rule.is_none_or(|rule| verdict.names(rule))
    }

    fn wanted(&self) -> String {
        let word = match self.expect {
            Expected::Allowed => "allowed",
            Expected::Denied => "denied",
        };
        match &self.rule {
            Some(rule) => format!("{word} by {}", printable(rule)),
            None => word.to_owned(),
        }
    }
}

/// Asks all questions of a file.
pub(super) fn run(
    file: &Path,
    compiled: &Compiled,
    now: Timestamp,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let cases = read(file)?;
    let mut failed = 0;
    let mut results = Vec::with_capacity(cases.len());
    let mut text = String::new();
    for (case, asked) in &cases {
        let name = printable(&case.name);
        let decision = asked
            .put_to(compiled, now)
            .with_context(|| format!("case {name}"))?;
        let verdict = Verdict::of(&decision, compiled);
        let is_met = case.is_met(&verdict);
        results.push(json!({
            "name": case.name,
            "passed": is_met,
            "expected": case.expect,
            "rule": case.rule,
            "got": verdict,
        }));
        if !is_met {
            failed += 1;
            let word = output.style(Style::Bad, "FAILED");
            let wanted = case.wanted();
            let got = verdict.render(output);
            text.push_str(&format!(
                "{word} {name}: {wanted} was expected\n  {}\n",
                got.trim_end().replace('\n', "\n  ")
            ));
        }
    }
    text.push_str(&format!(
        "{}, {failed} failed\n",
        counted(cases.len(), "case")
    ));
    match output.json {
        true => output.print_json(&json!({ "failed": failed, "cases": results }))?,
        false => output.print(&text)?,
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<(Case, Asked)>> {
    let text = text_file(file)?;
    let name = file.display().to_string();
    let mut document = weir_config::read_document(&text, &name)
        .with_context(|| format!("{name} cannot be used"))?;
    let Some(cases) = document.get_mut("cases").and_then(Value::as_array_mut) else {
        bail!("{name} has no list `cases`");
    };
    if cases.is_empty() {
        bail!("{name} has no cases");
    }
    let mut read = Vec::with_capacity(cases.len());
    for (number, value) in cases.iter_mut().enumerate() {
        let place = || format!("{name}: case {}", number + 1);
        let case = serde_json::from_value::<Case>(value.clone()).with_context(place)?;
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, _| !["name", "expect", "rule"].contains(&name.as_str()));
        }
        let asked = serde_json::from_value::<Asked>(value.take()).with_context(place)?;
        read.push((case, asked));
    }
    Ok(read)
}
