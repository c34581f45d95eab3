//! Tokens and sets of keys: whatever the text, it is judged without a panic, in the same way each time, and nothing is
//! taken for genuine that no key signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_jose::{Claims, Expected, KeySet, Token};

/// RFC 7515, appendix A.3.1.
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fuzz_target!(|data: &[u8]| {
    if let Ok((set, skipped)) = KeySet::parse(data) {
        assert!(
            set.keys()
                .iter()
                .all(|key| !key.algorithm().is_shared_secret())
        );
        assert!(skipped.is_sorted_by_key(|one| one.index));
    }
    let claims = Claims::parse(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (mut one, mut other) = (Vec::new(), vec![0xff; 99]);
    let first = Token::parse(text, 4096, &mut one);
    let second = Token::parse(text, 4096, &mut other);
    match (first, second) {
        (Ok(token), Ok(same)) => {
            assert_eq!(token.header(), same.header());
            let (keys, _) = KeySet::parse(KEYS).expect("the set of the standard");
            if let Ok(verified) = token.verify(&keys) {
                assert!(text.starts_with(SIGNED));
                assert!(verified.claims().is_ok());
            }
            if let Ok(claims) = claims {
                let expected = Expected::access_token("joe", "catalog");
                let _ = expected.judge(token.header(), &claims, 1_300_000_000);
            }
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (one, other) => panic!("one text was judged in two ways: {one:?} {other:?}"),
    }
});
