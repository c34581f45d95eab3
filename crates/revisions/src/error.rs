//! What can go wrong, in the words that surfaces show.

use std::error::Error as StdError;

use weir_config::{Report, ResourceName};
use weir_store::Error as StoreError;

/// The result of asking for revisions or making one.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done. Nothing was changed then, but for [`Error::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// The resource that was to be changed is not there.
    #[error("there is no {0}")]
    NoResource(ResourceName),
    /// The resource that was to be brought back was not deleted, or is gone for good.
    #[error("no {0} is in the trash")]
    NotInTrash(ResourceName),
    /// Somebody made a revision since the caller looked.
    #[error("it was changed since: revision {latest} is the latest by now")]
    Stale {
        /// The latest.
        latest: i64,
    },
    /// The resource is not as the caller believes.
    #[error("{resource} {}", match revision {
        Some(revision) => format!("was changed by revision {revision}"),
        None => "is not there".to_owned(),
    })]
    Precondition {
        /// Which one.
        resource: ResourceName,
        /// The revision that changed it last; none if it is not there.
        revision: Option<i64>,
    },
    /// What was given is not acceptable.
    #[error("{field}: {why}")]
    Invalid {
        /// Which member of the request.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// With this change the whole could not be used.
    #[error("the configuration would not load")]
    Refused {
        /// Why.
        report: Box<Report>,
        /// What would have become different.
        changed: Vec<ResourceName>,
    },
    /// The author may not have this secret sent on.
    #[error("{through} would have secrets of {lender} sent on")]
    NotLent {
        /// Whose secret.
        lender: ResourceName,
        /// What it would be sent along or to.
        through: ResourceName,
    },
    /// It cannot be done for now, for what the text says.
    #[error("{0}")]
    Busy(&'static str),
    /// Records cannot be reached.
    #[error("records are not available")]
    Unavailable(#[source] StoreError),
    /// Records were lost while they were to confirm: whether it was done is not known.
    #[error("whether it was done is not known")]
    Unknown(#[source] StoreError),
    /// A mistake of this program, or damaged records.
    #[error("this failed")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    pub(crate) fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            why: why.into(),
        }
    }

    pub(crate) fn internal(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            error @ StoreError::Unavailable(_) => Self::Unavailable(error),
            error @ StoreError::Unknown(_) => Self::Unknown(error),
            error => Self::Internal(Box::new(error)),
        }
    }
}
