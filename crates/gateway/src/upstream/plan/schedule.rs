//! The order in which weighted round robin visits members.

/// Longest schedule of a few members; weights beyond it are scaled down.
const LONGEST: usize = 4096;
/// What a member has in the longest schedule of many, on average: a share that is scaled down is off
/// by a thirty-second of that at most.
const TURNS: usize = 16;

/// Indices in weighted order, spread smoothly: each member's next turn is due when its former ones
/// divided by its weight say so, and the most overdue one is next. Members without weight are left out.
pub(crate) fn schedule(weights: &[u32]) -> Vec<u16> {
    let divisor = weights.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return Vec::new();
    }
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let longest = LONGEST.max(TURNS * weights.len()) as u64;
    let turns = |weight: u32| -> u64 {
        let weight = u64::from(weight);
        if total / u64::from(divisor) <= longest {
            return weight / u64::from(divisor);
        }
        // To the nearest; who has a weight has a turn.
        ((weight * longest + total / 2) / total).max(u64::from(weight > 0))
    };
    // Turn number k of a member with n turns is due at (k + ½) ÷ n of the way, kept as a fraction of
    // `SCALE`. The member's number decides between those at the same time.
    const SCALE: u64 = 1 << 40;
    let mut order = Vec::new();
    for (at, weight) in (0..u16::MAX).zip(weights) {
        let turns = turns(*weight);
        let due = |turn: u64| (2 * turn + 1) * (SCALE / (2 * turns));
        order.extend((0..turns).map(|turn| due(turn) << 16 | u64::from(at)));
    }
    order.sort_unstable();
    order.into_iter().map(|turn| turn as u16).collect()
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
        assert_eq!(schedule(&[5, 1, 1]), [0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(schedule(&[10, 10]), [0, 1]);
        assert_eq!(schedule(&[0, 3]), [1]);
        assert!(schedule(&[0, 0]).is_empty());
    }

    #[test]
    fn nobody_waits_longer_than_its_weight_says() {
        let weights = [7, 3, 2, 1];
        let order = schedule(&weights);
        let total: u32 = weights.iter().sum();
        for (at, weight) in weights.iter().enumerate() {
            let turns: Vec<usize> = (0..order.len() * 2)
                .filter(|place| usize::from(order[place % order.len()]) == at)
                .collect();
            let longest = turns.windows(2).map(|pair| pair[1] - pair[0]).max();
            let fair = (total as usize).div_ceil(*weight as usize);
            assert!(longest <= Some(2 * fair), "{at}: {longest:?} of {fair}");
        }
    }

    #[test]
    fn huge_weights_keep_their_proportion_in_a_bounded_schedule() {
        let order = schedule(&[3_000_000_001, 1_000_000_000, 1]);
        assert!(order.len() <= LONGEST + 1);
        let share =
            |target| order.iter().filter(|at| **at == target).count() as f64 / order.len() as f64;
        assert!((share(0) - 0.75).abs() < 0.01, "{}", share(0));
        assert!(share(2) > 0.0, "a target with a weight is never left out");
    }

    #[test]
    fn ten_thousand_targets_are_scheduled_each_once() {
        let mut order = schedule(&vec![1; 10_000]);
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..10_000));
    }
}
