//! Picking a target.

use std::cell::Cell;
use std::rc::Rc;

use weir_config::model::Balance;

use super::Pool;

/// Longest schedule; weights beyond it are scaled down.
const LONGEST_SCHEDULE: u32 = 4096;
/// Retries that are allowed before any budget was earned, and the most that can be saved up.
const BUDGET_RESERVE: f32 = 10.0;

/// One worker's view of an upstream.
#[derive(Debug)]
pub(crate) struct LocalUpstream {
    /// In the order of the upstream's targets.
    pub(crate) pools: Vec<Rc<Pool>>,
    pub(crate) next: Cell<usize>,
    pub(crate) budget: Cell<f32>,
}

impl LocalUpstream {
    pub(crate) fn new(pools: Vec<Rc<Pool>>, worker: usize) -> Self {
        // Workers start at different places, or each would send its first request to the same target.
        Self {
            pools,
            next: Cell::new(worker),
            budget: Cell::new(BUDGET_RESERVE),
        }
    }

    /// The target for a request, another than `avoid` if there is one.
    pub(crate) fn pick(
        &self,
        balance: &Balance,
        schedule: &[u16],
        avoid: Option<usize>,
    ) -> Option<usize> {
        if schedule.is_empty() {
            return None;
        }
        if self.pools.len() == 1 {
            return Some(0);
        }
        match balance {
            Balance::RoundRobin => self.round_robin(schedule, avoid),
            Balance::LeastRequest | Balance::PeakEwma | Balance::ConsistentHash(_) => {
                Some(self.least_request(schedule, avoid))
            }
        }
    }

    fn round_robin(&self, schedule: &[u16], avoid: Option<usize>) -> Option<usize> {
        let start = self.next.get() % schedule.len();
        let order = (0..schedule.len()).map(|step| (start + step) % schedule.len());
        let found = order
            .clone()
            .find(|at| Some(usize::from(schedule[*at])) != avoid);
        let at = found.unwrap_or(start);
        self.next.set(at + 1);
        Some(usize::from(schedule[at]))
    }

    /// Power of two choices: the less busy of two random candidates. The schedule weighs the
    /// candidates, so that a heavier target comes up more often.
    fn least_request(&self, schedule: &[u16], avoid: Option<usize>) -> usize {
        let draw = || usize::from(schedule[fastrand::usize(..schedule.len())]);
        let (first, second) = (draw(), draw());
        let (less, more) = if self.pools[second].in_flight() < self.pools[first].in_flight() {
            (second, first)
        } else {
            (first, second)
        };
        if Some(less) != avoid {
            return less;
        }
        if Some(more) != avoid {
            return more;
        }
        schedule
            .iter()
            .map(|at| usize::from(*at))
            .find(|at| Some(*at) != avoid)
            .unwrap_or(less)
    }

    /// Counts a request towards the retries that it earns.
    pub(crate) fn earn(&self, budget_percent: u32) {
        let earned = self.budget.get() + budget_percent as f32 / 100.0;
        self.budget.set(earned.min(BUDGET_RESERVE));
    }

    /// Spends one retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let left = self.budget.get() - 1.0;
        if left < 0.0 {
            return false;
        }
        self.budget.set(left);
        true
    }
}

/// The order in which weighted round robin visits targets: smooth, as nginx made it known (each
/// step, every target gains its weight; the one with most is taken and pays the total).
pub(crate) fn schedule(weights: &[u32]) -> Vec<u16> {
    let divisor = weights.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return Vec::new();
    }
    let mut weights: Vec<i64> = weights
        .iter()
        .map(|weight| i64::from(weight / divisor))
        .collect();
    let total: i64 = weights.iter().sum();
    if total > i64::from(LONGEST_SCHEDULE) {
        for weight in weights.iter_mut().filter(|weight| **weight > 0) {
            *weight = (*weight * i64::from(LONGEST_SCHEDULE) / total).max(1);
        }
    }
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    let mut order = Vec::with_capacity(usize::try_from(total).unwrap_or_default());
    for _ in 0..total {
        let mut best = 0;
        for (index, weight) in weights.iter().enumerate() {
            credit[index] += weight;
            if credit[index] > credit[best] {
                best = index;
            }
        }
        credit[best] -= total;
        order.push(u16::try_from(best).unwrap_or(u16::MAX));
    }
    order
}

fn gcd(left: u32, right: u32) -> u32 {
    if right == 0 {
        left
    } else {
        gcd(right, left % right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_weighted_and_smooth() {
        assert_eq!(schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(schedule(&[10, 10]), [0, 1]);
        assert_eq!(schedule(&[0, 3]), [1]);
        assert!(schedule(&[0, 0]).is_empty());
    }

    #[test]
    fn huge_weights_keep_their_proportion_in_a_bounded_schedule() {
        let order = schedule(&[3_000_000_001, 1_000_000_000, 1]);
        assert!(order.len() <= LONGEST_SCHEDULE as usize + 1);
        let share =
            |target| order.iter().filter(|at| **at == target).count() as f64 / order.len() as f64;
        assert!((share(0) - 0.75).abs() < 0.01, "{}", share(0));
        assert!(share(2) > 0.0, "a target with a weight is never left out");
    }
}
