//! Files of nginx, and servers under Node.

use crate::harness::{JsonServer, Nginx, NodeScript, Weir, Wire, curl, curl_fed, pattern};

const SIZES: [(&str, usize); 3] = [
    ("one", 1),
    ("middle", 64 * 1024),
    ("large", 50 * 1024 * 1024),
];

fn nginx() -> (tempfile::TempDir, Nginx) {
    let files = tempfile::tempdir().unwrap();
    for (name, size) in SIZES {
        std::fs::write(files.path().join(name), pattern(size)).unwrap();
    }
    let nginx = Nginx::serving(files.path());
    (files, nginx)
}

#[test]
fn files_of_every_size_arrive_byte_for_byte() {
    let (_files, nginx) = nginx();
    let weir = Weir::to(nginx.address);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (name, size) in SIZES {
            let answer = curl(&[version, &weir.url(&format!("/{name}"))]).answer();
            assert_eq!(
                answer.get("content-length"),
                Some(size.to_string().as_str())
            );
            assert!(
                answer.body == pattern(size),
                "{name} over {version} differs"
            );
        }
    }
}

#[test]
fn ranges_and_conditions_are_the_servers() {
    let (_files, nginx) = nginx();
    let weir = Weir::to(nginx.address);
    let url = weir.url("/middle");
    let part = curl(&["-r", "1000-1999", &url]).answer();
    assert_eq!(part.status(), 206);
    assert_eq!(part.get("content-range"), Some("bytes 1000-1999/65536"));
    assert!(part.body == pattern(2000)[1000..]);
    let beyond = curl(&["-r", "70000-", &url]).answer();
    assert_eq!(beyond.status(), 416);

    let etag = part.get("etag").unwrap();
    let mut wire = Wire::connect(weir.http());
    // Twice on one connection: the first 304 must not have left anything behind.
    for _ in 0..2 {
        wire.send(format!(
            "GET /middle HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"
        ));
        let answer = wire.response("GET");
        assert_eq!((answer.status(), answer.get("etag")), (304, Some(etag)));
    }
    wire.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.response("GET").body, pattern(1));
}

#[test]
fn nginx_sees_the_request_that_was_sent() {
    let (_files, nginx) = nginx();
    let weir = Weir::to(nginx.address);
    let answer = curl(&["-H", "Host: shop.test", &weir.url("/echo?a=%20b")]).answer();
    assert_eq!(answer.text(), "GET /echo?a=%20b shop.test 127.0.0.1");
}

#[test]
fn an_express_server_is_read_and_written() {
    let server = JsonServer::start(r#"{"posts":[{"id":1,"title":"one"}]}"#);
    let weir = Weir::to(server.address);
    assert_eq!(
        curl(&[&weir.url("/posts/1")]).answer().json()["title"],
        "one"
    );
    let json = "Content-Type: application/json";
    let made = curl(&["-H", json, "-d", r#"{"title":"two"}"#, &weir.url("/posts")]).answer();
    assert_eq!((made.status(), &made.json()["id"]), (201, &2.into()));
    let all = curl(&[&weir.url("/posts?_sort=id&_order=desc")])
        .answer()
        .json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert_eq!(all[0]["title"], "two");
    assert_eq!(
        curl(&["-X", "DELETE", &weir.url("/posts/2")])
            .answer()
            .status(),
        200
    );
    assert_eq!(curl(&[&weir.url("/posts/2")]).answer().status(), 404);
}

#[test]
fn node_reads_the_same_request_and_trailers() {
    let server = NodeScript::start("http1.js", &[]);
    let weir = Weir::to(server.address);
    let seen = curl_fed(
        &[
            "-T",
            "-",
            "-H",
            "X-Twice: a",
            "-H",
            "X-Twice: b",
            &weir.url("/some/path?x=1"),
        ],
        b"hello",
    )
    .answer()
    .json();
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["url"], "/some/path?x=1");
    assert_eq!(seen["body"], "hello");
    assert_eq!(seen["headers"]["x-twice"], "a, b");
    let mut wire = Wire::connect(weir.http());
    wire.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let answer = wire.response("POST");
    assert_eq!(answer.json()["trailers"]["x-sum"], "42");
    assert_eq!(answer.trailers, [("x-reply".to_owned(), "done".to_owned())]);
}
