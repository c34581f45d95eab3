//! What comes out, and why.

use std::fmt;
use std::sync::Arc;

/// Whether something is allowed, and which rules decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is.
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
    /// The rules that made it so, by name and in order: those that permit if it is allowed, those that
    /// forbid if they are the reason, else none.
    pub determining: Vec<Arc<str>>,
    /// What could not be evaluated. If there is anything, it is denied.
    pub errors: Vec<Failure>,
}

impl Decision {
    /// The denial for what could not be put to the rules at all.
    pub(crate) fn failed(message: String) -> Self {
        Self {
            allowed: false,
            reason: Reason::Failed,
            determining: Vec::new(),
            errors: vec![Failure {
                rule: None,
                message,
            }],
        }
    }
}

/// Why something is allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule permits it, and none forbids it.
    Permitted,
    /// No rule speaks of it.
    NoPermit,
    /// A rule forbids it.
    Forbidden,
    /// A rule could not be evaluated.
    Failed,
}

impl Reason {
    /// For programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::NoPermit => "no_permit",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Permitted => "a rule permits it, and none forbids it",
            Self::NoPermit => "no rule permits it",
            Self::Forbidden => "a rule forbids it",
            Self::Failed => "a rule cannot be evaluated, which denies",
        })
    }
}

/// What could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The rule; `None` if it is the question that no rule can be asked.
    pub rule: Option<Arc<str>>,
    /// What is wrong, in Cedar's words.
    pub message: String,
}
