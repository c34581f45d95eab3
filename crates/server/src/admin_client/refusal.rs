//! Answers that say no, and why there is none.

use std::io;

use thiserror::Error;

use super::{Admin, Place, Response};
use crate::credential;
use crate::log::printable;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    /// Nobody listens there.
    #[error("no Weir answers at {0}: is it running, and is this its admin address?")]
    Refused(Place),
    /// It took too long.
    #[error("the admin listener at {0} did not answer in time")]
    Timeout(Place),
    /// The connection failed.
    #[error("the connection to the admin listener at {place} failed")]
    Io {
        /// Who was asked.
        place: Place,
        /// Why.
        source: io::Error,
    },
    /// It is not who it has to be, or cannot agree on TLS.
    #[error("there is no TLS with {place}: --ca names an authority that the system does not know")]
    Tls {
        /// Who was asked.
        place: Place,
        /// Why.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("what listens at {place} is no admin listener: {reason}")]
    Malformed {
        /// Who was asked.
        place: Place,
        /// What was wrong with the answer.
        reason: &'static str,
    },
    /// The credential cannot be sent.
    #[error("the credential has characters that none has")]
    Credential,
}

/// An answer that says no.
#[derive(Debug, Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    text: String,
    problem: Option<serde_json::Value>,
}

impl Refusal {
    /// What an answer other than 2xx says, to what was sent with this credential.
    pub(crate) fn of(response: &Response, admin: &Admin) -> Self {
        let problem = response.json().filter(serde_json::Value::is_object);
        let member = |key: &str| problem.as_ref()?.get(key)?.as_str();
        let mut text = match (member("message").or(member("detail")), member("help")) {
            (Some(said), Some(help)) => format!("{said}; {help}"),
            (Some(said), None) => said.to_owned(),
            (None, _) => format!("the admin listener answered {}", response.status),
        };
        match (response.status, member("reason")) {
            (401, Some("unauthenticated")) => text = credential::refused(admin.source()),
            (422, Some("invalid")) => text = "the admin listener takes it for invalid:".to_owned(),
            (414 | 431, None) => {
                text = "what was asked is longer than the admin listener takes".to_owned();
            }
            (403, Some("recent_sign_in_needed")) => text.push_str(" `weir login` does that."),
            _ => {}
        }
        let errors = problem
            .as_ref()
            .and_then(|problem| problem["errors"].as_array());
        for error in errors.into_iter().flatten() {
            let part = |key: &str| error[key].as_str().map(printable).unwrap_or_default();
            let place = part("pointer");
            let place = place.trim_start_matches('/').replace('/', ".");
            text = format!("{text}\n  {place}: {}", part("detail"));
        }
        Self { text, problem }
    }

    /// The same in words that fit what was asked for.
    pub(crate) fn saying(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// Whether it says nothing of what is not there.
    pub(crate) fn is_vague(&self) -> bool {
        let detail = self
            .problem
            .as_ref()
            .and_then(|problem| problem["detail"].as_str());
        detail.is_none_or(|detail| detail == weir_console::NOTHING_HERE)
    }

    /// The stable word for why.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.problem.as_ref()?["reason"].as_str()
    }

    /// The problem details (RFC 9457), if they came.
    pub(crate) fn problem(&self) -> Option<&serde_json::Value> {
        self.problem.as_ref()
    }
}
