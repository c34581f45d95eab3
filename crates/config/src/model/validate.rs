//! Validation by a contract.

use std::sync::Arc;

use weir_contract::Contract;

/// Checks messages against a contract.
#[derive(Clone, Debug)]
pub struct Validate {
    /// What they must look like.
    pub contract: Arc<Contract>,
    /// What is done about requests.
    pub request: RequestCheck,
    /// Whether responses are looked at, which never changes them.
    pub reports_responses: bool,
    /// Longest body that is looked at.
    pub body_bytes: usize,
}

/// What is done about requests that break a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestCheck {
    /// They are refused.
    Enforce,
    /// They pass and are counted.
    Report,
    /// Nobody looks.
    Off,
}
