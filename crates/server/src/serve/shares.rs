//! Places that those have who wait for something costly: whoever sends much from one address leaves places to others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use weir_gateway::Source;

/// How many places each client address has.
pub(super) struct Shares {
    each: usize,
    taken: Mutex<HashMap<Source, usize>>,
}

/// A place of one address, until it is dropped.
pub(super) struct Share<'a> {
    shares: &'a Shares,
    client: Source,
}

impl Shares {
    /// So many for each.
    pub(super) fn new(each: usize) -> Self {
        Self {
            each,
            taken: Mutex::default(),
        }
    }

    /// `None` if the address has as many as it may.
    pub(super) fn take(&self, client: IpAddr) -> Option<Share<'_>> {
        let client = Source::from(client);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.entry(client).or_default();
        if *own >= self.each {
            return None;
        }
        *own += 1;
        Some(Share {
            shares: self,
            client,
        })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = self
            .shares
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_nobody_is_kept_who_has_none() {
        let shares = Shares::new(2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = shares.take(one);
        let second = shares.take(one);
        assert!(first.is_some() && second.is_some() && shares.take(one).is_none());
        assert!(shares.take(other).is_some());
        drop(first);
        assert!(shares.take(one).is_some());
        drop(second);
        assert!(shares.taken.lock().unwrap().is_empty());
    }
}
