//! What httpbin makes of requests that came through.

use serde_json::Value;

use crate::harness::{Curl, Httpbin, Message, Weir, Wire, curl, curl_fed, pattern};

struct Bench {
    weir: Weir,
    _httpbin: std::sync::Arc<Httpbin>,
}

impl Bench {
    fn new() -> Self {
        let httpbin = Httpbin::shared();
        Self {
            weir: Weir::to(httpbin.address),
            _httpbin: httpbin,
        }
    }

    fn curl(&self, path: &str, arguments: &[&str]) -> Curl {
        let url = self.weir.url(path);
        let mut all = arguments.to_vec();
        all.push(&url);
        curl(&all)
    }

    fn answer(&self, path: &str, arguments: &[&str]) -> Message {
        self.curl(path, arguments).answer()
    }
}

#[test]
fn a_query_and_ordinary_fields_arrive_as_they_were_sent() {
    let bench = Bench::new();
    let answer = bench.answer(
        "/get?a=1&a=2&b=%C3%BC",
        &["-H", "X-Custom: one two", "-A", "agent/1"],
    );
    assert_eq!(answer.status(), 200);
    let seen = answer.json();
    assert_eq!(seen["args"]["a"], serde_json::json!(["1", "2"]));
    assert_eq!(seen["args"]["b"], "ü");
    assert_eq!(seen["headers"]["X-Custom"], "one two");
    assert_eq!(seen["headers"]["User-Agent"], "agent/1");
    assert_eq!(seen["headers"]["Host"], bench.weir.http().to_string());
}

#[test]
fn hop_by_hop_fields_end_here_and_forwarding_fields_are_written_anew() {
    let bench = Bench::new();
    let answer = bench.answer(
        "/get?show_env=1",
        &[
            "-H",
            "Connection: keep-alive, X-Private",
            "-H",
            "X-Private: 1",
            "-H",
            "Keep-Alive: timeout=5",
            "-H",
            "Proxy-Connection: keep-alive",
            "-H",
            "Proxy-Authorization: Basic eDp5",
            "-H",
            "Upgrade: websocket",
            "-H",
            "X-Forwarded-For: 203.0.113.9",
            "-H",
            "X-Forwarded-Proto: https",
            "-H",
            "X-Forwarded-Host: evil.test",
            "-H",
            "Forwarded: for=203.0.113.9",
        ],
    );
    let headers = answer.json()["headers"].clone();
    for gone in [
        "Connection",
        "X-Private",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "Upgrade",
    ] {
        assert_eq!(headers[gone], Value::Null, "{gone} in {headers}");
    }
    assert_eq!(headers["X-Forwarded-For"], "127.0.0.1");
    assert_eq!(headers["X-Forwarded-Proto"], "http");
    assert_eq!(headers["X-Forwarded-Host"], bench.weir.http().to_string());
    assert_eq!(headers["Via"], "1.1 weir");
    assert!(!headers.to_string().contains("203.0.113.9"), "{headers}");
    assert!(answer.get("keep-alive").is_none());
}

#[test]
fn bodies_arrive_whole_as_json_form_and_raw() {
    let bench = Bench::new();
    let json = bench.answer(
        "/post",
        &[
            "-H",
            "Content-Type: application/json",
            "-d",
            r#"{"name":"weir","size":[1,2]}"#,
        ],
    );
    assert_eq!(
        json.json()["json"],
        serde_json::json!({"name": "weir", "size": [1, 2]})
    );

    let form = bench.answer(
        "/post",
        &["-d", "a=1", "-d", "b=two words", "--data-urlencode", "c=&="],
    );
    assert_eq!(
        form.json()["form"],
        serde_json::json!({"a": "1", "b": "two words", "c": "&="})
    );

    let text: String = pattern(100 * 1024)
        .iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect();
    bench.weir.setup().write("body", &text);
    let file = format!("@{}", bench.weir.setup().path("body").display());
    let raw = bench.answer(
        "/post",
        &["-H", "Content-Type: text/plain", "--data-binary", &file],
    );
    assert_eq!(raw.json()["data"].as_str(), Some(text.as_str()));
    assert_eq!(raw.json()["headers"]["Content-Length"], "102400");
}

#[test]
fn a_chunked_upload_of_unknown_length_arrives() {
    let bench = Bench::new();
    let url = bench.weir.url("/put");
    let arguments = ["-T", "-", "-H", "Content-Type: text/plain", &url];
    let answer = curl_fed(&arguments, b"streamed without a length").answer();
    assert_eq!(answer.json()["data"], "streamed without a length");
    assert_eq!(answer.json()["headers"]["Content-Length"], Value::Null);
}

#[test]
fn a_coded_body_passes_untouched() {
    let bench = Bench::new();
    let answer = bench.answer("/gzip", &["--compressed"]);
    assert_eq!(answer.get("content-encoding"), Some("gzip"));
    assert_eq!(answer.json()["gzipped"], true);
    let raw = bench.answer("/gzip", &["-H", "Accept-Encoding: gzip"]);
    assert_eq!(&raw.body[..2], b"\x1f\x8b");
}

#[test]
fn redirects_of_the_server_lead_back_through() {
    let bench = Bench::new();
    let run = bench.curl("/redirect/3", &["-L"]);
    assert_eq!(
        run.heads.iter().map(Message::status).collect::<Vec<_>>(),
        [302, 302, 302, 200]
    );
    let absolute = bench.answer("/absolute-redirect/1", &[]);
    assert_eq!(
        absolute.get("location"),
        Some(bench.weir.url("/get").as_str())
    );
}

#[test]
fn status_codes_pass_as_they_are() {
    let bench = Bench::new();
    for status in [
        200, 201, 204, 205, 304, 400, 401, 403, 404, 410, 418, 429, 500, 501, 503,
    ] {
        let answer = bench.answer(&format!("/status/{status}"), &[]);
        assert_eq!(answer.status(), status);
        assert_ne!(answer.get("content-type"), Some("application/problem+json"));
    }
}

#[test]
fn a_response_of_unknown_length_arrives_line_by_line() {
    let bench = Bench::new();
    let answer = bench.answer("/stream/20", &[]);
    assert_eq!(answer.get("transfer-encoding"), Some("chunked"));
    let ids: Vec<_> = answer
        .text()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_slow_response_is_not_held_back() {
    let bench = Bench::new();
    let run = bench.curl(
        "/drip?numbytes=5&duration=1&delay=0",
        &["-w", "%{time_starttransfer} %{time_total}"],
    );
    assert_eq!(run.answer().body, b"*****");
    let times: Vec<f64> = run
        .stdout
        .split(' ')
        .map(|seconds| seconds.parse().unwrap())
        .collect();
    assert!(
        times[1] - times[0] > 0.5,
        "first byte after {} of {} seconds",
        times[0],
        times[1]
    );
}

#[test]
fn head_and_options_have_no_body_and_keep_their_fields() {
    let bench = Bench::new();
    let get = bench.answer("/html", &[]);
    let mut wire = Wire::connect(bench.weir.http());
    let head = wire.response_to("HEAD /html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(head.status(), 200);
    assert!(wire.is_at_end());
    assert_eq!(head.get("content-length"), get.get("content-length"));
    assert_eq!(
        head.get("content-length"),
        Some(get.body.len().to_string().as_str())
    );
    let options = bench.answer("/get", &["-X", "OPTIONS"]);
    let allowed = options.get("allow").unwrap();
    assert!(
        ["GET", "HEAD", "OPTIONS"]
            .iter()
            .all(|method| allowed.contains(method)),
        "{allowed}"
    );
}
