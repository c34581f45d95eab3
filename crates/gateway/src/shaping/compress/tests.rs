use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::*;
use crate::message::{ResponseHead, Version};

fn compress() -> Compress {
    let range = |kind: &str, subtype| MediaRange {
        kind: kind.to_owned(),
        subtype,
    };
    Compress {
        codings: vec![(Coding::Gzip, 5)],
        minimum: 100,
        types: vec![
            range("text", model::Subtype::Any),
            range("application", model::Subtype::Suffix("+json".into())),
        ],
        event_streams: false,
    }
}

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

fn request(method: Method, pairs: &[(&'static str, &'static str)]) -> RequestHead {
    RequestHead {
        method,
        version: Version::Http11,
        authority: ByteString::new(),
        path: ByteString::from("/"),
        query: None,
        content_length: None,
        expects_continue: false,
        fields: fields(pairs),
        upgrade: crate::websocket::Upgrade::None,
    }
}

fn answer(status: u16, length: usize, pairs: &[(&'static str, &'static str)]) -> Answer {
    Answer {
        head: ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            content_length: Some(length as u64),
            fields: fields(pairs),
        },
        body: Body::Full(Bytes::from(vec![b'x'; length])),
        idle: Duration::ZERO,
    }
}

const TEXT: (&str, &str) = ("content-type", "text/plain");

fn is_compressible(asked: &RequestHead, answer: &Answer) -> bool {
    compress().is_compressible(asked, answer, false)
}

#[test]
fn what_is_worth_it_is_compressed() {
    let get = request(Method::GET, &[]);
    assert!(is_compressible(&get, &answer(200, 100, &[TEXT])));
    assert!(is_compressible(&get, &answer(404, 100, &[TEXT])));
    for kind in ["TEXT/Html ; charset=utf-8", "application/problem+json"] {
        assert!(is_compressible(
            &get,
            &answer(200, 100, &[("content-type", kind)])
        ));
    }
    let identity = [TEXT, ("content-encoding", "identity")];
    assert!(is_compressible(&get, &answer(200, 100, &identity)));
}

#[test]
fn everything_else_is_left_alone() {
    let get = request(Method::GET, &[]);
    assert!(!is_compressible(&get, &answer(200, 99, &[TEXT])));
    assert!(!is_compressible(&get, &answer(200, 100, &[])));
    for status in [101, 204, 205] {
        assert!(
            !is_compressible(&get, &answer(status, 100, &[TEXT])),
            "{status}"
        );
    }
    for field in [
        ("content-encoding", "br"),
        ("content-encoding", "identity, gzip"),
        ("cache-control", "public, No-Transform"),
    ] {
        assert!(
            !is_compressible(&get, &answer(200, 100, &[TEXT, field])),
            "{field:?}"
        );
    }
    let long = "text/plain-plain-plain-plain-plain-plain-plain-plain-plain-plain-plain-plain-plain-plain-\
                plain-plain-plain-plain-plain-plain-plain-plain-plain";
    for kind in [
        "image/png",
        "text/event-stream",
        "text",
        "",
        "application/json",
        long,
    ] {
        assert!(
            !is_compressible(&get, &answer(200, 100, &[("content-type", kind)])),
            "{kind}"
        );
    }
    let tunnel = request(Method::CONNECT, &[]);
    assert!(!is_compressible(&tunnel, &answer(200, 100, &[TEXT])));
    let careful = request(Method::GET, &[("cache-control", "no-transform")]);
    assert!(!is_compressible(&careful, &answer(200, 100, &[TEXT])));
}

#[test]
fn a_part_is_told_from_what_is_whole_however_small_it_is() {
    let get = request(Method::GET, &[]);
    let range = ("content-range", "bytes 0-9/200");
    for (part, is_expected) in [
        (answer(206, 10, &[TEXT]), true),
        (answer(206, 10, &[TEXT, range]), true),
        (answer(416, 10, &[TEXT, range]), true),
        (answer(200, 100, &[TEXT]), false),
    ] {
        assert_eq!(is_part(&part.head), is_expected);
        assert!(is_compressible(&get, &part));
    }
}

#[test]
fn digests_go_wherever_they_stand() {
    let mut trailers = fields(&[("repr-digest", "sha-256=:AA==:"), ("x-sum", "7")]);
    remove_digests(&mut trailers);
    assert_eq!(trailers, fields(&[("x-sum", "7")]));
}

#[test]
fn a_client_that_refuses_identity_gets_small_and_odd_things_compressed() {
    let get = request(Method::GET, &[]);
    let forced = |answer: &Answer| compress().is_compressible(&get, answer, true);
    assert!(forced(&answer(200, 1, &[("content-type", "image/png")])));
    assert!(!forced(&answer(200, 0, &[TEXT])));
    let call = [("content-type", "application/grpc-web+proto")];
    assert!(!forced(&answer(200, 100, &call)));
    assert!(!forced(&answer(
        200,
        100,
        &[("content-type", "text/event-stream")]
    )));
    assert!(!forced(&answer(
        200,
        100,
        &[TEXT, ("cache-control", "no-transform")]
    )));
}

#[test]
fn a_304_has_the_tag_that_the_client_knows() {
    let mut asked = Asked::default();
    let mut same = ResponseHead {
        status: StatusCode::NOT_MODIFIED,
        content_length: Some(5_000),
        fields: fields(&[("etag", "\"x\"")]),
    };
    not_modified(&asked, &mut same);
    assert_eq!(
        same.fields,
        fields(&[("etag", "\"x\""), ("vary", "Accept-Encoding")])
    );
    assert_eq!(same.content_length, Some(5_000));
    asked.revalidates = Some(Coding::Zstd);
    asked.accepted.coding = Some((Coding::Zstd, 3));
    not_modified(&asked, &mut same);
    assert_eq!(same.fields.get(&ETAG).unwrap(), "W/\"x--zstd\"");
    assert_eq!(same.content_length, None);
}
