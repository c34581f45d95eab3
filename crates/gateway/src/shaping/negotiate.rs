//! Which coding a client wants (RFC 9110 §12.5.3).

use http::header::ACCEPT_ENCODING;
use weir_config::model::Coding;

use crate::fields::Fields;

/// What came of `Accept-Encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The coding to use, with its level.
    pub(super) coding: Option<(Coding, u32)>,
    /// Whether the client does not want the answer as it is.
    pub(super) is_identity_refused: bool,
}

/// Weights are in thousandths; `None` is what the client does not mention.
#[derive(Default)]
struct Weights {
    gzip: Option<u16>,
    brotli: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    other: Option<u16>,
}

/// The offer that the client likes best; of equals the first.
pub(super) fn negotiate(fields: &Fields, offers: &[(Coding, u32)]) -> Accepted {
    let mut weights = Weights::default();
    let mut is_stated = false;
    for value in fields.get_all(&ACCEPT_ENCODING) {
        is_stated = true;
        for member in value.as_bytes().split(|byte| *byte == b',') {
            weights.note(member);
        }
    }
    // Without the field every coding would do; those that do not mention it do not read any.
    if !is_stated {
        return Accepted::default();
    }
    let weight = |coding: &Coding| {
        let own = match coding {
            Coding::Gzip => weights.gzip,
            Coding::Brotli => weights.brotli,
            Coding::Zstd => weights.zstd,
        };
        own.or(weights.other).unwrap_or(0)
    };
    let mut best: Option<(u16, (Coding, u32))> = None;
    for offer in offers {
        let weight = weight(&offer.0);
        if weight > best.map_or(0, |(best, _)| best) {
            best = Some((weight, *offer));
        }
    }
    let identity = weights.identity;
    Accepted {
        coding: best
            .filter(|(weight, _)| identity.is_none_or(|identity| *weight >= identity))
            .map(|(_, offer)| offer),
        is_identity_refused: identity.or(weights.other) == Some(0),
    }
}

impl Weights {
    /// Reads a member such as `gzip;q=0.5`. What cannot be read is not mentioned; of two for the same
    /// coding the first counts.
    fn note(&mut self, member: &[u8]) {
        let mut parts = member.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let weight = match parts.next() {
            None => Some(1000),
            Some(parameter) => weight(parameter),
        };
        let Some(weight) = weight else {
            return;
        };
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        let place = if is("gzip") || is("x-gzip") {
            &mut self.gzip
        } else if is("br") {
            &mut self.brotli
        } else if is("zstd") {
            &mut self.zstd
        } else if is("identity") {
            &mut self.identity
        } else if is("*") {
            &mut self.other
        } else {
            return;
        };
        place.get_or_insert(weight);
    }
}

/// `q=0.25` as 250 (RFC 9110 §12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.trim_ascii().split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, fraction) = match value {
        [b'0'] => (0, &[][..]),
        [b'1'] => (1000, &[][..]),
        [b'0', b'.', fraction @ ..] => (0, fraction),
        [b'1', b'.', fraction @ ..] if fraction.iter().all(|digit| *digit == b'0') => {
            (1000, fraction)
        }
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let scales = [100, 10, 1];
    let thousandths = fraction.iter().zip(scales);
    Some(
        whole
            + thousandths
                .map(|(digit, scale)| u16::from(digit - b'0') * scale)
                .sum::<u16>(),
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OFFERS: [(Coding, u32); 3] = [(Coding::Zstd, 3), (Coding::Brotli, 4), (Coding::Gzip, 5)];

    fn accepted(values: &[&str]) -> Accepted {
        let mut fields = Fields::new();
        for value in values {
            fields.append(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        negotiate(&fields, &OFFERS)
    }

    fn coding(value: &str) -> Option<Coding> {
        accepted(&[value]).coding.map(|(coding, _)| coding)
    }

    #[test]
    fn the_heaviest_wins_and_of_equals_the_favourite() {
        use Coding::{Brotli, Gzip, Zstd};
        assert_eq!(coding("gzip, deflate, br, zstd"), Some(Zstd));
        assert_eq!(coding("gzip, deflate, br"), Some(Brotli));
        assert_eq!(coding("gzip;q=0.9, br;q=0.8"), Some(Gzip));
        assert_eq!(coding("GZIP ; Q=1.000"), Some(Gzip));
        assert_eq!(coding("x-gzip"), Some(Gzip));
        assert_eq!(coding("*"), Some(Zstd));
        assert_eq!(coding("*;q=0.5, zstd;q=0, br;q=0.4"), Some(Gzip));
        assert_eq!(coding("gzip;q=0.001"), Some(Gzip));
        assert_eq!(
            accepted(&["deflate", "br;q=0.5", "gzip"]).coding,
            Some((Gzip, 5))
        );
    }

    #[test]
    fn what_is_not_wanted_is_not_used() {
        for none in [
            "",
            "deflate",
            "identity",
            "gzip;q=0",
            "*;q=0",
            "gzip;q=0.000, *;q=0",
            "gzip;q=2",
            "gzip;q=1.001",
            "gzip;q=0.1234",
            "gzip;q=-1",
            "gzip;q=",
            "gzip;level=1",
            "g zip",
            ",,;,",
            "identity, gzip;q=0.5",
            "gzip;q=0, gzip",
        ] {
            assert_eq!(coding(none), None, "{none}");
        }
        assert_eq!(accepted(&[]), Accepted::default());
    }

    #[test]
    fn identity_can_be_refused() {
        let refused = |value: &str| accepted(&[value]).is_identity_refused;
        assert!(refused("gzip, identity;q=0"));
        assert!(refused("gzip, *;q=0"));
        assert!(!refused("gzip, *;q=0, identity;q=0.1"));
        assert!(!refused("gzip"));
    }

    #[test]
    fn a_megabyte_of_members_is_read_once() {
        let flood = "gzip;q=0.1,".repeat(100_000);
        assert_eq!(coding(&flood), Some(Coding::Gzip));
    }
}
