//! Compression of whole answers: negotiation, heads, tags, limits.

use super::decoders::decode;
use super::with;
use crate::harness::{Message, Upstream, Weir, Wire, answer, curl, pattern};

const POLICY: &str = "{ compress: {} }";

/// JSON of about 20 KiB.
fn items() -> Vec<u8> {
    let item = |at: usize| {
        format!(
            "{{\"id\":{at},\"name\":\"item {at}\",\"price\":{},\"tags\":[\"a\",\"b\"]}}",
            at * 37 % 1000
        )
    };
    let items: Vec<String> = (0..350).map(item).collect();
    format!("[{}]", items.join(",")).into_bytes()
}

/// Answers by path; the query is a field to add.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let json = ("Content-Type", "application/json");
        match request.target() {
            "/tagged" => {
                let tag = "\"v1\"";
                if request.get("if-none-match") == Some(tag) {
                    return format!("HTTP/1.1 304 Same\r\nETag: {tag}\r\n\r\n").into_bytes();
                }
                if request.get("if-match").is_some_and(|asked| asked != tag) {
                    return answer(412, &[], "");
                }
                let fields = [
                    json,
                    ("ETag", tag),
                    ("Accept-Ranges", "bytes"),
                    ("Content-MD5", "eA=="),
                ];
                answer(200, &fields, items())
            }
            "/ready" => answer(200, &[json, ("Content-Encoding", "br")], "not really"),
            "/small" => answer(200, &[json], "{}"),
            "/image" => answer(200, &[("Content-Type", "image/png")], pattern(5_000)),
            "/fixed" => answer(200, &[json, ("Cache-Control", "no-transform")], items()),
            "/part" => answer(
                206,
                &[json, ("Content-Range", "bytes 0-9999/20000")],
                &items()[..10_000],
            ),
            "/none" => b"HTTP/1.1 204 None\r\nContent-Type: application/json\r\n\r\n".to_vec(),
            "/large" => answer(200, &[("Content-Type", "text/plain")], items().repeat(300)),
            "/trailed" => {
                let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                                  Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
                    .to_vec();
                for piece in items().chunks(5_000) {
                    bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                    bytes.extend(piece);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\nX-Sum: 7\r\nContent-MD5: eA==\r\n\r\n");
                bytes
            }
            _ => answer(200, &[json, ("Vary", "Accept")], items()),
        }
    })
}

fn get(weir: &Weir, path: &str, accept: &str) -> Message {
    ask(weir, "GET", path, &[("Accept-Encoding", accept)])
}

fn ask(weir: &Weir, method: &str, path: &str, fields: &[(&str, &str)]) -> Message {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n");
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let answer = Wire::connect(weir.http()).response_to(&request);
    assert!(answer.complete, "{answer:?}");
    answer
}

#[test]
fn each_coding_is_decoded_by_those_who_made_it() {
    let (upstream, expected) = (upstream(), items());
    let weir = Weir::start(&with(POLICY, upstream.address));
    for coding in ["gzip", "br", "zstd"] {
        let answer = get(&weir, "/", coding);
        assert_eq!(answer.get("content-encoding"), Some(coding));
        assert_eq!(answer.get("content-length"), None);
        assert_eq!(answer.all("vary"), ["Accept", "Accept-Encoding"]);
        assert!(
            answer.body.len() * 4 < expected.len(),
            "{coding}: {}",
            answer.body.len()
        );
        assert!(decode(coding, &answer.body) == expected, "{coding}");
        let large = get(&weir, "/large", coding);
        assert!(
            decode(coding, &large.body) == expected.repeat(300),
            "{coding}"
        );
        let counted = weir.metric("weir_compressed_answers_total", &[&format!("\"{coding}\"")]);
        assert_eq!(counted, 2.0);
    }
    let read = weir.metric("weir_compression_read_bytes_total", &[]);
    assert_eq!(read, (3 * 301 * expected.len()) as f64);
    let written = weir.metric("weir_compression_written_bytes_total", &[]);
    assert!(written > 0.0 && written < read / 4.0, "{written}");
}

#[test]
fn curl_reads_all_of_them_over_both_versions() {
    let (upstream, expected) = (upstream(), items());
    let weir = Weir::start(&with(POLICY, upstream.address));
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        for path in ["/", "/large"] {
            let answer = curl(&[version, "--compressed", &weir.url(path)]).answer();
            assert!(answer.get("content-encoding").is_some(), "{version}");
            let times = answer.body.len() / expected.len();
            assert!(
                answer.body == expected.repeat(times.max(1)),
                "{version} {path}"
            );
        }
    }
}

#[test]
fn the_client_decides_which_coding() {
    let (upstream, expected) = (upstream(), items());
    let weir = Weir::start(&with(POLICY, upstream.address));
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, br;q=0.9", Some("gzip")),
        ("*", Some("zstd")),
        ("*;q=0.1, zstd;q=0", Some("br")),
        ("identity;q=0.5, gzip;q=0.2", None),
        ("gzip;q=0", None),
        ("identity", None),
        ("", None),
    ] {
        let answer = get(&weir, "/", accept);
        assert_eq!(answer.get("content-encoding"), coding, "{accept}");
        assert!(answer.all("vary").contains(&"Accept-Encoding"), "{accept}");
        if coding.is_none() {
            assert!(answer.body == expected);
            assert_eq!(
                answer.get("content-length"),
                Some(expected.len().to_string().as_str())
            );
        }
    }
    // Small as it is: the client does not want it plain.
    let answer = get(&weir, "/small", "gzip, identity;q=0");
    assert_eq!(decode("gzip", &answer.body), b"{}");
}

#[test]
fn what_must_stay_as_it_is_stays() {
    let upstream = upstream();
    let weir = Weir::start(&with(POLICY, upstream.address));
    for (path, status, coding) in [
        ("/ready", 200, Some("br")),
        ("/small", 200, None),
        ("/image", 200, None),
        ("/fixed", 200, None),
        ("/part", 206, None),
        ("/none", 204, None),
    ] {
        let answer = get(&weir, path, "gzip");
        assert_eq!(
            (answer.status(), answer.get("content-encoding")),
            (status, coding),
            "{path}"
        );
        // A part says what the whole would (RFC 9110 §15.3.7).
        let vary = (status == 206).then_some("Accept-Encoding");
        assert_eq!(answer.get("vary"), vary, "{path}");
    }
    assert_eq!(get(&weir, "/ready", "gzip").text(), "not really");
    let careful = [
        ("Accept-Encoding", "gzip"),
        ("Cache-Control", "no-transform"),
    ];
    assert_eq!(
        ask(&weir, "GET", "/", &careful).get("content-encoding"),
        None
    );
}

#[test]
fn a_head_request_gets_the_head_of_the_get() {
    let upstream = Upstream::answering(|request| {
        let whole = answer(
            200,
            &[("Content-Type", "application/json"), ("ETag", "\"v1\"")],
            items(),
        );
        let end = whole
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        if request.start.starts_with("HEAD") {
            whole[..end].to_vec()
        } else {
            whole
        }
    });
    let weir = Weir::start(&with(POLICY, upstream.address));
    let fields = [("Accept-Encoding", "br")];
    let [head, get] = ["HEAD", "GET"].map(|method| ask(&weir, method, "/", &fields));
    for name in [
        "content-encoding",
        "content-length",
        "etag",
        "vary",
        "content-type",
    ] {
        assert_eq!(head.get(name), get.get(name), "{name}");
    }
    assert_eq!(head.get("content-encoding"), Some("br"));
    // Nothing was compressed for it.
    assert_eq!(weir.metric("weir_compressed_answers_total", &[]), 1.0);
}

#[test]
fn tags_work_in_both_directions() {
    let upstream = upstream();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let whole = get(&weir, "/tagged", "gzip");
    let tag = whole.get("etag").unwrap();
    assert_eq!(tag, "W/\"v1--gzip\"");
    assert_eq!(whole.get("accept-ranges"), None);
    assert_eq!(whole.get("content-md5"), None);

    let again = ask(
        &weir,
        "GET",
        "/tagged",
        &[("Accept-Encoding", "gzip"), ("If-None-Match", tag)],
    );
    assert_eq!((again.status(), again.get("etag")), (304, Some(tag)));
    assert_eq!(again.get("vary"), Some("Accept-Encoding"));
    let plain = ask(&weir, "GET", "/tagged", &[("If-None-Match", "\"v1\"")]);
    assert_eq!((plain.status(), plain.get("etag")), (304, Some("\"v1\"")));
    // A change on condition reaches the upstream with the tag that it gave.
    let changed = ask(&weir, "PUT", "/tagged", &[("If-Match", tag)]);
    assert_eq!(changed.status(), 200);
    let stale = ask(&weir, "PUT", "/tagged", &[("If-Match", "W/\"v0--gzip\"")]);
    assert_eq!(stale.status(), 412);
}

#[test]
fn trailers_come_behind_the_compressed_body() {
    let upstream = upstream();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let answer = get(&weir, "/trailed", "zstd");
    assert!(decode("zstd", &answer.body) == items());
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

#[test]
fn levels_types_and_codings_are_the_configurations() {
    let (upstream, expected) = (upstream(), items());
    let policy =
        "{ compress: { codings: [gzip, br], levels: { gzip: 9 }, types: image/*, minimum: 0 } }";
    let weir = Weir::start(&with(policy, upstream.address));
    assert_eq!(get(&weir, "/", "gzip").get("content-encoding"), None);
    let image = get(&weir, "/image", "zstd, br, gzip");
    assert_eq!(image.get("content-encoding"), Some("gzip"));
    assert!(decode("gzip", &image.body) == pattern(5_000));
    let sizes = ["1", "6"].map(|level| {
        let policy = format!("{{ compress: {{ codings: br, levels: {{ br: {level} }} }} }}");
        let weir = Weir::start(&with(&policy, upstream.address));
        let answer = get(&weir, "/", "br");
        assert!(decode("br", &answer.body) == expected);
        answer.body.len()
    });
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}

#[test]
fn a_huge_accept_encoding_costs_no_more_than_any_other_field() {
    let upstream = upstream();
    let config = format!(
        "limits: {{ head_bytes: 2MiB }}\n{}",
        with(POLICY, upstream.address)
    );
    let weir = Weir::start(&config);
    let flood = "gzip;q=0.001, x;q=0.5,".repeat(50_000);
    let answer = get(&weir, "/", &flood);
    assert_eq!(answer.get("content-encoding"), Some("gzip"));
    // With the usual limit it is not even read.
    let weir = Weir::start(&with(POLICY, upstream.address));
    get(&weir, "/", &flood).assert_problem(431, "head_too_large");
}
