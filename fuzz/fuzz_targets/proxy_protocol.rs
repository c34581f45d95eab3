//! The PROXY protocol: judged alike whether it arrives whole or in pieces, and never takes more
//! than it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_gateway::proxy_protocol::{MAXIMUM_LENGTH, Parsed, parse};

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    // The judgement of each beginning: `None` as long as more is needed.
    let mut first = None;
    for end in 0..=data.len().min(MAXIMUM_LENGTH + 1) {
        match parse(&data[..end]) {
            Ok(Parsed::NeedMore) => {
                assert!(
                    end < MAXIMUM_LENGTH,
                    "waits for more than a header may have"
                );
            }
            judgement => {
                first = Some((end, judgement));
                break;
            }
        }
    }
    match (whole, first) {
        (Ok(Parsed::NeedMore), None) => assert!(data.len() < MAXIMUM_LENGTH),
        (
            Ok(Parsed::Done { header, length }),
            Some((
                end,
                Ok(Parsed::Done {
                    header: early,
                    length: early_length,
                }),
            )),
        ) => {
            assert_eq!((&header, length), (&early, early_length));
            assert_eq!(length, end, "a header is complete before its last byte");
            assert_eq!(header.source.is_some(), header.destination.is_some());
            if let Some(source) = header.source {
                assert_eq!(source.ip(), source.ip().to_canonical());
            }
            // What follows the header does not matter.
            let alone = parse(&data[..length]);
            assert!(matches!(alone, Ok(Parsed::Done { length: same, .. }) if same == length));
        }
        (Err(_), Some((_, Err(_)))) => {}
        (whole, first) => panic!("whole: {whole:?}, in pieces: {first:?}"),
    }
});
