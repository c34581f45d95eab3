//! What a refresh token that is shown comes to (RFC 9700 §4.14.2).

use jiff::Timestamp;

/// What is known of the family of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// SHA-256 of the token that is good.
    pub(super) present: [u8; 32],
    /// SHA-256 of the one before it, and until when that is answered with its successor.
    pub(super) previous: Option<([u8; 32], Timestamp)>,
    pub(super) expires_at: Timestamp,
    pub(super) is_revoked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the present one: another takes its place.
    Rotate,
    /// It was used just now, by the same client in parallel or after an answer that was lost: the same successor again.
    Again,
    /// It was used before, or is of an earlier generation: two have it, and which of them is the thief is not known.
    Reused,
    /// The family has ended.
    Over,
}

/// Hashes of so much randomness tell nothing by the time that it takes to compare them.
pub(super) fn judge(known: &Known, shown: &[u8; 32], now: Timestamp) -> Verdict {
    if known.is_revoked || known.expires_at <= now {
        return Verdict::Over;
    }
    if known.present == *shown {
        return Verdict::Rotate;
    }
    match known.previous {
        Some((previous, until)) if previous == *shown && now < until => Verdict::Again,
        _ => Verdict::Reused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_judged_by_its_place_and_the_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let known = Known {
            present: [3; 32],
            previous: Some(([2; 32], at(10))),
            expires_at: at(100),
            is_revoked: false,
        };
        let judge = |known: &Known, shown: u8, second| judge(known, &[shown; 32], at(second));
        assert_eq!(judge(&known, 3, 5), Verdict::Rotate);
        assert_eq!(judge(&known, 3, 99), Verdict::Rotate);
        assert_eq!(judge(&known, 2, 9), Verdict::Again);
        assert_eq!(judge(&known, 2, 10), Verdict::Reused);
        assert_eq!(judge(&known, 1, 5), Verdict::Reused);
        for shown in 1..=3 {
            assert_eq!(judge(&known, shown, 100), Verdict::Over);
            let revoked = Known {
                is_revoked: true,
                ..known
            };
            assert_eq!(judge(&revoked, shown, 5), Verdict::Over);
        }
        let new = Known {
            previous: None,
            ..known
        };
        assert_eq!(judge(&new, 2, 5), Verdict::Reused);
    }
}
