//! What commands show an admin listener: from the environment, from `weir login`, or from the data
//! directory, in this order.

mod kept;

use std::sync::{Arc, Mutex, PoisonError};

use weir_core::Secret;

pub(crate) use self::kept::{Kept, KeptSession};

/// Variable with a credential for the admin listener; it wins over all others.
const VARIABLE: &str = "WEIR_TOKEN";

/// Proves who asks; clones share the token, which another one can take the place of.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    token: Arc<Mutex<Secret<String>>>,
    /// From where it is.
    pub(crate) source: Source,
}

/// From where a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `WEIR_TOKEN`.
    Variable,
    /// `weir login`, by somebody with this address.
    Session(String),
    /// The data directory, which only the operator can read.
    Operator,
}

impl Credential {
    pub(crate) fn new(token: Secret<String>, source: Source) -> Self {
        Self {
            token: Arc::new(Mutex::new(token)),
            source,
        }
    }

    /// Goes into `Authorization: Bearer`.
    pub(crate) fn token(&self) -> Secret<String> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Shows this token from now on.
    pub(crate) fn replace(&self, token: Secret<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// What the environment has.
    pub(crate) fn of_environment() -> Option<Self> {
        let token = std::env::var(VARIABLE).ok();
        let token = token.filter(|token| !token.is_empty())?;
        Some(Self::new(Secret::new(token), Source::Variable))
    }
}

/// Why a listener may have refused it, and what would help.
pub(crate) fn refused(source: Option<&Source>) -> String {
    match source {
        Some(Source::Variable) => {
            format!("the token in {VARIABLE} is not good, or not any more: set another one or none")
        }
        Some(Source::Session(email)) => format!(
            "the session of {email} has ended: `weir login` begins another, `weir logout` forgets it"
        ),
        Some(Source::Operator) => {
            "the operator's token is of another data directory than that of the \
                                   Weir that answers: --data-dir says where its data is"
                .to_owned()
        }
        None => format!(
            "this needs a credential: sign in with `weir login`, set {VARIABLE}, or name the data \
             directory with --data-dir"
        ),
    }
}
