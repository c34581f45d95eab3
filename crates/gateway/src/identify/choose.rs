//! Routes that differ by who is calling: that is found out first, and once, and the route follows from it.
//!
//! All such routes of one host and path find it out by the same policies; a configuration in which they do not is
//! refused. So it does not matter by whose policies it is done, and nobody chooses who vouches for them.

use std::rc::Rc;

use super::{Access, Asked, Callers, Known, Told, challenge};
use crate::body::Body;
use crate::client::Client;
use crate::deny::Denial;
use crate::fields::Fields;
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::router::{Caller, Found, RouteRequest};
use crate::shaping;
use crate::snapshot::LocalSnapshot;
use crate::timer::Timer;
use crate::worker::Worker;

/// Where the routes stand of which one is to be chosen.
pub(crate) struct Choice<'a> {
    pub(crate) client: &'a Client,
    pub(crate) snapshot: &'a LocalSnapshot,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) timer: &'a Timer,
}

/// The route that was chosen.
pub(crate) struct Chosen {
    pub(crate) found: Found,
    pub(crate) body: Body,
    /// Who calls, if the route's own policies ask in the same way.
    pub(crate) caller: Option<Callers>,
}

/// Who calls, before there is a route.
enum Who {
    Known(Rc<Known>, Callers),
    /// Nobody showed a credential. What they are told where one is needed.
    Nobody(Denial),
}

impl Choice<'_> {
    /// Finds out who calls, by the policies of the most specific route, and which route is theirs.
    ///
    /// # Errors
    /// 401 for a credential that is not good, whichever routes there are, and for none where no route goes without;
    /// 404 for claims that no route asks for; and what [`Access::read_message`] and look-ups say.
    pub(crate) async fn choose(
        &self,
        first: Found,
        head: &mut RequestHead,
        mut body: Body,
        record: &mut Recorder,
    ) -> Result<Chosen, Denial> {
        let route = &self.snapshot.routes[first.route];
        // Refusals are its own, until it is known which route it is.
        record.route = Some(first.route);
        shaping::note_origin(route, head, record);
        let who = match &route.access {
            Some(access) => {
                let mut told = Told::nothing(self.client);
                if access.reads_messages() {
                    let read = access.read_message(self.client, head, body, self.timer, record);
                    (body, told) = read.await?;
                }
                let worker = &self.client.worker;
                let asked = Asked {
                    method: &head.method,
                    host: self.host,
                    authority: &head.authority,
                    path: self.path,
                    query: head.query.as_deref(),
                    is_upgrade: !head.upgrade.is_none(),
                    route: &access.facts,
                    client: record.client_address,
                    risk: &worker.shared.risk,
                };
                let who = access.find_out(worker, &asked, &head.fields, told, record);
                who.await?
            }
            None => Who::Nobody(challenge::missing(std::iter::empty())),
        };
        let wanted = RouteRequest {
            host: self.host,
            path: self.path,
            query: head.query.as_deref(),
            method: &head.method,
            fields: &head.fields,
        };
        let caller = match &who {
            Who::Known(known, _) => Caller::Known(&known.principal),
            Who::Nobody(_) => Caller::Nobody,
        };
        match (self.snapshot.router.find_as(&wanted, caller), who) {
            (Ok(found), who) => {
                record.decided_by = None;
                let own = &self.snapshot.routes[found.route].access;
                let caller = match (who, &route.access, own) {
                    (Who::Known(_, callers), Some(asked), Some(own)) if own.asks_like(asked) => {
                        Some(callers)
                    }
                    _ => None,
                };
                Ok(Chosen {
                    found,
                    body,
                    caller,
                })
            }
            (Err(_), Who::Nobody(denial)) => Err(denial),
            (Err(missed), Who::Known(known, _)) => {
                record.route = None;
                record.known = Some(known);
                Err(missed.into())
            }
        }
    }
}

impl Access {
    async fn find_out(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &Fields,
        told: Told,
        record: &mut Recorder,
    ) -> Result<Who, Denial> {
        match self.ask(worker, asked, fields, told, record).await {
            Ok(callers) => match callers.first() {
                Some(known) => Ok(Who::Known(Rc::clone(known), callers)),
                None => {
                    record.decided_by = self.steps.first().map(|step| step.policy);
                    let denial = challenge::missing(self.ways());
                    Ok(Who::Nobody(self.invite(asked, fields, denial)))
                }
            },
            Err(denial) if denial.is_about_nobody() => {
                Ok(Who::Nobody(self.invite(asked, fields, denial)))
            }
            Err(denial) => Err(self.refuse(worker, asked, fields, record, denial)),
        }
    }

    /// Whether both find out by the same policies who calls.
    fn asks_like(&self, other: &Self) -> bool {
        let policies = other.steps.iter().map(|step| step.policy);
        self.steps.iter().map(|step| step.policy).eq(policies)
    }
}
