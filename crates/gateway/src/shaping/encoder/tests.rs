use std::io::Read;

use super::*;

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match coding {
        Coding::Gzip => {
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut decoded)
                .unwrap();
        }
        Coding::Brotli => {
            brotli::BrotliDecompress(&mut &bytes[..], &mut decoded).unwrap();
        }
        Coding::Zstd => {
            let mut room = vec![0; 1 << 22];
            let length = zstd_safe::decompress(&mut room[..], bytes).unwrap();
            decoded.extend_from_slice(&room[..length]);
        }
    }
    decoded
}

/// Runs steps until the goal is reached.
fn run(
    encoders: &Encoders,
    encoder: &mut Encoder,
    mut input: &[u8],
    goal: Goal,
    out: &mut Vec<u8>,
) {
    loop {
        let (taken, is_done) = encoders
            .step(encoder, input, goal, |step, written| {
                out.extend_from_slice(written);
                (step.taken, step.is_done)
            })
            .unwrap();
        input = &input[taken..];
        if is_done {
            assert!(input.is_empty());
            return;
        }
    }
}

/// Text that compresses well, then bytes that do not.
fn sample(length: usize) -> Vec<u8> {
    let text = b"{\"name\": \"weir\", \"kind\": \"gateway\"}, "
        .iter()
        .cycle();
    let mut bytes: Vec<u8> = text.take(length / 2).copied().collect();
    bytes.extend(std::iter::repeat_with(|| fastrand::u8(..)).take(length - length / 2));
    bytes
}

#[test]
fn every_coding_gives_back_what_was_put_in_however_often_an_encoder_is_used() {
    let encoders = Encoders::default();
    for coding in CODINGS {
        for (level, length) in [(1, 0), (5, 1), (6, 70_000), (5, 3_000_000), (5, 20)] {
            let sample = sample(length);
            for stated in [None, Some(length as u64)] {
                let mut encoder = encoders.take(coding, level, stated).unwrap();
                let mut out = Vec::new();
                for piece in sample.chunks(60_000) {
                    run(&encoders, &mut encoder, piece, Goal::Take, &mut out);
                }
                run(&encoders, &mut encoder, &[], Goal::Finish, &mut out);
                encoders.give(encoder);
                assert!(
                    decode(coding, &out) == sample,
                    "{coding:?} {level} {length}"
                );
            }
        }
    }
}

#[test]
fn a_flush_hands_out_all_that_was_taken() {
    let encoders = Encoders::default();
    for coding in CODINGS {
        let mut encoder = encoders.take(coding, 5, None).unwrap();
        let mut whole = Vec::new();
        for length in [1, 5, 40_000, 3] {
            let sample = sample(length);
            let mut out = Vec::new();
            run(&encoders, &mut encoder, &sample, Goal::Take, &mut out);
            run(&encoders, &mut encoder, &[], Goal::Flush, &mut out);
            assert!(!out.is_empty(), "{coding:?} {length}");
            // Again, there is nothing more.
            let before = out.len();
            run(&encoders, &mut encoder, &[], Goal::Flush, &mut out);
            assert!(out.len() - before <= 5, "{coding:?}");
            whole.extend_from_slice(&out);
        }
        run(&encoders, &mut encoder, &[], Goal::Finish, &mut whole);
        assert_eq!(decode(coding, &whole).len(), 40_009);
    }
}

#[test]
fn an_encoder_that_was_left_in_the_middle_begins_anew() {
    let encoders = Encoders::default();
    for coding in CODINGS {
        let mut left = encoders.take(coding, 5, Some(1_000_000)).unwrap();
        run(
            &encoders,
            &mut left,
            &sample(50_000),
            Goal::Take,
            &mut Vec::new(),
        );
        encoders.give(left);
        let mut encoder = encoders.take(coding, 6, Some(3)).unwrap();
        let mut out = Vec::new();
        run(&encoders, &mut encoder, b"abc", Goal::Take, &mut out);
        run(&encoders, &mut encoder, &[], Goal::Finish, &mut out);
        assert_eq!(decode(coding, &out), b"abc");
    }
}

#[test]
fn encoders_are_bounded() {
    let encoders = Encoders::default();
    let mut taken: Vec<Encoder> =
        std::iter::from_fn(|| encoders.take(Coding::Gzip, 1, None)).collect();
    assert_eq!(taken.len(), MOST_AT_ONCE);
    encoders.give(taken.pop().unwrap());
    taken.push(encoders.take(Coding::Zstd, 1, None).unwrap());
    for encoder in taken {
        encoders.give(encoder);
    }
    assert_eq!(encoders.in_use.get(), 0);
    assert_eq!(encoders.gzip.borrow().len(), MOST_KEPT);
}

#[test]
fn an_encoder_of_zstandard_stays_small() {
    let encoders = Encoders::default();
    for (level, length) in [(3, None), (12, None), (12, Some(1 << 30))] {
        let mut encoder = encoders.take(Coding::Zstd, level, length).unwrap();
        run(
            &encoders,
            &mut encoder,
            &sample(1 << 20),
            Goal::Take,
            &mut Vec::new(),
        );
        let State::Zstd(zstd) = &encoder.state else {
            panic!()
        };
        assert!(
            zstd.sizeof() < 3 << 20,
            "{level} {length:?}: {}",
            zstd.sizeof()
        );
        encoders.give(encoder);
    }
}
