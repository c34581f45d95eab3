//! Who may report keys that were found where they do not belong.

use super::Keys;

/// Who is believed, and how much.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakedKeys {
    /// Whether anybody may report some.
    pub unsigned: bool,
    /// Reports that GitHub signs.
    pub github: Option<GithubReports>,
}

/// Anybody's reports and no others.
impl Default for LeakedKeys {
    fn default() -> Self {
        Self {
            unsigned: true,
            github: None,
        }
    }
}

/// Reports that GitHub's secret scanning partner programme signs.
#[derive(Clone, Debug, PartialEq)]
pub struct GithubReports {
    /// What it signs with: published or a set, never this installation's own.
    pub keys: Keys,
    /// As what this installation's keys are known to it.
    pub types: Vec<String>,
}
