//! Request lines, fields, hosts and sizes.

use super::{Case, refused, served};

/// A GET with these lines of fields.
fn get(fields: &str) -> String {
    format!("GET /case HTTP/1.1\r\n{fields}\r\n\r\n")
}

/// A request of this line.
fn line(line: &str) -> String {
    format!("{line}\r\nHost: a.test\r\n\r\n")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = lines();
    cases.extend(fields());
    cases.extend(hosts());
    cases.extend(sizes());
    cases
}

fn lines() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("two spaces before the target", "GET  /case HTTP/1.1", 400),
        ("two spaces before the version", "GET /case  HTTP/1.1", 505),
        ("tab before the target", "GET\t/case HTTP/1.1", 400),
        ("tab before the version", "GET /case\tHTTP/1.1", 400),
        ("space at the end", "GET /case HTTP/1.1 ", 400),
        ("space at the beginning", " GET /case HTTP/1.1", 400),
        ("space in the target", "GET /ca se HTTP/1.1", 505),
        ("HTTP/1.2", "GET /case HTTP/1.2", 505),
        ("HTTP/2.0", "GET /case HTTP/2.0", 505),
        ("HTTP/3", "GET /case HTTP/3", 505),
        ("HTTP/01.1", "GET /case HTTP/01.1", 505),
        ("HTTP/1.", "GET /case HTTP/1.", 505),
        ("HTTP/1,1", "GET /case HTTP/1,1", 505),
        ("lower-case http", "GET /case http/1.1", 505),
        ("another protocol", "GET /case ICAP/1.0", 505),
        ("HTTP/0.9 with fields", "GET /case", 400),
        ("no method", "/case HTTP/1.1", 400),
        ("no target", "GET HTTP/1.1", 400),
        ("parenthesis in the method", "GE(T /case HTTP/1.1", 400),
        ("colon in the method", "GET: /case HTTP/1.1", 400),
        (
            "authority-form without CONNECT",
            "GET a.test:80 HTTP/1.1",
            400,
        ),
        ("CONNECT", "CONNECT a.test:443 HTTP/1.1", 501),
        ("CONNECT to a path", "CONNECT /case HTTP/1.1", 501),
        ("* without OPTIONS", "GET * HTTP/1.1", 400),
        ("* with a query", "OPTIONS *?a HTTP/1.1", 400),
        (
            "user in the target",
            "GET http://user@a.test/case HTTP/1.1",
            400,
        ),
        ("another scheme", "GET ftp://a.test/case HTTP/1.1", 400),
        ("scheme without authority", "GET http:///case HTTP/1.1", 400),
        (
            "scheme with one slash",
            "GET http:/a.test/case HTTP/1.1",
            400,
        ),
        (
            "backslashes behind the scheme",
            "GET http:\\\\a.test/case HTTP/1.1",
            400,
        ),
        ("query without path", "GET ?a HTTP/1.1", 400),
        ("relative target", "GET case HTTP/1.1", 400),
        ("fragment", "GET /case#x HTTP/1.1", 400),
        ("fragment in the query", "GET /case?a#x HTTP/1.1", 400),
    ]
    .into_iter()
    .map(|(name, text, status)| refused(name, status, line(text)))
    .collect();
    cases.extend([
        refused("HTTP/0.9", 400, "GET /case\r\n\r\n"),
        refused(
            "NUL in the method",
            400,
            "G\0T /case HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "NUL in the target",
            400,
            "GET /ca\0se HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "DEL in the target",
            400,
            "GET /ca\x7fse HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "DEL in the query",
            400,
            "GET /case?\x7f HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "CR in the target",
            400,
            "GET /ca\rse HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "not UTF-8 in the target",
            400,
            b"GET /ca\xffse HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        ),
        refused("LF in front", 400, format!("\n{}", get("Host: a.test"))),
        refused("CR in front", 400, format!("\r{}", get("Host: a.test"))),
        refused(
            "a TLS hello",
            400,
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec(),
        ),
        served(
            "empty line in front",
            format!("\r\n{}", get("Host: a.test")),
            "GET /case",
            "",
        ),
        served(
            "any token is a method",
            line("get-it /case HTTP/1.1"),
            "get-it /case",
            "",
        ),
        served("two slashes", line("GET //case HTTP/1.1"), "GET /case", ""),
        served(
            "HTTP/1.0 without host",
            "GET /case HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET /case",
            "",
        ),
    ]);
    cases
}

fn fields() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("space before the colon", "Host: a.test\r\nX-Odd : x"),
        ("tab before the colon", "Host: a.test\r\nX-Odd\t: x"),
        ("space in a name", "Host: a.test\r\nX Odd: x"),
        ("empty name", "Host: a.test\r\n: x"),
        ("missing colon", "Host: a.test\r\nX-Odd"),
        ("parenthesis in a name", "Host: a.test\r\nX(Odd): x"),
        ("quote in a name", "Host: a.test\r\n\"X-Odd\": x"),
        ("slash in a name", "Host: a.test\r\nX/Odd: x"),
        (
            "letter beyond ASCII in a name",
            "Host: a.test\r\nX-\u{f6}dd: x",
        ),
        ("NUL in a name", "Host: a.test\r\nX-\0dd: x"),
        ("NUL in a value", "Host: a.test\r\nX-Odd: x\0y"),
        ("SOH in a value", "Host: a.test\r\nX-Odd: x\x01y"),
        ("vertical tab in a value", "Host: a.test\r\nX-Odd: x\x0by"),
        ("form feed in a value", "Host: a.test\r\nX-Odd: x\x0cy"),
        ("escape in a value", "Host: a.test\r\nX-Odd: x\x1by"),
        ("DEL in a value", "Host: a.test\r\nX-Odd: x\x7fy"),
        ("CR in a value", "Host: a.test\r\nX-Odd: x\ry"),
        (
            "CR as a line end",
            "Host: a.test\r\nX-Odd: x\rContent-Length: 5",
        ),
        ("CR CR LF", "Host: a.test\r\nX-Odd: x\r"),
        ("LF as a line end", "Host: a.test\nX-Odd: x"),
        (
            "LF in front of a framing field",
            "Host: a.test\r\nX-Odd: x\nTransfer-Encoding: chunked",
        ),
        ("LF CR as a line end", "Host: a.test\r\nX-Odd: x\n\rY: z"),
        ("folded with a space", "Host: a.test\r\nX-Odd: x\r\n y"),
        ("folded with a tab", "Host: a.test\r\nX-Odd: x\r\n\ty"),
        ("folded first field", " X-Odd: x\r\nHost: a.test"),
        ("folded into nothing", "Host: a.test\r\nX-Odd:\r\n "),
    ]
    .into_iter()
    .map(|(name, fields)| refused(name, 400, get(fields)))
    .collect();
    cases.extend([
        refused(
            "LF ends the head",
            400,
            "GET /case HTTP/1.1\r\nHost: a.test\r\n\n",
        ),
        refused("LF everywhere", 400, "GET /case HTTP/1.1\nHost: a.test\n\n"),
        refused(
            "LF ends the request line",
            400,
            "GET /case HTTP/1.1\nHost: a.test\r\n\r\n",
        ),
        refused(
            "an expectation of its own",
            417,
            get("Host: a.test\r\nExpect: 200-ok"),
        ),
        refused(
            "two expectations in one",
            417,
            get("Host: a.test\r\nExpect: 100-continue, x"),
        ),
        served(
            "empty value",
            get("Host: a.test\r\nX-Odd:"),
            "GET /case",
            "",
        ),
        served(
            "white space around a value",
            get("Host: a.test\r\nX-Odd: \t x \t"),
            "GET /case",
            "",
        ),
    ]);
    cases
}

fn hosts() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("no host", "X-Odd: x"),
        ("two hosts", "Host: a.test\r\nHost: b.test"),
        ("the same host twice", "Host: a.test\r\nHost: a.test"),
        ("host of other case twice", "Host: a.test\r\nhOsT: a.test"),
        ("space before the host's colon", "Host : a.test"),
        ("space in the host", "Host: a.test b.test"),
        ("comma in the host", "Host: a.test,b.test"),
        ("slash in the host", "Host: a.test/x"),
        ("query in the host", "Host: a.test?x"),
        ("fragment in the host", "Host: a.test#x"),
        ("user in the host", "Host: user@a.test"),
        ("backslash in the host", "Host: a.test\\x"),
        ("escape in the host", "Host: a%2etest"),
        ("letter beyond ASCII in the host", "Host: \u{e4}.test"),
        ("only a dot as the host", "Host: ."),
        ("dot in front of the host", "Host: .a.test"),
        ("empty label in the host", "Host: a..test"),
        ("two dots behind the host", "Host: a.test.."),
        ("port that is too large", "Host: a.test:99999"),
        ("port that is not a number", "Host: a.test:x"),
        ("port with a sign", "Host: a.test:-1"),
        ("port with a plus", "Host: a.test:+80"),
        ("two ports", "Host: a.test:80:80"),
        ("only a port", "Host: :80"),
        ("open bracket", "Host: [::1"),
        ("IPv6 without brackets", "Host: ::1"),
        ("no address in brackets", "Host: [a.test]"),
        ("text behind brackets", "Host: [::1]x"),
    ]
    .into_iter()
    .map(|(name, fields)| refused(name, 400, get(fields)))
    .collect();
    cases.push(refused(
        "HTTP/1.0 with two hosts",
        400,
        "GET /case HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    ));
    cases.push(refused(
        "absolute target without host",
        400,
        "GET http://a.test/case HTTP/1.1\r\nX: y\r\n\r\n",
    ));
    for host in [
        "A.TEST",
        "a.test.",
        "a.test:",
        "a.test:8080",
        "[::1]",
        "[::1]:80",
        "127.0.0.1",
        "a_b.test",
    ] {
        cases.push(served(
            format!("host {host}"),
            get(&format!("Host: {host}")),
            "GET /case",
            "",
        ));
    }
    cases
}

fn sizes() -> Vec<Case> {
    let many: String = (0..101).map(|at| format!("X-{at}: x\r\n")).collect();
    let very_many: String = (0..2000).map(|at| format!("X-{at}: x\r\n")).collect();
    let long = "x".repeat(40 * 1024);
    vec![
        refused("101 fields", 431, get(&format!("{many}Host: a.test"))),
        refused(
            "2,000 fields",
            431,
            get(&format!("{very_many}Host: a.test")),
        ),
        refused(
            "a value of 40 KiB",
            431,
            get(&format!("Host: a.test\r\nX-Odd: {long}")),
        ),
        refused(
            "a name of 40 KiB",
            431,
            get(&format!("Host: a.test\r\n{long}: x")),
        ),
        refused(
            "a target of 40 KiB",
            431,
            line(&format!("GET /{long} HTTP/1.1")),
        ),
        refused(
            "a method of 40 KiB",
            431,
            line(&format!("{long} /case HTTP/1.1")),
        ),
        refused(
            "a head without an end",
            431,
            "GET /case HTTP/1.1\r\nHost: a.test\r\nX: ".to_owned() + &long,
        ),
    ]
}
