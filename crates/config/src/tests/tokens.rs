//! How tokens are issued.

use std::time::Duration;

use super::{BASE, codes_of, loaded, refused};
use crate::model::SigningAlgorithm;

#[test]
fn tokens_are_as_they_are_written() {
    let tokens = loaded(BASE).config.tokens;
    assert_eq!(tokens.algorithm, SigningAlgorithm::Es256);
    assert_eq!(tokens.access_lifetime, Duration::from_secs(300));
    assert_eq!(tokens.rotate_every, Duration::from_secs(90 * 86_400));
    let text = format!(
        "{BASE}identity: {{ tokens: {{ algorithm: RS256, access_lifetime: 1h, rotate_every: 1h }} }}\n"
    );
    let tokens = loaded(&text).config.tokens;
    assert_eq!(tokens.algorithm, SigningAlgorithm::Rs256);
    assert_eq!(tokens.access_lifetime, Duration::from_secs(3_600));
}

#[test]
fn tokens_that_could_not_be_revoked_are_refused() {
    for (written, code) in [
        ("access_lifetime: 61m", "WR0105"),
        ("access_lifetime: 0s", "WR0105"),
        ("rotate_every: 59m", "WR0105"),
        ("algorithm: HS256", "WR0114"),
        ("algorithm: none", "WR0114"),
    ] {
        let text = format!("{BASE}identity: {{ tokens: {{ {written} }} }}\n");
        assert_eq!(codes_of(&refused(&text)), [code], "{written}");
    }
}
