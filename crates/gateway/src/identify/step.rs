//! One policy of a route that finds out who calls.

use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::challenge;
use super::known::Known;
use super::rules::Asked;
use super::verdict::{Told, Verdict, Wanted};
use super::way::Way;
use crate::deny::Denial;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::tls::TlsFacts;
use crate::worker::Worker;

/// One policy that identifies.
pub(super) struct Step {
    /// Its place in the configuration.
    pub(super) policy: usize,
    /// At least one; in the order in which they are tried.
    pub(super) ways: SmallVec<[Arc<Way>; 1]>,
    /// Whether requests without a credential are refused.
    pub(super) is_required: bool,
}

/// Whom a step found.
pub(super) struct Shower {
    pub(super) known: Rc<Known>,
    /// Whether another way of the step had a wrong password.
    pub(super) has_guessed: bool,
}

/// Why it is not known at once who calls.
pub(super) enum Stop {
    Denied(Denial),
    /// This way has to ask, about this credential.
    Ask(Box<(Arc<Way>, Wanted, Box<[u8]>)>),
    /// A suspect's credential is to be checked: [`Told::wait_in_line`] comes first.
    InLine,
}

impl Step {
    /// Who calls, by the first way that finds somebody; nobody if that may be.
    pub(super) fn identify(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &Fields,
        tls: Option<&TlsFacts>,
        now: u64,
        told: &mut Told,
    ) -> Result<Option<Shower>, Stop> {
        let mut bad = None;
        let mut not_enough = None;
        let mut has_guessed = false;
        let mut unavailable = None;
        for way in &self.ways {
            let credential = match way.presented(fields, tls, asked) {
                Ok(Some(credential)) => credential,
                Ok(None) => continue,
                Err(rule) => return Err(Stop::Denied(Failure::Malformed(rule).into())),
            };
            if let Some(why) = way.forbids(fields, tls, asked) {
                not_enough.get_or_insert(why);
                continue;
            }
            let known = worker
                .verified
                .get(way.id, credential, now, &worker.shared.changes);
            let counters = &worker.counters.identity;
            if let Some(known) = known {
                counters.looked(way.remembered(), true);
                return Ok(Some(Shower { known, has_guessed }));
            }
            let verdict = match told.of(way.id) {
                Some(verdict) => verdict.clone(),
                None if told.is_in_line => return Err(Stop::InLine),
                None => {
                    let verdict = way.verify(credential, tls, now);
                    // Whoever asks for another one comes here again, and this is not checked twice for that.
                    if !matches!(verdict, Verdict::Ask(_)) {
                        counters.looked(way.remembered(), false);
                        told.push(way.id, verdict.clone());
                    }
                    verdict
                }
            };
            match verdict {
                Verdict::Good(known) => {
                    let is_lasting = known.is_good(now, &worker.shared.changes);
                    if is_lasting && !way.reads_messages() {
                        worker.verified.keep(way.id, credential, &known);
                    }
                    return Ok(Some(Shower { known, has_guessed }));
                }
                Verdict::Bad(why) => {
                    has_guessed |= way.can_be_guessed();
                    bad.get_or_insert(why);
                }
                Verdict::Nobody => {}
                Verdict::NotEnough(why) => {
                    not_enough.get_or_insert(why);
                }
                Verdict::Unavailable(why) => unavailable = Some(why),
                Verdict::Ask(wanted) => {
                    let way = Arc::clone(way);
                    return Err(Stop::Ask(Box::new((way, wanted, credential.into()))));
                }
            }
        }
        // Whoever cannot be asked might have known them: nobody is told that their credential is bad then.
        match (unavailable, bad, not_enough) {
            (Some(why), ..) => Err(Stop::Denied(Failure::IdentityUnavailable(why).into())),
            (None, Some(bad), _) => Err(Stop::Denied(challenge::refused(&bad, self.ways.iter()))),
            (None, None, Some(why)) => Err(Stop::Denied(challenge::not_enough(&why))),
            (None, None, None) if self.is_required => {
                Err(Stop::Denied(challenge::missing(self.ways.iter())))
            }
            (None, None, None) => Ok(None),
        }
    }
}
