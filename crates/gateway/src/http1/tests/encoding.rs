//! Writing heads and bodies.

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::body::Frame;
use crate::fields::Fields;
use crate::http1::encode::{self, Framing, Persistence};
use crate::message::ResponseHead;
use crate::output::Output;
use crate::upstream::ForwardHead;

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn fields(pairs: &[(&'static str, &'static str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in pairs {
        fields.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    fields
}

fn response(head: &ResponseHead, framing: Framing, persistence: Persistence) -> String {
    let mut out = BytesMut::new();
    encode::response_head(&mut out, head, framing, persistence, DATE);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_response_head_states_one_framing() {
    let head = ResponseHead {
        status: StatusCode::OK,
        content_length: Some(3),
        fields: fields(&[
            ("x-a", "1"),
            ("connection", "x-a"),
            ("transfer-encoding", "gzip"),
        ]),
    };
    assert_eq!(
        response(&head, Framing::Length, Persistence::Default),
        "HTTP/1.1 200 OK\r\nx-a: 1\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 3\r\n\r\n"
    );
    let chunked = response(&head, Framing::Chunked, Persistence::Close);
    assert!(chunked.ends_with("transfer-encoding: chunked\r\nconnection: close\r\n\r\n"));
    assert!(!chunked.contains("content-length"));
}

#[test]
fn the_target_s_date_stays_and_204_has_no_length() {
    let head = ResponseHead {
        status: StatusCode::NO_CONTENT,
        content_length: Some(0),
        fields: fields(&[("date", "yesterday")]),
    };
    assert_eq!(
        response(&head, Framing::None, Persistence::KeepAlive),
        "HTTP/1.1 204 No Content\r\ndate: yesterday\r\nconnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn a_request_head_is_written_for_the_next_hop() {
    let fields = fields(&[("accept", "*/*")]);
    let head = ForwardHead {
        method: &Method::POST,
        path: "/a",
        query: Some("b=c"),
        scheme: "http",
        authority: "h:81",
        fields: &fields,
        content_length: None,
        expects_continue: true,
        trace: None,
        attempt: 1,
        reads_ahead: true,
        upgrade: None,
    };
    let mut out = BytesMut::new();
    encode::request_head(&mut out, &head, false, Some(7), true);
    assert_eq!(
        &out[..],
        b"POST /a?b=c HTTP/1.1\r\nhost: h:81\r\naccept: */*\r\ncontent-length: 7\r\n\
          expect: 100-continue\r\n\r\n"
    );
}

fn wire(output: &mut Output) -> Vec<u8> {
    let mut wire = Vec::new();
    output.drain_into(&mut wire);
    wire
}

#[test]
fn small_and_large_pieces_keep_their_order_in_chunks() {
    let large = Bytes::from(vec![b'x'; 10_000]);
    let mut output = Output::default();
    encode::frame(
        &mut output,
        Framing::Chunked,
        Frame::Data(Bytes::from_static(b"small")),
    );
    encode::frame(&mut output, Framing::Chunked, Frame::Data(large.clone()));
    encode::frame(
        &mut output,
        Framing::Chunked,
        Frame::Trailers(fields(&[("x-sum", "1")])),
    );
    let expected = [
        b"5\r\nsmall\r\n2710\r\n",
        &large[..],
        b"\r\n0\r\nx-sum: 1\r\n\r\n",
    ]
    .concat();
    assert_eq!(output.len(), expected.len());
    assert_eq!(wire(&mut output), expected);
}

#[test]
fn a_body_of_known_length_is_written_as_it_is() {
    let mut output = Output::default();
    encode::frame(
        &mut output,
        Framing::Length,
        Frame::Data(Bytes::from_static(b"abc")),
    );
    encode::end(&mut output, Framing::Length);
    assert_eq!(wire(&mut output), b"abc");
}
