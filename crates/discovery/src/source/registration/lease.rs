//! What a target says of itself, and what is answered.

use std::net::IpAddr;
use std::time::Duration;

use weir_config::model::Target;

use crate::accept::{Answer, Bounds, accept};

/// Characters of an id.
const ID_LENGTH: usize = 128;

/// A target as it announces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `host:port`, IPv6 addresses in brackets.
    pub address: String,
    /// Share of the traffic relative to its siblings, up to 1,000,000; 0 takes none.
    pub weight: u32,
    /// Availability zone.
    pub zone: Option<String>,
}

/// A registered target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The id that it chose.
    pub id: String,
    /// Where it is and what it takes.
    pub target: Target,
    /// How much longer its lease lasts.
    pub expires_in: Duration,
}

impl Registered {
    pub(super) fn new(id: &str, target: Target, expires_in: Duration) -> Self {
        Self {
            id: id.to_owned(),
            target,
            expires_in,
        }
    }
}

/// Why a target is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// There is no upstream of that name that targets register for.
    #[error("no upstream of that name takes registrations")]
    NoSuchUpstream,
    /// The token is missing or another one.
    #[error("the bearer token is missing or wrong")]
    Unauthorised,
    /// Not an id.
    #[error("an id is up to 128 letters, digits, `.`, `_`, `:` and `-`")]
    Id,
    /// Not an address to connect to.
    #[error("the address must be a host and a port such as `10.0.0.7:8080`")]
    Address,
    /// Not in the upstream's `networks`; a name could lead anywhere.
    #[error("the address is not within the upstream's `networks`")]
    OutsideNetworks,
    /// Out of range.
    #[error("a weight is a number up to 1000000")]
    Weight,
    /// Not a zone.
    #[error("a zone is up to 128 characters without controls")]
    Zone,
    /// As many as are allowed.
    #[error("{0} targets are registered, the most that `max_targets` allows")]
    Full(usize),
    /// Never registered, or expired.
    #[error("no target is registered under this id")]
    NotRegistered,
    /// It could not be kept.
    #[error("the registration cannot be kept: {0}")]
    Storage(std::io::Error),
}

pub(super) fn check_id(id: &str) -> Result<(), RegistrationError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if (1..=ID_LENGTH).contains(&id.len()) && id.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(RegistrationError::Id)
    }
}

/// The target of a registration, by the same rules as those of any other source.
pub(super) fn check(
    registration: &Registration,
    bounds: &Bounds,
) -> Result<Target, RegistrationError> {
    let (host, port) =
        weir_config::target_address(&registration.address).ok_or(RegistrationError::Address)?;
    if registration.weight > 1_000_000 {
        return Err(RegistrationError::Weight);
    }
    let target = Target {
        // Alone with weight 0 it would not be accepted.
        weight: 1,
        host,
        port,
        zone: registration.zone.clone(),
    };
    let is_address = target.host.parse::<IpAddr>().is_ok();
    let accepted =
        accept(Answer::from(vec![target]), bounds).map_err(|_| RegistrationError::Address)?;
    let Some(target) = accepted.targets.into_iter().next() else {
        let is_outside = !is_address || accepted.left_out.outside_networks > 0;
        return Err(if is_outside {
            RegistrationError::OutsideNetworks
        } else {
            RegistrationError::Address
        });
    };
    if target.zone != registration.zone {
        return Err(RegistrationError::Zone);
    }
    Ok(Target {
        weight: registration.weight,
        ..target
    })
}
