//! Which side of a split a request goes to.

use std::net::IpAddr;

use http::HeaderValue;
use weir_config::model::{HashKey, PinBy, Split, Stickiness};

use super::shares::{BUCKETS, place_of};
use crate::affinity;
use crate::cookies;
use crate::fields::Fields;

/// Keys of splits hash unlike those of targets: else one side's clients would share a target.
const SEED: u64 = 0x7370_6c69_7473_6964;

/// What of a request a split may look at.
pub(crate) struct Facts<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) address: IpAddr,
    /// Normalised.
    pub(crate) path: &'a str,
    /// Whether the client came over TLS.
    pub(crate) is_secure: bool,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Index into the split's backends.
    pub(crate) backend: usize,
    /// A `Set-Cookie` for the answer, by which the client comes back to this side.
    pub(crate) cookie: Option<HeaderValue>,
}

/// Decides: pins first, then what the client sticks to, then chance. `side` tells the backend at a
/// place of the line, `random` draws such a place.
pub(crate) fn place(
    split: &Split,
    facts: &Facts<'_>,
    side: impl Fn(u32) -> usize,
    random: impl Fn() -> u32,
) -> Placed {
    let at = |backend| Placed {
        backend,
        cookie: None,
    };
    if let Some(backend) = pinned(split, facts.fields) {
        return at(backend);
    }
    let sticky = match &split.sticky {
        None => return at(side(random())),
        Some(Stickiness::Key(key)) => return at(side(hashed(key, facts).unwrap_or_else(random))),
        Some(Stickiness::Cookie(sticky)) => sticky,
    };
    if let Some(bucket) = cookies::values(facts.fields, &sticky.name)
        .next()
        .and_then(bucket)
    {
        return at(side(place_of(bucket)));
    }
    let scaled = (u64::from(random()) * u64::from(BUCKETS)) >> 32;
    let bucket = u16::try_from(scaled).unwrap_or_default();
    let mut digits = itoa::Buffer::new();
    Placed {
        backend: side(place_of(bucket)),
        cookie: cookies::set_cookie(
            &sticky.name,
            digits.format(bucket),
            sticky.max_age,
            facts.is_secure,
        ),
    }
}

/// The backend that a pin gives the request to; an index into [`Split::backends`].
pub fn pinned(split: &Split, fields: &Fields) -> Option<usize> {
    let holds = |by: &PinBy, wanted: Option<&str>| {
        let found = match by {
            PinBy::Header(name) => fields.get(name).map(HeaderValue::as_bytes),
            PinBy::Cookie(name) => cookies::values(fields, name).next(),
        };
        match wanted {
            Some(wanted) => found == Some(wanted.as_bytes()),
            None => found.is_some(),
        }
    };
    let pin = split
        .pins
        .iter()
        .find(|pin| holds(&pin.by, pin.value.as_deref()))?;
    Some(pin.backend)
}

/// The place of a key; `None` if the request has none.
fn hashed(key: &HashKey, facts: &Facts<'_>) -> Option<u32> {
    let hash = affinity::hash(key, SEED, facts.fields, facts.path, facts.address)?;
    // The upper half: 32 bits fit.
    u32::try_from(hash >> 32).ok()
}

/// A bucket as Weir writes it: anything else was not written by Weir, and counts as no cookie.
fn bucket(value: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(value).ok()?;
    let is_plain = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let bucket = is_plain.then(|| text.parse::<u16>().ok()).flatten()?;
    (u32::from(bucket) < BUCKETS).then_some(bucket)
}

#[cfg(test)]
mod tests;
