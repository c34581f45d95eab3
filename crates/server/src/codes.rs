//! Every code that Weir reports: the configuration's, and those of mistakes that show only when
//! certificates and keys are put together.

use weir_config::Explanation;

/// Certificate and key were not made for each other.
pub(crate) const KEY_MISMATCH: &str = "WR0601";
/// The key is that of another certificate of the chain.
pub(crate) const CHAIN_ORDER: &str = "WR0602";
/// There is nothing to check an upstream's certificate against.
pub(crate) const NO_AUTHORITIES: &str = "WR0603";
/// TLS refuses the settings for another reason.
pub(crate) const BAD_TLS: &str = "WR0604";

static OWN: &[Explanation] = &[
    Explanation {
        code: KEY_MISMATCH,
        title: "a certificate and a key that do not belong together",
        text: include_str!("explain/WR0601.md"),
    },
    Explanation {
        code: CHAIN_ORDER,
        title: "a certificate chain in the wrong order",
        text: include_str!("explain/WR0602.md"),
    },
    Explanation {
        code: NO_AUTHORITIES,
        title: "no authorities to verify upstreams with",
        text: include_str!("explain/WR0603.md"),
    },
    Explanation {
        code: BAD_TLS,
        title: "TLS settings that cannot be used",
        text: include_str!("explain/WR0604.md"),
    },
];

/// All pages, in the order of their codes.
pub(crate) fn explanations() -> Vec<&'static Explanation> {
    let mut all: Vec<&Explanation> = weir_config::explanations().iter().chain(OWN).collect();
    all.sort_by_key(|explanation| explanation.code);
    all
}

/// The page of a code: `WR0103`, in any case, or `103` for short.
pub(crate) fn explain(code: &str) -> Option<&'static Explanation> {
    let digits = code.trim_start_matches(|first: char| first.is_ascii_alphabetic());
    let is_short = digits.len() == code.len() && digits.len() <= 4;
    let code = if is_short {
        format!("WR{digits:0>4}")
    } else {
        code.to_ascii_uppercase()
    };
    explanations()
        .into_iter()
        .find(|explanation| explanation.code == code)
}

/// The code that is nearest to one that does not exist.
pub(crate) fn nearest(code: &str) -> Option<&'static str> {
    // Longer texts are no misspelled codes, and comparing costs by length.
    const LONGEST: usize = 16;
    if code.len() > LONGEST {
        return None;
    }
    let wanted = code.to_ascii_uppercase();
    explanations()
        .into_iter()
        .map(|explanation| {
            (
                strsim::osa_distance(&wanted, explanation.code),
                explanation.code,
            )
        })
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_any_case_and_in_short() {
        for code in ["WR0601", "wr0601", "601", "0601"] {
            assert_eq!(
                explain(code).map(|page| page.code),
                Some("WR0601"),
                "{code}"
            );
        }
        for code in ["", "WR", "WR06011", "x0601", "99999", "é"] {
            assert!(explain(code).is_none(), "{code}");
        }
    }

    #[test]
    fn no_code_is_given_twice() {
        let mut codes: Vec<_> = explanations().iter().map(|page| page.code).collect();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn pages_begin_with_their_code_and_title() {
        for page in OWN {
            assert!(
                page.text
                    .starts_with(&format!("# {}: {}\n", page.code, page.title))
            );
        }
    }

    #[test]
    fn a_misspelled_code_has_a_neighbour() {
        assert_eq!(nearest("WR601"), Some("WR0601"));
        assert_eq!(nearest("hello"), None);
        assert_eq!(nearest(&"W".repeat(10_000)), None);
    }
}
