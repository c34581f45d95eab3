//! What came out, and which rules made it so.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use weir_authorization::{Compiled, Decision};

use crate::log::printable;
use crate::output::{Output, Style};

/// A decision, with the places of its rules.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    reason: &'static str,
    #[serde(skip)]
    why: String,
    rules: Vec<Place>,
    errors: Vec<Failed>,
}

/// A rule, and where it stands.
#[derive(Debug, Serialize)]
struct Place {
    name: String,
    effect: &'static str,
    file: String,
    line: usize,
}

/// A rule that could not be evaluated.
#[derive(Debug, Serialize)]
struct Failed {
    rule: Option<Place>,
    message: String,
}

impl Verdict {
    pub(super) fn of(decision: &Decision, compiled: &Compiled) -> Self {
        let rules = compiled.rules();
        let place = |name: &Arc<str>| {
            let rule = rules.iter().find(|rule| rule.name == *name)?;
            Some(Place {
                name: rule.name.to_string(),
                effect: if rule.forbids { "forbid" } else { "permit" },
                file: rule.policy.to_string(),
                line: rule.line,
            })
        };
        let failed = decision.errors.iter().map(|failure| Failed {
            rule: failure.rule.as_ref().and_then(place),
            message: failure.message.clone(),
        });
        Self {
            allowed: decision.allowed,
            reason: decision.reason.as_str(),
            why: decision.reason.to_string(),
            rules: decision.determining.iter().filter_map(place).collect(),
            errors: failed.collect(),
        }
    }

    /// Whether a rule of this name decided, or failed.
    pub(super) fn names(&self, rule: &str) -> bool {
        let failed = self.errors.iter().filter_map(|failed| failed.rule.as_ref());
        self.rules
            .iter()
            .chain(failed)
            .any(|place| place.name == rule)
    }

    pub(super) fn tell(&self, output: &Output) -> anyhow::Result<ExitCode> {
        match output.json {
            true => output.print_json(self)?,
            false => output.print(&self.render(output))?,
        }
        Ok(match self.allowed {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    pub(super) fn render(&self, output: &Output) -> String {
        let word = match self.allowed {
            true => output.style(Style::Good, "allowed"),
            false => output.style(Style::Bad, "denied"),
        };
        let mut text = format!("{word}: {}\n", self.why);
        for rule in &self.rules {
            text.push_str(&format!("  {}\n", rule.render()));
        }
        for Failed { rule, message } in &self.errors {
            let rule = rule
                .as_ref()
                .map_or_else(|| "the question".to_owned(), Place::render);
            text.push_str(&format!("  {rule}: {}\n", printable(message)));
        }
        text
    }
}

impl Place {
    fn render(&self) -> String {
        let Self {
            name,
            effect,
            file,
            line,
        } = self;
        let shown = printable(name);
        // A rule without a name of its own goes by its file and number.
        match name.strip_prefix(file.as_str()) {
            Some(number) if number.starts_with(':') => format!("{effect} {shown}, line {line}"),
            _ => format!("{effect} {shown}, {file}:{line}"),
        }
    }
}
