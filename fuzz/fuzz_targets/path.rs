//! Normalising a path: the invariants that `weir_core::path` states, under every set of rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::path::{Rules, check_query, normalise};

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else {
        return;
    };
    for keep_encoded_slash in [false, true] {
        for refuse_dot_segments in [false, true] {
            check(
                path,
                Rules {
                    keep_encoded_slash,
                    refuse_dot_segments,
                },
            );
        }
    }
    if check_query(path).is_ok() {
        assert!(
            path.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        );
    }
});

fn check(path: &str, rules: Rules) {
    let Ok(normalised) = normalise(path, rules) else {
        return;
    };
    assert_eq!(
        normalise(&normalised, rules).as_deref(),
        Ok(&*normalised),
        "not idempotent"
    );
    assert!(normalised.starts_with('/'));
    assert!(normalised.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!normalised.contains(['\\', '?', '#', '"', '<', '>', '^', '`', '{', '|', '}']));
    assert!(!normalised.contains("//"));
    let decoded = decode(&normalised);
    assert!(
        std::str::from_utf8(&decoded).is_ok(),
        "escapes are no UTF-8"
    );
    assert!(
        decoded
            .iter()
            .all(|byte| *byte >= b' ' && *byte != 0x7f && *byte != b'\\')
    );
    if !rules.keep_encoded_slash {
        assert!(!normalised.contains("%2F"));
    }
    // Neither reader of an encoded slash finds a dot segment, with or without a parameter.
    for segment in normalised.replace("%2F", "/").split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        let parameter = segment.contains(';');
        assert!(
            name != ".." && name != "." || (name.is_empty() && parameter),
            "{normalised}"
        );
        for escape in segment.match_indices('%') {
            let digits = &segment[escape.0 + 1..escape.0 + 3];
            assert!(
                !digits.bytes().any(|digit| digit.is_ascii_lowercase()),
                "{normalised}"
            );
        }
    }
}

fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes
                .next()
                .and_then(|digit| char::from(digit).to_digit(16));
            digit.expect("two digits behind %") as u8
        };
        let high = digit();
        decoded.push(high << 4 | digit());
    }
    decoded
}
