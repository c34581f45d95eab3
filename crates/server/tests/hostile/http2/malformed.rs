//! What RFC 9113 calls malformed, or what exceeds a limit.

use super::{Bench, CANCEL, request_frame};
use crate::harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Ended, Field, HEADERS, PING, RST_STREAM, SETTINGS,
    block, frame, get, setting,
};
use crate::harness::upstream::Seen;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;

#[test]
fn header_tables_larger_than_allowed_and_bad_blocks_end_the_connection() {
    let bench = Bench::start();
    let blocks: [(&str, Vec<u8>); 6] = [
        ("table of 2 GiB", vec![0x3f, 0xe1, 0xff, 0xff, 0xff, 0x07]),
        ("index 0", vec![0x80]),
        ("index beyond the table", vec![0xff, 0xff, 0x03]),
        ("integer without end", vec![0xff; 64]),
        ("string beyond the block", vec![0x00, 0x7f, 0xff, 0x01]),
        (
            "bad Huffman code",
            vec![0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, b'x'],
        ),
    ];
    for (name, bytes) in blocks {
        let mut client = bench.client();
        let mut payload = bytes;
        payload.extend_from_slice(&block(&get("/block")));
        client.write(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &payload));
        // RFC 9113 §4.3 asks for COMPRESSION_ERROR; the HTTP/2 layer says PROTOCOL_ERROR.
        let ended = client.until_end();
        assert!(
            matches!(ended, Ended::GoAway(PROTOCOL_ERROR | COMPRESSION_ERROR)),
            "{name}: {ended:?}"
        );
    }
    assert!(bench.upstream.take().is_empty());
    bench.finish("bad header blocks");
}

#[test]
fn cookies_in_many_crumbs_are_joined_or_refused() {
    let bench = Bench::start();
    let crumbs = |count: usize| {
        let mut fields = get("/crumbs").to_vec();
        fields.extend(std::iter::repeat_n((&b"cookie"[..], &b"a=b"[..]), count));
        fields
    };
    assert_eq!(bench.outcome(&crumbs(50)).status(), Some(200));
    let seen = bench.upstream.take();
    assert_eq!(seen[0].value("cookie").unwrap(), vec!["a=b"; 50].join("; "));
    for count in [101, 500, 3_000] {
        let ended = bench.outcome(&crumbs(count));
        assert!(ended.is_refusal(), "{count} crumbs: {ended:?}");
    }
    assert!(bench.upstream.take().is_empty());
    bench.finish("crumbs");
}

#[test]
fn a_head_beyond_the_limits_is_refused_and_the_connection_goes_on() {
    let bench = Bench::start();
    let mut client = bench.client();
    let long = vec![b'x'; 14 * 1024];
    let mut fields = get("/long").to_vec();
    fields.extend([(&b"x-a"[..], &long[..]), (b"x-b", &long), (b"x-c", &long)]);
    let id = client.new_stream();
    let block = block(&fields);
    let pieces: Vec<&[u8]> = block.chunks(16 * 1024).collect();
    client.write(&frame(HEADERS, END_STREAM, id, pieces[0]));
    client.write(&frame(CONTINUATION, 0, id, pieces[1]));
    client.write(&frame(CONTINUATION, END_HEADERS, id, pieces[2]));
    assert_eq!(client.outcome(id).status(), Some(431));
    assert_eq!(client.request(&get("/next")).status(), Some(200));
    let lines: Vec<String> = bench.upstream.take().iter().map(Seen::line).collect();
    assert_eq!(lines, ["GET /next"]);
    // Many short fields.
    let names: Vec<String> = (0..150).map(|at| format!("x-{at}")).collect();
    let mut fields = get("/many").to_vec();
    fields.extend(names.iter().map(|name| (name.as_bytes(), &b"x"[..])));
    assert_eq!(client.request(&fields).status(), Some(431));
    bench.finish("long heads");
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let bench = Bench::start();
    let mut client = bench.client();
    let mut fields = get("/open");
    fields[0].1 = b"POST";
    let open = block(&fields);
    for _ in 0..100 {
        let id = client.new_stream();
        client.write(&frame(HEADERS, END_HEADERS, id, &open));
    }
    assert_eq!(
        client.request(&get("/beyond")),
        Ended::Reset(REFUSED_STREAM)
    );
    assert!(
        bench
            .upstream
            .take()
            .iter()
            .all(|seen| seen.target != "/beyond")
    );
    bench.finish("too many streams");
}

#[test]
fn malformed_requests_never_reach_the_upstream() {
    let bench = Bench::start();
    let with = |name: &'static [u8], value: &'static [u8]| {
        let mut fields = get("/malformed").to_vec();
        fields.push((name, value));
        fields
    };
    let replaced = |at: usize, name: &'static [u8], value: &'static [u8]| {
        let mut fields = get("/malformed").to_vec();
        fields[at] = (name, value);
        fields
    };
    let without = |at: usize| {
        let mut fields = get("/malformed").to_vec();
        fields.remove(at);
        fields
    };
    let mut late = get("/malformed").to_vec();
    late.insert(0, (b"x-early", b"x"));
    let mut cases: Vec<(String, Vec<Field<'_>>)> = vec![
        ("name in upper case".into(), with(b"X-Odd", b"x")),
        ("empty name".into(), with(b"", b"x")),
        ("space in a name".into(), with(b"x odd", b"x")),
        ("colon in a name".into(), with(b"x:odd", b"x")),
        ("line end in a name".into(), with(b"x\r\nodd", b"x")),
        ("NUL in a name".into(), with(b"x\0odd", b"x")),
        ("CR LF in a value".into(), with(b"x-odd", b"x\r\ny: z")),
        ("LF in a value".into(), with(b"x-odd", b"x\ny")),
        ("CR in a value".into(), with(b"x-odd", b"x\ry")),
        ("NUL in a value".into(), with(b"x-odd", b"x\0y")),
        ("pseudo field behind fields".into(), late),
        ("unknown pseudo field".into(), with(b":odd", b"x")),
        (":status in a request".into(), with(b":status", b"200")),
        (
            ":protocol without CONNECT".into(),
            with(b":protocol", b"websocket"),
        ),
        (
            "path without slash".into(),
            replaced(3, b":path", b"malformed"),
        ),
        ("empty path".into(), replaced(3, b":path", b"")),
        (
            "absolute path".into(),
            replaced(3, b":path", b"http://b.test/"),
        ),
        ("* with GET".into(), replaced(3, b":path", b"*")),
        ("space in the path".into(), replaced(3, b":path", b"/a b")),
        (
            "CR LF in the path".into(),
            replaced(3, b":path", b"/ HTTP/1.1\r\nx: y"),
        ),
        ("no method".into(), without(0)),
        ("no scheme".into(), without(1)),
        ("no path".into(), without(3)),
        ("no authority and no host".into(), without(2)),
        (
            "space in the method".into(),
            replaced(0, b":method", b"GET /smuggled HTTP/1.1"),
        ),
        (
            "CR LF in the method".into(),
            replaced(0, b":method", b"GET\r\n"),
        ),
        ("empty method".into(), replaced(0, b":method", b"")),
        ("empty authority".into(), replaced(2, b":authority", b"")),
        (
            "user in the authority".into(),
            replaced(2, b":authority", b"user@a.test"),
        ),
        (
            "slash in the authority".into(),
            replaced(2, b":authority", b"a.test/x"),
        ),
        (
            "CR LF in the authority".into(),
            replaced(2, b":authority", b"a.test\r\nx: y"),
        ),
        (
            "two authorities in one".into(),
            replaced(2, b":authority", b"a.test, b.test"),
        ),
        ("another host".into(), with(b"host", b"b.test")),
        ("another port".into(), with(b"host", b"a.test:81")),
        ("a length and no body".into(), with(b"content-length", b"5")),
        (
            "a length with a sign".into(),
            with(b"content-length", b"+0"),
        ),
        (
            "a length in a list".into(),
            with(b"content-length", b"0, 0"),
        ),
        ("an expectation of its own".into(), with(b"expect", b"x")),
        (
            "CONNECT".into(),
            vec![(b":method", b"CONNECT"), (b":authority", b"a.test:80")],
        ),
        (
            "CONNECT with a path".into(),
            replaced(0, b":method", b"CONNECT"),
        ),
        ("te beyond trailers".into(), with(b"te", b"gzip")),
    ];
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        cases.push((format!("the field {name}"), with(name.as_bytes(), b"x")));
    }
    for at in 0..4 {
        let mut fields = get("/malformed").to_vec();
        fields.push(fields[at]);
        cases.push((
            format!("{} twice", String::from_utf8_lossy(fields[at].0)),
            fields,
        ));
    }
    let mut twice = with(b"host", b"a.test");
    twice.push((b"host", b"a.test"));
    cases.push(("two hosts".into(), twice));
    let mut twice = with(b"content-length", b"0");
    twice.push((b"content-length", b"0"));
    cases.push(("two lengths".into(), twice));
    let mut faults = Vec::new();
    for (name, fields) in &cases {
        let ended = bench.outcome(fields);
        let seen = bench.upstream.take();
        if !ended.is_refusal() || !seen.is_empty() {
            faults.push(format!("{name}: {ended:?}, upstream saw {seen:?}"));
        }
    }
    println!(
        "{} malformed requests, {} faults",
        cases.len(),
        faults.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    bench.finish("malformed requests");
}

#[test]
fn a_body_that_is_not_as_long_as_stated_is_never_complete() {
    let bench = Bench::start();
    for (name, stated, data) in [("shorter", "6", "hello"), ("longer", "4", "hello")] {
        let mut client = bench.client();
        let mut fields = get("/length").to_vec();
        fields[0].1 = b"POST";
        fields.push((b"content-length", stated.as_bytes()));
        let id = client.new_stream();
        client.write(&frame(HEADERS, END_HEADERS, id, &block(&fields)));
        client.write(&frame(DATA, END_STREAM, id, data.as_bytes()));
        let ended = client.outcome(id);
        assert!(ended.is_refusal(), "{name}: {ended:?}");
        assert!(bench.upstream.take().is_empty(), "{name}");
    }
}

#[test]
fn framing_and_identity_fields_in_trailers_are_dropped() {
    let bench = Bench::start();
    let mut client = bench.client();
    let mut fields = get("/trailers").to_vec();
    fields[0].1 = b"POST";
    let trailers: [Field<'_>; 6] = [
        (b"x-checksum", b"1"),
        (b"content-length", b"3"),
        (b"host", b"evil.test"),
        (b"authorization", b"Bearer x"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"cookie", b"a=b"),
    ];
    let id = client.new_stream();
    client.write(&frame(HEADERS, END_HEADERS, id, &block(&fields)));
    client.write(&frame(DATA, 0, id, b"hello"));
    client.write(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        id,
        &block(&trailers),
    ));
    let ended = client.outcome(id);
    let seen = bench.upstream.take();
    if ended.status() == Some(200) {
        assert_eq!(seen[0].body, b"hello");
        assert_eq!(seen[0].trailers, [("x-checksum".to_owned(), b"1".to_vec())]);
    } else {
        assert!(seen.is_empty(), "{ended:?}");
    }
}

#[test]
fn pseudo_fields_in_trailers_make_no_request() {
    // RFC 9113 §8.1 calls the request malformed; the HTTP/2 layer drops the fields.
    let bench = Bench::start();
    let mut client = bench.client();
    let mut fields = get("/trailers").to_vec();
    fields[0].1 = b"POST";
    let id = client.new_stream();
    client.write(&frame(HEADERS, END_HEADERS, id, &block(&fields)));
    client.write(&frame(DATA, 0, id, b"hello"));
    client.write(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        id,
        &block(&get("/smuggled")),
    ));
    let ended = client.outcome(id);
    let seen = bench.upstream.take();
    if ended.is_refusal() {
        assert!(seen.is_empty(), "{seen:?}");
        return;
    }
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].line().as_str(), &*seen[0].body),
        ("POST /trailers", &b"hello"[..])
    );
    assert!(seen[0].trailers.is_empty(), "{seen:?}");
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let bench = Bench::start();
    let cases: [(&str, Vec<u8>); 10] = [
        ("data on stream 0", frame(DATA, 0, 0, b"x")),
        (
            "headers on stream 0",
            frame(HEADERS, END_HEADERS, 0, &block(&get("/"))),
        ),
        ("headers on an even stream", request_frame(2, "/")),
        ("data on an idle stream", frame(DATA, 0, 1, b"x")),
        ("reset of an idle stream", frame(RST_STREAM, 0, 1, &CANCEL)),
        (
            "continuation without headers",
            frame(CONTINUATION, END_HEADERS, 1, b""),
        ),
        ("ping of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("settings of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "window beyond 2^31 - 1",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
        ),
        ("push promise", frame(5, END_HEADERS, 1, &[0; 4])),
    ];
    for (name, bytes) in cases {
        let mut client = bench.client();
        client.write(&bytes);
        let ended = client.until_end();
        assert!(
            matches!(ended, Ended::GoAway(1..) | Ended::Closed),
            "{name}: {ended:?}"
        );
    }
    // A frame in the middle of a header block.
    let mut client = bench.client();
    client.write(&frame(HEADERS, END_STREAM, 1, &block(&get("/"))));
    client.write(&frame(PING, 0, 0, &[0; 8]));
    assert_eq!(client.until_end(), Ended::GoAway(PROTOCOL_ERROR));
    // A frame that is longer than allowed.
    let mut client = bench.client();
    client.write(&frame(DATA, 0, 1, &vec![0; 20_000]));
    assert!(matches!(
        client.until_end(),
        Ended::GoAway(1..) | Ended::Closed
    ));
    assert!(bench.upstream.take().is_empty());
    bench.finish("broken frames");
}
