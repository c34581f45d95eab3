//! Shares of a split, and which side of it a client is on.

/// Clients of a split lie on a line of this length; each side has a stretch of it.
pub(crate) const LINE: u64 = 1 << 32;
/// Places on the line that a cookie can name.
pub(crate) const BUCKETS: u32 = 10_000;

/// A share for each backend, from 0 to 1; they add up to 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Shares(Vec<f64>);

impl Shares {
    /// In proportion to weights; if all are 0, everything goes to the first.
    pub(crate) fn of(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            return Self::all_to(0, weights.len());
        }
        Self(weights.iter().map(|weight| weight / total).collect())
    }

    pub(crate) fn all_to(backend: usize, count: usize) -> Self {
        let share = |at| if at == backend { 1.0 } else { 0.0 };
        Self((0..count).map(share).collect())
    }

    /// These shares for some backends, given as indices with shares; the others divide what is left
    /// as they do now. If they have nothing now, it goes to the first of them.
    pub(crate) fn with(&self, given: &[(usize, f64)]) -> Self {
        let share_of = |at| given.iter().find(|(given, _)| *given == at);
        // Shares are written in percent, and hundredths of a percent do not add up exactly.
        let sum: f64 = given.iter().map(|(_, share)| share).sum();
        let left = (1.0 - sum).max(0.0);
        let others = |at: &usize| share_of(*at).is_none();
        let now: f64 = (0..self.0.len()).filter(others).map(|at| self.0[at]).sum();
        let first = (0..self.0.len()).find(others);
        let share = |at| match share_of(at) {
            Some((_, share)) => *share,
            None if now > 0.0 => self.0[at] / now * left,
            None if first == Some(at) => left,
            None => 0.0,
        };
        let shares: Vec<f64> = (0..self.0.len()).map(share).collect();
        Self::of(&shares)
    }

    /// A part of the way to others, from 0 to 1.
    pub(crate) fn towards(&self, to: &Self, part: f64) -> Self {
        if part >= 1.0 {
            return to.clone();
        }
        let step = |(from, to): (&f64, &f64)| from + (to - from) * part;
        Self(self.0.iter().zip(&to.0).map(step).collect())
    }

    pub(crate) fn get(&self, backend: usize) -> f64 {
        self.0.get(backend).copied().unwrap_or_default()
    }

    /// In percent, to four digits behind the point, as they can be written.
    pub(crate) fn percent(&self, backend: usize) -> f64 {
        (self.get(backend) * 1e6).round() / 1e4
    }

    /// Where each backend's stretch of the line ends. The stretches lie in the order of the backends.
    pub(crate) fn bounds(&self) -> Vec<u64> {
        let last = self.0.iter().rposition(|share| *share > 0.0);
        let mut end = 0.0;
        let bound = |(at, share): (usize, &f64)| {
            end += share;
            // What is lost to rounding must not leave the line's end to nobody.
            if Some(at) >= last {
                LINE
            } else {
                (end * LINE as f64).round() as u64
            }
        };
        self.0.iter().enumerate().map(bound).collect()
    }

    /// Whether they are shares of so many backends at all: a file may say anything.
    pub(crate) fn are_valid(&self, count: usize) -> bool {
        let sum: f64 = self.0.iter().sum();
        self.0.len() == count
            && self.0.iter().all(|share| (0.0..=1.0).contains(share))
            && (sum - 1.0).abs() < 1e-6
    }

    pub(crate) fn are_close_to(&self, others: &Self) -> bool {
        self.0.len() == others.0.len()
            && self
                .0
                .iter()
                .zip(&others.0)
                .all(|(one, other)| (one - other).abs() < 1e-9)
    }
}

/// The backend on whose stretch a place of the line lies.
pub(crate) fn side(bounds: impl Iterator<Item = u64>, place: u32) -> usize {
    let mut last = 0;
    for (at, bound) in bounds.enumerate() {
        if u64::from(place) < bound {
            return at;
        }
        last = at;
    }
    last
}

/// The place on the line that a cookie's bucket stands for: in the middle of its stretch.
pub(crate) fn place_of(bucket: u16) -> u32 {
    let middle = (u64::from(bucket) * 2 + 1) * LINE / (u64::from(BUCKETS) * 2);
    u32::try_from(middle).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(shares: &Shares) -> Vec<usize> {
        let bounds = shares.bounds();
        (0..BUCKETS as u16)
            .map(|bucket| side(bounds.iter().copied(), place_of(bucket)))
            .collect()
    }

    #[test]
    fn every_side_has_its_share_of_buckets() {
        let shares = Shares::of(&[95.0, 0.0, 5.0, 0.0]);
        let count = |wanted| {
            sides(&shares)
                .iter()
                .filter(|side| **side == wanted)
                .count()
        };
        assert_eq!([0, 1, 2, 3].map(count), [9_500, 0, 500, 0]);
    }

    #[test]
    fn a_side_without_share_gets_nothing_even_at_the_ends_of_the_line() {
        for at in 0..3 {
            let bounds = Shares::all_to(at, 3).bounds();
            for place in [0, 1, u32::MAX - 1, u32::MAX] {
                assert_eq!(side(bounds.iter().copied(), place), at);
            }
        }
        assert_eq!(Shares::of(&[0.0, 0.0]), Shares::all_to(0, 2));
    }

    #[test]
    fn between_two_sides_only_clients_of_the_shrinking_one_move() {
        let (from, to) = (Shares::all_to(0, 2), Shares::all_to(1, 2));
        let mut before = sides(&from);
        for step in 1..=50 {
            let after = sides(&from.towards(&to, f64::from(step) / 50.0));
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || (*before, *after) == (0, 1));
            }
            let moved = before
                .iter()
                .zip(&after)
                .filter(|(one, other)| one != other);
            assert_eq!(moved.count(), 200, "step {step}");
            before = after;
        }
    }

    #[test]
    fn what_is_not_given_is_divided_as_before() {
        let shares = Shares::of(&[60.0, 20.0, 20.0]);
        let close = |shares: &Shares, wanted: [f64; 3]| {
            assert!(shares.are_close_to(&Shares::of(&wanted)), "{shares:?}");
        };
        close(&shares.with(&[(2, 0.6)]), [0.3, 0.1, 0.6]);
        close(&shares.with(&[(2, 1.0)]), [0.0, 0.0, 1.0]);
        close(&Shares::all_to(2, 3).with(&[(2, 0.5)]), [0.5, 0.0, 0.5]);
        // In binary they add up to more than 1.
        let four = Shares::of(&[1.0; 4]).with(&[(1, 0.33), (2, 0.56), (3, 0.11)]);
        assert!(four.are_valid(4), "{four:?}");
        assert_eq!(
            shares.towards(&Shares::all_to(2, 3), 1.5),
            Shares::all_to(2, 3)
        );
    }

    #[test]
    fn shares_from_a_damaged_file_are_told() {
        assert!(Shares::of(&[1.0, 2.0, 3.0]).are_valid(3));
        for broken in [
            vec![1.0],
            vec![0.5, 0.6],
            vec![1.5, -0.5],
            vec![f64::NAN, 1.0],
        ] {
            assert!(!Shares(broken).are_valid(2));
        }
    }
}
