//! Whose traffic a route carries, and whether it may flow.
//!
//! The data plane does not know organizations; it is told how those stand whose routes it has. What it
//! was not told of flows.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval};

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::identify::{self, Known, LOOK};
use crate::worker::Worker;

/// How an organization stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Standing {
    /// Nobody has said yet: its traffic flows.
    #[default]
    Unknown,
    /// Its traffic flows.
    Active,
    /// Its traffic is refused for now.
    Suspended,
    /// There is none of this name, or not any more: so is that.
    Missing,
}

/// How organizations stand, by name.
pub type Standings = BTreeMap<String, Standing>;

/// An organization, as routes see it; it outlives revisions.
#[derive(Debug, Default)]
pub(crate) struct Organization {
    /// Relaxed: nothing else is published by it.
    standing: AtomicU8,
}

impl Organization {
    /// Whether its traffic flows.
    ///
    /// # Errors
    /// What its clients are told.
    #[inline]
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        match self.standing() {
            Standing::Unknown | Standing::Active => Ok(()),
            Standing::Suspended => Err(Failure::OrganizationSuspended),
            Standing::Missing => Err(Failure::OrganizationMissing),
        }
    }

    fn set(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Relaxed);
    }

    fn standing(&self) -> Standing {
        const ACTIVE: u8 = Standing::Active as u8;
        const SUSPENDED: u8 = Standing::Suspended as u8;
        const MISSING: u8 = Standing::Missing as u8;
        match self.standing.load(Ordering::Relaxed) {
            ACTIVE => Standing::Active,
            SUSPENDED => Standing::Suspended,
            MISSING => Standing::Missing,
            _ => Standing::Unknown,
        }
    }
}

/// All organizations that routes name.
#[derive(Debug, Default)]
pub(crate) struct Organizations(Mutex<HashMap<String, Arc<Organization>>>);

impl Organizations {
    /// As a former process was told.
    pub(crate) fn new(known: Standings) -> Self {
        let known = known.into_iter().map(|(name, standing)| {
            let organization = Organization::default();
            organization.set(standing);
            (name, Arc::new(organization))
        });
        Self(Mutex::new(known.collect()))
    }

    /// The organization of this name.
    pub(crate) fn named(&self, name: &str) -> Arc<Organization> {
        let mut all = self.lock();
        match all.get(name) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(all.entry(name.to_owned()).or_default()),
        }
    }

    /// Those that nobody has said anything of.
    pub(crate) fn unknown(&self) -> usize {
        let all = self.lock();
        let standings = all.values().map(|organization| organization.standing());
        standings
            .filter(|standing| *standing == Standing::Unknown)
            .count()
    }

    /// How all of them stand, as far as it was told.
    pub(crate) fn standings(&self) -> Standings {
        let all = self.lock();
        let standings = all
            .iter()
            .map(|(name, organization)| (name.clone(), organization.standing()));
        standings.collect()
    }

    /// Takes up how all of them stand, and forgets those that no route names any more.
    pub(crate) fn tell(&self, standing: impl Fn(&str) -> Standing) -> Standings {
        let mut all = self.lock();
        all.retain(|_, organization| Arc::strong_count(organization) > 1);
        let mut standings = Standings::new();
        for (name, organization) in &*all {
            let standing = standing(name);
            organization.set(standing);
            standings.insert(name.clone(), standing);
        }
        standings
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Organization>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body that ends when its organization may have no traffic any more, or whoever asked for it is not known
/// any more.
#[derive(Debug)]
pub(crate) struct Tied {
    pub(crate) body: Body,
    organization: Option<Arc<Organization>>,
    callers: Option<Callers>,
}

/// Whoever asked for a stream, and the worker that knows what becomes of them.
#[derive(Debug)]
pub(crate) struct Callers {
    known: Vec<Rc<Known>>,
    worker: Rc<Worker>,
    /// When it is looked whether they may go on, also if nothing passes.
    looks: Interval,
}

impl Callers {
    /// `None` if there is nobody.
    pub(crate) fn of(known: Vec<Rc<Known>>, worker: &Rc<Worker>) -> Option<Self> {
        (!known.is_empty()).then(|| Self {
            known,
            worker: Rc::clone(worker),
            looks: tokio::time::interval_at(Instant::now() + LOOK, LOOK),
        })
    }
}

/// Ties a body to them, if there are any.
pub(crate) fn tie(
    organization: Option<&Arc<Organization>>,
    callers: Option<Callers>,
    body: &mut Body,
) {
    let is_any = organization.is_some() || callers.is_some();
    if is_any && !body.is_end() {
        *body = Body::Tied(Box::new(Tied {
            body: std::mem::replace(body, Body::Empty),
            organization: organization.cloned(),
            callers,
        }));
    }
}

impl Tied {
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        while let Some(callers) = &mut self.callers
            && callers.looks.poll_tick(context).is_ready()
        {
            if let Err(failure) = self.may_go_on() {
                return Poll::Ready(Some(Err(failure)));
            }
        }
        match self.body.poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.may_go_on().map(|()| frame))),
            other => other,
        }
    }

    fn may_go_on(&self) -> Result<(), Failure> {
        if let Some(organization) = &self.organization {
            organization.admit()?;
        }
        match &self.callers {
            Some(callers) => identify::may_go_on(&callers.known, &callers.worker),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, standing: Standing) -> Standings {
        Standings::from([(name.to_owned(), standing)])
    }

    #[test]
    fn what_nobody_spoke_of_flows_and_what_was_known_holds_from_the_start() {
        let organizations = Organizations::new(known("acme", Standing::Suspended));
        let (acme, other) = (organizations.named("acme"), organizations.named("other"));
        assert_eq!(acme.admit(), Err(Failure::OrganizationSuspended));
        assert_eq!(other.admit(), Ok(()));
        assert_eq!(organizations.unknown(), 1);
        let told = organizations.tell(|name| match name {
            "acme" => Standing::Active,
            _ => Standing::Missing,
        });
        assert_eq!(told.len(), 2);
        assert_eq!(acme.admit(), Ok(()));
        assert_eq!(other.admit(), Err(Failure::OrganizationMissing));
        assert_eq!(organizations.unknown(), 0);
    }

    #[test]
    fn nobody_is_kept_who_is_not_named() {
        let organizations = Organizations::new(known("gone", Standing::Suspended));
        let one = organizations.named("one");
        drop(organizations.named("two"));
        let told = organizations.tell(|_| Standing::Active);
        assert_eq!(told, known("one", Standing::Active));
        drop(one);
        assert_eq!(organizations.tell(|_| Standing::Active), Standings::new());
    }
}
