//! One worker's view of an upstream: a plan with the worker's own connections.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;
use weir_config::model::{self, Balance};

use super::cluster::Cluster;
use super::member::Member;
use super::pick::Turns;
use super::plan::{Choice, Plan};
use super::pools::Pools;
use super::{Pool, pick};
use crate::retry::Budget;

/// One worker's state of an upstream; it outlives revisions.
#[derive(Debug)]
pub(crate) struct LocalUpstream {
    pub(crate) cluster: Arc<Cluster>,
    view: RefCell<Rc<View>>,
    turns: Turns,
    pub(crate) budget: Budget,
}

/// A plan and the pools of its members.
#[derive(Debug)]
pub(crate) struct View {
    epoch: u64,
    pub(crate) plan: Arc<Plan>,
    /// In the order of the plan's members.
    pub(crate) pools: Vec<Rc<Pool>>,
}

/// What a request wants of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Hash of the request's key, for consistent hashing.
    pub(crate) hash: Option<u64>,
    /// From a sticky cookie.
    pub(crate) token: Option<u64>,
    /// Identities of targets that failed this request, in order.
    pub(crate) tried: SmallVec<[u64; 2]>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cluster({})", self.name)
    }
}

impl LocalUpstream {
    pub(crate) fn new(cluster: Arc<Cluster>, pools: &Pools, settings: model::Pool) -> Self {
        let view = View::new(&cluster, pools, settings);
        Self {
            cluster,
            view: RefCell::new(Rc::new(view)),
            turns: Turns::default(),
            budget: Budget::default(),
        }
    }

    /// The newest plan with its pools.
    pub(crate) fn view(&self, pools: &Pools, settings: model::Pool) -> Rc<View> {
        if self.view.borrow().epoch != self.cluster.epoch() {
            self.renew(pools, settings);
        }
        Rc::clone(&self.view.borrow())
    }

    /// Builds the view anew, whether the plan is new or not.
    pub(crate) fn renew(&self, pools: &Pools, settings: model::Pool) {
        let fresh = View::new(&self.cluster, pools, settings);
        *self.view.borrow_mut() = Rc::new(fresh);
    }
}

impl View {
    /// A view of a plan that nothing else knows.
    #[cfg(test)]
    pub(super) fn of(plan: Plan, pools: &Pools) -> Self {
        let settings = model::Pool {
            max_connections: 1,
            max_idle: 0,
            idle_timeout: std::time::Duration::ZERO,
            pings: None,
        };
        let pools = pools_of(&Arc::from("up"), &plan, pools, settings);
        Self {
            epoch: 0,
            plan: Arc::new(plan),
            pools,
        }
    }

    fn new(cluster: &Cluster, pools: &Pools, settings: model::Pool) -> Self {
        // The number first: if a newer plan comes in between, it is taken up again next time.
        let epoch = cluster.epoch();
        let plan = cluster.plan();
        let pools = pools_of(&cluster.name, &plan, pools, settings);
        Self { epoch, plan, pools }
    }

    /// The member for a request, another than those that failed it if there is one.
    pub(crate) fn pick(
        &self,
        local: &LocalUpstream,
        balance: &Balance,
        wish: &Wish,
    ) -> Option<usize> {
        if let Some(at) = self.stuck_to(wish) {
            return Some(at);
        }
        let at = match &self.plan.choice {
            Choice::Nobody => return None,
            Choice::Only(only) => *only,
            Choice::Table(table) => pick::by_hash(self, table, wish),
            Choice::Schedule(schedule) => match balance {
                Balance::LeastRequest => pick::least_request(self, schedule, wish),
                Balance::PeakEwma => pick::peak_ewma(self, schedule, wish),
                Balance::RoundRobin | Balance::ConsistentHash(_) => {
                    pick::round_robin(self, &local.turns, schedule, wish)
                }
            },
        };
        Some(usize::from(at))
    }

    /// The member that the client's cookie names, if it takes traffic and did not fail this request.
    fn stuck_to(&self, wish: &Wish) -> Option<usize> {
        let at = *self.plan.by_token.get(&wish.token?)?;
        (!self.was_tried(at, wish)).then_some(usize::from(at))
    }

    /// Whether a member takes traffic that did not fail the request.
    pub(crate) fn has_untried(&self, wish: &Wish) -> bool {
        let mut taking: Box<dyn Iterator<Item = u16> + '_> = match &self.plan.choice {
            Choice::Nobody => return false,
            Choice::Only(only) => Box::new(std::iter::once(*only)),
            Choice::Table(table) => Box::new(table.members()),
            Choice::Schedule(schedule) => Box::new(schedule.iter().copied()),
        };
        taking.any(|at| !self.was_tried(at, wish))
    }

    pub(super) fn was_tried(&self, at: u16, wish: &Wish) -> bool {
        // Most often nothing was, and the member is not even looked at.
        !wish.tried.is_empty() && wish.tried.contains(&self.member(at).target.identity)
    }

    /// Whether that member, by its index, failed the request.
    pub(crate) fn was_tried_at(&self, at: usize, wish: &Wish) -> bool {
        let identity = self.plan.members[at].target.identity;
        wish.tried.contains(&identity)
    }

    fn member(&self, at: u16) -> &Member {
        &self.plan.members[usize::from(at)]
    }
}

fn pools_of(
    upstream: &Arc<str>,
    plan: &Plan,
    pools: &Pools,
    settings: model::Pool,
) -> Vec<Rc<Pool>> {
    let members = plan.members.iter();
    members
        .map(|member| pools.get(upstream, &member.target, settings))
        .collect()
}
