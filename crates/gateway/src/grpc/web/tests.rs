use std::task::Waker;

use http::{HeaderName, Method};

use super::*;
use crate::message::Version;

fn incoming(body: &[u8], is_text: bool) -> Incoming {
    Incoming {
        body: Body::Full(Bytes::copy_from_slice(body)),
        text: is_text.then(base64::Decoder::default),
        frames: frames::Frames::default(),
    }
}

/// What becomes of a body, or the rule that it breaks.
fn read(mut incoming: Incoming) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = incoming.poll_frame(&mut context) {
        match frame? {
            Frame::Data(bytes) => all.extend_from_slice(&bytes),
            Frame::Trailers(_) => panic!("a request of gRPC-Web has no trailers"),
        }
    }
    assert_eq!(incoming.length(), Some(0));
    Ok(all)
}

const TWO: &[u8] = b"\0\0\0\0\x02hi\x01\0\0\0\0";

#[test]
fn messages_pass_as_they_are() {
    for body in [TWO, b""] {
        assert_eq!(read(incoming(body, false)).as_deref(), Ok(body));
    }
}

#[test]
fn what_lies_about_its_length_or_has_other_flags_is_refused() {
    let cut = Failure::Malformed("A gRPC-Web message is cut short.");
    let flags = Failure::Malformed("A gRPC-Web message has unknown flags.");
    for length in 1..TWO.len() {
        let read = read(incoming(&TWO[..length], false));
        // Between the messages it is whole.
        let expected = if length == 7 {
            Ok(TWO[..7].to_vec())
        } else {
            Err(cut)
        };
        assert_eq!(read, expected, "{length}");
    }
    assert_eq!(read(incoming(b"\0\xff\xff\xff\xffhi", false)), Err(cut));
    for flag in [2, 0x80, 0x81, 0xff] {
        assert_eq!(read(incoming(&[flag, 0, 0, 0, 0], false)), Err(flags));
    }
}

#[test]
fn text_may_be_put_together_of_padded_pieces() {
    let whole = text(TWO);
    let pieces = [text(&TWO[..1]), text(&TWO[1..6]), text(&TWO[6..])].concat();
    assert_eq!(read(incoming(&whole, true)).as_deref(), Ok(TWO));
    assert_eq!(read(incoming(&pieces, true)).as_deref(), Ok(TWO));
    // However it comes.
    for size in 1..pieces.len() {
        let mut decoder = base64::Decoder::default();
        let mut all = Vec::new();
        for piece in pieces.chunks(size) {
            all.extend_from_slice(&decoder.decode(piece).expect("valid"));
        }
        assert!(decoder.is_complete());
        assert_eq!(all, TWO, "{size}");
    }
}

#[test]
fn garbage_is_no_text() {
    for garbage in [
        &b"????"[..],
        b"AAAA====",
        b"====",
        b"A===",
        b"AB=C",
        b"AAA A",
        b"AAAA\r\n==",
        b"\0\0\0\0",
        b"_-__",
        b"AAAA\xff\xff\xff\xff",
        b"AB==CD==E===",
    ] {
        assert!(read(incoming(garbage, true)).is_err(), "{garbage:?}");
    }
    let cut = Failure::Malformed("A gRPC-Web message is cut short.");
    assert_eq!(read(incoming(b"AAAAA", true)), Err(cut));
}

#[test]
fn trailers_are_a_frame_of_lines() {
    let mut fields = Fields::new();
    fields.append(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    );
    fields.append(
        HeaderName::from_static("x-odd"),
        HeaderValue::from_bytes(b"\xe9\t").expect("a value"),
    );
    let frame = trailers(&fields);
    assert_eq!(&frame[..5], b"\x80\0\0\0\x1b");
    assert_eq!(&frame[5..], b"grpc-status: 0\r\nx-odd: \xe9\t\r\n");
}

#[test]
fn the_suffix_of_a_content_type_stays() {
    let mut head = RequestHead {
        method: Method::POST,
        version: Version::Http11,
        authority: "a".into(),
        path: "/".into(),
        query: None,
        content_length: Some(8),
        expects_continue: false,
        fields: Fields::new(),
        upgrade: crate::websocket::Upgrade::None,
    };
    let json = HeaderValue::from_static("application/grpc-web-text+json");
    head.fields.set(CONTENT_TYPE, json);
    let _ = request(&mut head, Body::Empty, true);
    let value = |fields: &Fields, name| fields.get(&name).cloned();
    let expected = Some(HeaderValue::from_static("application/grpc+json"));
    assert_eq!(value(&head.fields, CONTENT_TYPE), expected);
    assert_eq!(
        value(&head.fields, TE),
        Some(HeaderValue::from_static("trailers"))
    );
    assert_eq!(head.content_length, None, "it was that of the text");
}
