//! Reading bodies.

use bytes::BytesMut;

use crate::body::Frame;
use crate::http1::decoder::{BadFraming, Decoded, Decoder};

/// Everything that a decoder yields when its input arrives in pieces of this size.
fn decode(
    mut decoder: Decoder,
    wire: &[u8],
    step: usize,
) -> Result<(Vec<u8>, Option<String>, usize), BadFraming> {
    let mut input = BytesMut::new();
    let mut body = Vec::new();
    let mut trailers = None;
    let mut pieces = wire.chunks(step);
    let mut taken = 0;
    loop {
        match decoder.decode(&mut input)? {
            Decoded::Frame(Frame::Data(bytes)) => {
                assert!(!bytes.is_empty());
                body.extend_from_slice(&bytes);
            }
            Decoded::Frame(Frame::Trailers(fields)) => {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
                trailers = Some(names.join(","));
            }
            Decoded::End => return Ok((body, trailers, taken - input.len())),
            Decoded::More => match pieces.next() {
                Some(piece) => {
                    input.extend_from_slice(piece);
                    taken += piece.len();
                }
                None => return Err(BadFraming("incomplete")),
            },
        }
    }
}

#[test]
fn chunks_are_joined_wherever_the_input_is_cut() {
    let wire = b"4\r\nWiki\r\n6;a=\"b\"\r\npedia \r\n00E\r\nin \r\n\r\nchunks.\r\n0\r\n\r\nGET";
    for step in 1..=wire.len() {
        let (body, trailers, length) = decode(Decoder::chunked(), wire, step).unwrap();
        assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.");
        assert_eq!((trailers, length), (None, wire.len() - 3), "step {step}");
    }
}

#[test]
fn trailers_follow_the_body_without_those_that_frame_or_route() {
    let wire = b"1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: b\r\nAuthorization: c\r\n\
        X-Forwarded-For: d\r\nX-End: 2\r\n\r\n";
    for step in 1..=wire.len() {
        let (_, trailers, length) = decode(Decoder::chunked(), wire, step).unwrap();
        assert_eq!(trailers.as_deref(), Some("x-sum,x-end"), "step {step}");
        assert_eq!(length, wire.len());
    }
    let only_refused = b"0\r\nHost: b\r\n\r\n";
    assert_eq!(decode(Decoder::chunked(), only_refused, 4).unwrap().1, None);
}

#[test]
fn chunks_that_parsers_disagree_on_are_refused() {
    let long_line = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(300));
    let many_extensions = format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(100);
    for wire in [
        "1\na\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "\r\na\r\n0\r\n\r\n",
        "g\r\na\r\n0\r\n\r\n",
        "11111111111111111\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;a\0\r\na\r\n0\r\n\r\n",
        "0\r\nX-A: 1\n\r\n",
        "0\r\nX-A : 1\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        &long_line,
        &many_extensions,
    ] {
        let refused = decode(Decoder::chunked(), wire.as_bytes(), 7);
        assert!(
            matches!(refused, Err(BadFraming(reason)) if reason != "incomplete"),
            "{wire:?}: {refused:?}"
        );
    }
}

#[test]
fn endless_lines_and_trailers_are_refused_before_they_end() {
    let mut line = BytesMut::from(&b"1;"[..]);
    line.extend_from_slice(&vec![b'x'; 400]);
    assert!(Decoder::chunked().decode(&mut line).is_err());
    let mut trailers = BytesMut::from(&b"0\r\nX-A: "[..]);
    trailers.extend_from_slice(&vec![b'x'; 20_000]);
    assert!(Decoder::chunked().decode(&mut trailers).is_err());
}

#[test]
fn a_body_of_known_length_leaves_what_follows() {
    for step in 1..=8 {
        let (body, _, length) = decode(Decoder::length(5), b"helloGET", step).unwrap();
        assert_eq!((body.as_slice(), length), (&b"hello"[..], 5));
    }
    assert!(Decoder::length(0).is_done());
}
