//! Lengths, transfer codings and chunks.

use super::{Case, Expect, refused, served};

/// A request that a body with the wrong length would hide or show.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A POST with these lines of fields and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST /case HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n\r\n{body}")
}

/// A POST with this chunked body.
fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked", body)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = lengths();
    cases.extend(codings());
    cases.extend(chunks());
    cases.extend(trailers());
    cases
}

fn lengths() -> Vec<Case> {
    let chunks = format!("0\r\n\r\n{SMUGGLED}");
    let mut cases = vec![
        refused(
            "CL.TE",
            400,
            post("Content-Length: 6\r\nTransfer-Encoding: chunked", &chunks),
        ),
        refused(
            "TE.CL",
            400,
            post("Transfer-Encoding: chunked\r\nContent-Length: 6", &chunks),
        ),
        refused(
            "CL of 0 and TE",
            400,
            post("Content-Length: 0\r\nTransfer-Encoding: chunked", &chunks),
        ),
        refused(
            "CL and an unknown coding",
            400,
            post("Content-Length: 5\r\nTransfer-Encoding: x", "hello"),
        ),
        refused(
            "the same length twice",
            400,
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ),
        refused(
            "two lengths",
            400,
            post("Content-Length: 0\r\nContent-Length: 42", SMUGGLED),
        ),
        refused(
            "two lengths, names of other case",
            400,
            post("Content-Length: 5\r\ncontent-length: 0", "hello"),
        ),
        refused(
            "two lengths apart",
            400,
            post("Content-Length: 5\r\nX: y\r\nContent-Length: 0", "hello"),
        ),
        refused(
            "space before the colon of the length",
            400,
            post("Content-Length : 5", "hello"),
        ),
        refused("folded length", 400, post("Content-Length:\r\n 5", "hello")),
    ];
    for value in [
        "5, 5",
        "5,5",
        "5, 6",
        "5,",
        ",5",
        "+5",
        "-5",
        "-0",
        "5 5",
        "0x5",
        "5h",
        "5.0",
        "5e0",
        "",
        "five",
        "\"5\"",
        "5;",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999",
        "5\x0b",
        "5\0",
        "1_0",
    ] {
        let bytes = post(&format!("Content-Length: {value}"), "hello");
        cases.push(refused(format!("length {value:?}"), 400, bytes));
    }
    cases.extend([
        served(
            "plain length",
            post("Content-Length: 5", "hello"),
            "POST /case",
            "hello",
        ),
        served(
            "length with white space around",
            post("Content-Length: \t5 ", "hello"),
            "POST /case",
            "hello",
        ),
        served(
            "length with zeros in front",
            post("Content-Length: 0005", "hello"),
            "POST /case",
            "hello",
        ),
        served("no length, no body", post("X: y", ""), "POST /case", ""),
        served(
            "GET with a body that looks like a request",
            format!(
                "GET /case HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            "GET /case",
            SMUGGLED,
        ),
        served(
            "HTTP/1.0 with a length",
            "POST /case HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
            "POST /case",
            "hello",
        ),
        refused(
            "length of the largest number",
            408,
            post("Content-Length: 18446744073709551615", "hello"),
        ),
    ]);
    // What a length leaves over is the beginning of the next request, and of nothing else.
    cases.push(Case {
        name: "bytes beyond the length".to_owned(),
        bytes: post("Content-Length: 4", "hello").into_bytes(),
        expect: Expect::Served(vec![
            ("POST /case", b"hell".to_vec()),
            ("oGET /second", Vec::new()),
        ]),
    });
    if let Some(last) = cases.last_mut() {
        last.bytes
            .extend_from_slice(b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    cases
}

fn codings() -> Vec<Case> {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let mut cases = Vec::new();
    for value in [
        "xchunked",
        "chunkedx",
        "chunked, chunked",
        "chunked,chunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, identity",
        "identity",
        "identity, chunked",
        "gzip",
        "deflate",
        "",
        ",chunked",
        "chunked,",
        "chunked;q=1",
        "\"chunked\"",
        "'chunked'",
        "chun ked",
        "chunke",
        "x\u{e9}",
        "cow",
        "trailers",
    ] {
        let bytes = post(&format!("Transfer-Encoding: {value}"), &body);
        cases.push(refused(format!("coding {value:?}"), 501, bytes));
    }
    for (name, fields) in [
        (
            "coding twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (
            "coding twice, one unknown",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        ),
        (
            "coding twice, one hidden",
            "Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
        ),
        (
            "space before the coding's colon",
            "Transfer-Encoding : chunked",
        ),
        (
            "tab before the coding's colon",
            "Transfer-Encoding\t: chunked",
        ),
        (
            "vertical tab before the coding",
            "Transfer-Encoding: \x0bchunked",
        ),
        (
            "vertical tab behind the coding",
            "Transfer-Encoding: chunked\x0b",
        ),
        ("NUL behind the coding", "Transfer-Encoding: chunked\0"),
        ("CR before the coding", "Transfer-Encoding: \rchunked"),
        ("folded coding", "Transfer-Encoding:\r\n chunked"),
        (
            "coding in a folded line",
            "X: y\r\n Transfer-Encoding: chunked",
        ),
        ("coding behind a LF", "X: y\nTransfer-Encoding: chunked"),
        ("coding behind a CR", "X: y\rTransfer-Encoding: chunked"),
        (
            "space in front of the coding's name",
            " Transfer-Encoding: chunked",
        ),
        ("NUL in the coding's name", "Transfer-Encoding\0: chunked"),
        (
            "coding's name beyond ASCII",
            "Transfer-Encod\u{131}ng: chunked",
        ),
    ] {
        cases.push(refused(name, 400, post(fields, &body)));
    }
    cases.push(refused(
        "HTTP/1.0 with chunks",
        400,
        format!("POST /case HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
    ));
    let hello = "5\r\nhello\r\n0\r\n\r\n";
    for fields in [
        "Transfer-Encoding: CHUNKED",
        "tRANSFER-eNCODING:\tchunked",
        "Transfer-Encoding: chunked \t",
    ] {
        cases.push(served(
            fields.to_owned(),
            post(fields, hello),
            "POST /case",
            "hello",
        ));
    }
    cases
}

fn chunks() -> Vec<Case> {
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
    let extensions = "1;".to_owned() + &"x".repeat(200) + "\r\na\r\n";
    let mut cases = vec![
        refused("extension of 300 bytes", 400, chunked(&extension)),
        refused(
            "extensions of 20 KiB",
            400,
            chunked(&(extensions.repeat(100) + "0\r\n\r\n")),
        ),
        refused("a size line without an end", 400, chunked(&"0".repeat(400))),
    ];
    for (name, body) in [
        ("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        (
            "more than 64 bits",
            "10000000000000000\r\nhello\r\n0\r\n\r\n",
        ),
        ("0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("plus", "+5\r\nhello\r\n0\r\n\r\n"),
        ("minus", "-5\r\nhello\r\n0\r\n\r\n"),
        ("space in front", " 5\r\nhello\r\n0\r\n\r\n"),
        ("space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        ("space before the extension", "5 ;x\r\nhello\r\n0\r\n\r\n"),
        ("tab behind", "5\t\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("extension without size", ";x\r\nhello\r\n0\r\n\r\n"),
        ("no digit", "g\r\nhello\r\n0\r\n\r\n"),
        ("digit beyond ASCII", "\u{665}\r\nhello\r\n0\r\n\r\n"),
        ("underscore", "1_0\r\nhello\r\n0\r\n\r\n"),
        ("NUL behind", "5\0\r\nhello\r\n0\r\n\r\n"),
        ("LF ends the size", "5\nhello\r\n0\r\n\r\n"),
        ("CR ends the size", "5\rhello\r\n0\r\n\r\n"),
        ("CR CR LF ends the size", "5\r\r\nhello\r\n0\r\n\r\n"),
        ("CR in an extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"),
        ("LF in an extension", "5;x\ny\r\nhello\r\n0\r\n\r\n"),
        ("control in an extension", "5;x\x01\r\nhello\r\n0\r\n\r\n"),
        ("no line end behind the data", "5\r\nhello0\r\n\r\n"),
        ("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        ("CR behind the data", "5\r\nhello\r0\r\n\r\n"),
        ("two bytes instead of a line end", "5\r\nhelloXX0\r\n\r\n"),
        ("data shorter than the size", "6\r\nhello\r\n0\r\n\r\n"),
        ("data longer than the size", "4\r\nhello\r\n0\r\n\r\n"),
        ("LF ends the last chunk", "5\r\nhello\r\n0\n\r\n"),
        ("LF ends the body", "5\r\nhello\r\n0\r\n\n"),
        (
            "a request instead of the end",
            "5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
    ] {
        cases.push(refused(format!("chunk: {name}"), 400, chunked(body)));
    }
    cases.push(refused(
        "a chunk of 2^64 - 1",
        408,
        chunked("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ));
    for (name, body, expected) in [
        ("zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("extension", "5;x\r\nhello\r\n0;y=z\r\n\r\n", "hello"),
        (
            "quoted extension",
            "5;x=\"a;b\"\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "digits of either case",
            "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
            "01234567890123456789a",
        ),
        ("nothing", "0\r\n\r\n", ""),
        (
            "data that looks like an end",
            "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n",
            "0\r\n\r\n\r\n",
        ),
    ] {
        cases.push(served(
            format!("chunk: {name}"),
            chunked(body),
            "POST /case",
            expected,
        ));
    }
    cases
}

fn trailers() -> Vec<Case> {
    let long = format!("0\r\nX: {}\r\n\r\n", "x".repeat(20 * 1024));
    let many: String = (0..100).map(|at| format!("X-{at}: x\r\n")).collect();
    let mut cases = vec![
        refused("trailers of 20 KiB", 400, chunked(&long)),
        refused("100 trailers", 400, chunked(&format!("0\r\n{many}\r\n"))),
        served("a trailer", chunked("0\r\nX: y\r\n\r\n"), "POST /case", ""),
    ];
    for (name, trailer) in [
        ("LF", "X: y\n"),
        ("CR", "X: y\rZ: z\r\n"),
        ("folded", "X: y\r\n z\r\n"),
        ("without colon", "X\r\n"),
        ("empty name", ": x\r\n"),
        ("space before the colon", "X : y\r\n"),
        ("NUL", "X: \0\r\n"),
    ] {
        let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
        cases.push(refused(format!("trailer: {name}"), 400, chunked(&body)));
    }
    cases
}
