//! What can go wrong, in the words that surfaces show.

use std::error::Error as StdError;
use std::time::Duration;

use weir_authorization::Fault;
use weir_store::Error as StoreError;

/// The result of an operation on organizations or people.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or not for this organization.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Another live one has this value.
    #[error("the {0} is taken")]
    Taken(&'static str),
    /// One in the trash has this value, and keeps it.
    #[error("one in the trash has this {0}")]
    TakenInTrash(&'static str),
    /// It was changed since the caller read it.
    #[error("it was changed since: it is at version {version} by now")]
    Stale {
        /// The version that it has.
        version: i64,
    },
    /// The caller must not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What was given is not acceptable.
    #[error("{field}: {why}")]
    Invalid {
        /// Which member of the request.
        field: &'static str,
        /// What is wrong with it, without repeating it.
        why: String,
    },
    /// An access policy has these mistakes.
    #[error("the access policy has mistakes")]
    InvalidPolicy(Vec<Fault>),
    /// It cannot be done in the state that things are in.
    #[error("{0}")]
    Conflict(&'static str),
    /// No mail leaves the installation, so that a letter cannot be promised.
    #[error("no mail leaves this installation")]
    NoMail,
    /// Nobody else is owner of these organizations, by their slugs.
    #[error("this is the last owner of {}: somebody else must be owner there first", listed(.0))]
    LastOwner(Vec<String>),
    /// The organization is suspended: nothing in it changes meanwhile.
    #[error("the organization is suspended")]
    Suspended,
    /// E-mail address, password, code or token are not right, or not any more. Which, is not said.
    #[error("this does not sign in: {0}")]
    Refused(&'static str),
    /// Too many attempts.
    #[error("too many attempts; try again in {} seconds", retry_after.as_secs().max(1))]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too much of this is under way already.
    #[error("too much is under way at the moment: {0}")]
    Busy(&'static str),
    /// The key of this node is not the one that records were begun with.
    #[error("the installation key is not the one that these records were begun with")]
    WrongKey,
    /// Records cannot be reached; nothing was changed.
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
    /// The stable word of its kind.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Taken(_) | Self::TakenInTrash(_) => "taken",
            Self::Stale { .. } => "stale",
            Self::Forbidden(_) => "forbidden",
            Self::Invalid { .. } | Self::InvalidPolicy(_) => "invalid",
            Self::Conflict(_) | Self::LastOwner(_) => "conflict",
            Self::NoMail => "no_mail",
            Self::Suspended => "suspended",
            Self::Refused(_) => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Busy(_) => "busy",
            Self::WrongKey => "wrong_key",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::Internal(_) => "internal",
        }
    }

    /// With all that led to it: for logs, not for clients.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }

    /// The organization that somebody names is none that they belong to, or there is none.
    pub fn no_member() -> Self {
        Self::invalid("organization", "is no organization to which you belong")
    }

    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid {
            field,
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
            StoreError::Missing(table) => Self::Missing(thing(table)),
            StoreError::Stale { version, .. } => Self::Stale { version },
            StoreError::Taken(unique) => {
                for (index, field) in TAKEN {
                    if unique.is(index) {
                        return Self::Taken(field);
                    }
                }
                Self::Internal(Box::new(StoreError::Taken(unique)))
            }
            error @ StoreError::Unavailable(_) => Self::Unavailable(error),
            error @ StoreError::Unknown(_) => Self::Unknown(error),
            error => Self::Internal(Box::new(error)),
        }
    }
}

/// What a unique index holds, as its users call it.
const TAKEN: [(&str, &str); 7] = [
    ("access_policies_by_name", "name"),
    ("idempotency_keys_by_key_hash", "Idempotency-Key"),
    ("organizations_by_slug", "slug"),
    ("users_by_email", "email"),
    ("roles_by_name", "name"),
    ("memberships_by_user_id", "user"),
    ("invitations_by_email", "email"),
];

/// Organizations that an error names.
const MOST_LISTED: usize = 10;

fn listed(slugs: &[String]) -> String {
    let named: Vec<_> = slugs
        .iter()
        .take(MOST_LISTED)
        .map(|slug| format!("`{slug}`"))
        .collect();
    let named = named.join(", ");
    match slugs.len().saturating_sub(MOST_LISTED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn thing(table: &str) -> &'static str {
    match table {
        "organizations" | "scopes" => "organization",
        "users" => "user",
        "access_policies" => "access policy",
        "roles" => "role",
        "memberships" => "member",
        "invitations" => "invitation",
        "sessions" => "session",
        "api_keys" => "api key",
        _ => "record",
    }
}
