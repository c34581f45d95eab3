//! Odd requests: an ordinary one with one thing changed, and some pairs of changes.

/// A name and the bytes.
pub(super) type Case = (String, Vec<u8>);

/// A request put together from its parts, none of which is checked.
struct Parts<'a> {
    line: &'a [u8],
    fields: &'a [u8],
    body: &'a [u8],
}

const ORDINARY: Parts<'static> = Parts {
    line: b"GET /case HTTP/1.1",
    fields: b"Host: a.test\r\n",
    body: b"",
};

impl Parts<'_> {
    fn bytes(&self) -> Vec<u8> {
        [self.line, b"\r\n", self.fields, b"\r\n", self.body].concat()
    }
}

fn show(bytes: &[u8]) -> String {
    let shown: String = bytes.escape_ascii().to_string();
    shown.chars().take(60).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    lines(&mut cases);
    fields(&mut cases);
    bodies(&mut cases);
    pairs(&mut cases);
    cases
}

fn lines(cases: &mut Vec<Case>) {
    for method in [
        "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "get",
        "Get", "FOO", "M-SEARCH", "G", "GET!", "GET'", "GET|", "GET~", "GET_", "GET.", "GET#",
        "PRI", "SOURCE",
    ] {
        let line = format!("{method} /case HTTP/1.1");
        let parts = Parts {
            line: line.as_bytes(),
            ..ORDINARY
        };
        cases.push((format!("method {method}"), parts.bytes()));
    }
    let targets: [&[u8]; 82] = [
        b"/",
        b"//",
        b"///a",
        b"/a//b",
        b"/a/./b",
        b"/a/../b",
        b"/a/..",
        b"/..",
        b"/%2e%2e/a",
        b"/a%2fb",
        b"/a%5cb",
        b"/a\\b",
        b"/%00",
        b"/%0a",
        b"/%0d%0aX: y",
        b"/%20",
        b"/a b",
        b"/a\tb",
        b"/a+b",
        b"/%2B",
        b"/%25",
        b"/%252f",
        b"/%",
        b"/%zz",
        b"/%c0%af",
        b"/%ff",
        b"/\xc3\xa9",
        b"/\xff",
        b"/%C3%A9",
        b"/a;b=c",
        b"/a;b/../c",
        b"/..;/a",
        b"/a,b",
        b"/a:b",
        b"/a@b",
        b"/a!b",
        b"/a$b",
        b"/a'b",
        b"/a(b)",
        b"/a*b",
        b"/a=b",
        b"/a&b",
        b"/a|b",
        b"/a^b",
        b"/a`b",
        b"/a{b}",
        b"/a\"b",
        b"/a<b>",
        b"/a~b",
        b"/[a]",
        b"/a?",
        b"/a??",
        b"/a?b?c",
        b"/a?b=c&d=e",
        b"/a?b#c",
        b"/a#b",
        b"/a?\"",
        b"/a?<>",
        b"/a?{}",
        b"/a?|",
        b"/a?\\",
        b"/a?^`",
        b"/a?[]",
        b"/a?%",
        b"/a?%zz",
        b"/a?%00",
        b"/a?%0d%0a",
        b"/a?\xc3\xa9",
        b"/a?\xff",
        b"/a?\x7f",
        b"/a?\x80",
        b"/a?b c",
        b"/a?b\tc",
        b"/a?../..",
        b"/a?//",
        b"http://a.test/x",
        b"http://b.test/x",
        b"HTTP://b.test/x",
        b"http://b.test",
        b"http://b.test?x",
        b"*",
        b"x",
    ];
    for target in targets {
        let line = [b"GET ", target, b" HTTP/1.1"].concat();
        cases.push((
            format!("target {}", show(target)),
            Parts {
                line: &line,
                ..ORDINARY
            }
            .bytes(),
        ));
    }
    let lines: [&[u8]; 20] = [
        b"GET /case HTTP/1.0",
        b"GET /case HTTP/1.2",
        b"GET /case HTTP/2.0",
        b"GET /case http/1.1",
        b"GET /case",
        b"GET  /case HTTP/1.1",
        b"GET /case  HTTP/1.1",
        b"GET\t/case HTTP/1.1",
        b"GET /case HTTP/1.1 ",
        b" GET /case HTTP/1.1",
        b"\r\nGET /case HTTP/1.1",
        b"\nGET /case HTTP/1.1",
        b"\r\n\r\nGET /case HTTP/1.1",
        b"GET /case HTTP/1.1\r",
        b"GET /case HTTP/1.1\nX: y",
        b"GET /case HTTP/1.1\x0b",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT a.test:80 HTTP/1.1",
        b"\xef\xbb\xbfGET /case HTTP/1.1",
        b"GET\x0c/case HTTP/1.1",
    ];
    for line in lines {
        cases.push((
            format!("line {}", show(line)),
            Parts { line, ..ORDINARY }.bytes(),
        ));
    }
}

fn fields(cases: &mut Vec<Case>) {
    let values: [&[u8]; 42] = [
        b"",
        b" ",
        b"\t",
        b" x ",
        b"\tx\t",
        b"x  y",
        b"x\ty",
        b"\"x",
        b"x,y",
        b",",
        b"x;y",
        b"\xe9",
        b"\xff\xfe",
        b"\x80",
        b"\x00",
        b"x\x00y",
        b"\x01",
        b"\x08",
        b"\x0b",
        b"\x0c",
        b"\x0cx",
        b"x\x0b",
        b"\x1f",
        b"\x7f",
        b"\x85",
        b"\xa0x",
        b"x\xa0",
        b"x\ry",
        b"x\ny",
        b"x\r",
        b"\rx",
        b"\nx",
        b"\r\n y",
        b"\r\n\ty",
        b"\r\n \r\n y",
        b"x\r\n",
        b"x\r\n\r",
        b"x\n\r\n",
        b"{x}",
        b"%0d%0aY: z",
        b":",
        b"\xc0\x8a",
    ];
    for value in values {
        let fields = [b"Host: a.test\r\nX-Odd:", value, b"\r\n"].concat();
        let parts = Parts {
            fields: &fields,
            ..ORDINARY
        };
        cases.push((format!("value {}", show(value)), parts.bytes()));
    }
    let lines: [&[u8]; 46] = [
        b"X-Odd : x",
        b"X-Odd\t: x",
        b" X-Odd: x",
        b"\tX-Odd: x",
        b"X-Odd",
        b": x",
        b"X Odd: x",
        b"X_Odd: x",
        b"X.Odd: x",
        b"X-Odd:x",
        b"x-odd: x",
        b"X-ODD: x",
        b"X-Odd: x\r\nX-Odd: y",
        b"X-Odd: x\r\nx_odd: y",
        b"X-Odd;: x",
        b"X-Odd\0: x",
        b"X-Odd\r: x",
        b"X-Odd\x7f: x",
        b"X-Od\xff: x",
        b"(X-Odd): x",
        b"X-Odd=x",
        b"\0X-Odd: x",
        b"Host: b.test",
        b"host: a.test",
        b"Host : b.test",
        b"Cookie: a=b",
        b"Cookie: a=b\r\nCookie: c=d",
        b"Content-Type: text/plain",
        b"X-Forwarded-For: 1.1.1.1",
        b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2",
        b"X_Forwarded_For: 1.1.1.1",
        b"Forwarded: for=1.1.1.1",
        b"Connection: x-odd\r\nX-Odd: x",
        b"Connection: host",
        b"Connection: x-forwarded-for",
        b"Connection: close, keep-alive",
        b"Connection: ,,,",
        b"Connection: cookie\r\nCookie: a=b",
        b"Connection: upgrade\r\nUpgrade: h2c",
        b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"Upgrade: websocket",
        b"TE: trailers",
        b"TE: gzip, trailers",
        b"Keep-Alive: timeout=5",
        b"Proxy: http://evil.test",
        b"Expect: 100-continue",
    ];
    for line in lines {
        let fields = [b"Host: a.test\r\n", line, b"\r\n"].concat();
        let parts = Parts {
            fields: &fields,
            ..ORDINARY
        };
        cases.push((format!("field {}", show(line)), parts.bytes()));
    }
    let hosts: [&[u8]; 24] = [
        b"",
        b"a.test:80",
        b"a.test:",
        b"A.TEST",
        b"a.test.",
        b"a..test",
        b".",
        b"[::1]",
        b"[::1]:80",
        b"[::1",
        b"a.test:x",
        b"a.test:99999",
        b"a.test:+80",
        b"a.test:80:80",
        b"user@a.test",
        b"a.test/x",
        b"a.test?x",
        b"a.test#x",
        b"a.test b.test",
        b"a.test,b.test",
        b"a_b.test",
        b"-a.test",
        b"a.test\xff",
        b"%61.test",
    ];
    for host in hosts {
        let fields = [b"Host: ", host, b"\r\n"].concat();
        let parts = Parts {
            fields: &fields,
            ..ORDINARY
        };
        cases.push((format!("host {}", show(host)), parts.bytes()));
    }
    cases.push((
        "no fields".to_owned(),
        Parts {
            fields: b"",
            ..ORDINARY
        }
        .bytes(),
    ));
    let old = Parts {
        line: b"GET /case HTTP/1.0",
        fields: b"Connection: keep-alive\r\n",
        body: b"",
    };
    cases.push(("HTTP/1.0 without host".to_owned(), old.bytes()));
}

/// Statements of a body's length.
const FRAMINGS: [&[u8]; 36] = [
    b"Content-Length: 5",
    b"content-length: 5",
    b"Content-Length:5",
    b"Content-Length: 05",
    b"Content-Length: 5 ",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 5,5",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length : 5",
    b"Content-Length: 0x5",
    b"Content-Length: 5\x0b",
    b"Content-Length:\r\n 5",
    b"Content_Length: 5",
    b"Content-Length: 5;",
    b"Content-Length: 4",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding: CHUNKED",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: chunked;q=1",
];

/// Bodies, some of which contain what looks like a request.
const BODIES: [&[u8]; 4] = [
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"",
];

fn bodies(cases: &mut Vec<Case>) {
    for framing in FRAMINGS {
        for body in &BODIES[..3] {
            let fields = [b"Host: a.test\r\n", framing, b"\r\n"].concat();
            let parts = Parts {
                line: b"POST /case HTTP/1.1",
                fields: &fields,
                body,
            };
            cases.push((
                format!("{} with {}", show(framing), show(body)),
                parts.bytes(),
            ));
        }
    }
    let chunks: [&[u8]; 34] = [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"05\r\nhello\r\n0\r\n\r\n",
        b"5;x\r\nhello\r\n0\r\n\r\n",
        b"5;x=\"y\"\r\nhello\r\n0\r\n\r\n",
        b"5 ;x\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5;x\ny\r\nhello\r\n0\r\n\r\n",
        b"5\r\r\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"100000005\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n00\r\n\r\n",
        b"5\r\nhello\r\n0;x\r\n\r\n",
        b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-Odd: x\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\nHost: b.test\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-Odd : x\r\n\r\n",
        b"5\r\nhello\r\n0\r\n X-Odd: x\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-Odd\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-Odd: x\n\r\n",
        b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
        b"5\r\n\x00\x01\xfe\xff\n\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n",
        b"5;x;\xff\r\nhello\r\n0\r\n\r\n",
    ];
    for body in chunks {
        let fields = b"Host: a.test\r\nTransfer-Encoding: chunked\r\n";
        let parts = Parts {
            line: b"POST /case HTTP/1.1",
            fields,
            body,
        };
        cases.push((format!("chunks {}", show(body)), parts.bytes()));
    }
}

/// Methods and versions that servers treat in their own way, with each way to state a body.
fn pairs(cases: &mut Vec<Case>) {
    for line in [
        "GET /case HTTP/1.1",
        "DELETE /case HTTP/1.1",
        "OPTIONS /case HTTP/1.1",
        "PUT /case HTTP/1.1",
        "POST /case HTTP/1.0",
    ] {
        for (framing, body) in [
            (&b"Content-Length: 5\r\n"[..], BODIES[0]),
            (b"Transfer-Encoding: chunked\r\n", BODIES[1]),
            (
                b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
                BODIES[1],
            ),
            (
                b"Content-Length: 5\r\nConnection: content-length\r\n",
                BODIES[0],
            ),
            (b"Content-Length: 5\r\nExpect: 100-continue\r\n", BODIES[0]),
            (b"Connection: keep-alive\r\n", BODIES[3]),
        ] {
            let fields = [b"Host: a.test\r\n", framing].concat();
            let parts = Parts {
                line: line.as_bytes(),
                fields: &fields,
                body,
            };
            cases.push((format!("{line} and {}", show(framing)), parts.bytes()));
        }
    }
    for line in ["\r\nGET /case HTTP/1.1", "GET http://b.test/x HTTP/1.1"] {
        for fields in ["Host: a.test\r\nHost: b.test\r\n", "Host:\r\n", ""] {
            let parts = Parts {
                line: line.as_bytes(),
                fields: fields.as_bytes(),
                body: b"",
            };
            cases.push((
                format!("{} and {}", show(line.as_bytes()), show(fields.as_bytes())),
                parts.bytes(),
            ));
        }
    }
}
