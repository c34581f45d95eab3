use super::{ACCEPT, Frame, KEY, Server, TEXT, config, open, request};
use crate::harness::{Upstream, Weir, Wire, answer, forward, wait_until};

#[test]
fn without_being_let_through_it_is_a_request_like_any_other() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&forward(upstream.address));
    let mut wire = Wire::connect(weir.http());
    let answer = wire.response_to(&request("/", ""));
    assert_eq!(answer.status(), 200);
    let seen = answer.text();
    assert!(
        !seen.contains("upgrade:") && !seen.contains("connection:"),
        "{seen}"
    );
    // A route that lets them through takes other requests as ever.
    let weir = Weir::start(&config(upstream.address, "true"));
    assert_eq!(weir.get("/").status(), 200);
    // HTTP/1.0 has no upgrades (RFC 9110 §7.8).
    let mut wire = Wire::connect(weir.http());
    let old = request("/", "").replacen("HTTP/1.1", "HTTP/1.0", 1);
    assert_eq!(wire.response_to(&old).status(), 200);
}

#[test]
fn both_sides_agree_and_get_each_others_frames() {
    let server = Server::agreeing("Sec-WebSocket-Protocol: chat\r\nX-Extra: yes\r\n");
    let weir = Weir::start(&config(server.upstream.address, "true"));
    let (mut client, head) = open(
        weir.http(),
        "Sec-WebSocket-Protocol: chat, other\r\nSec-WebSocket-Extensions: foo; a=1\r\nCookie: a=b\r\n",
    );
    assert_eq!(head.get("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert_eq!(head.all("connection"), ["upgrade"]);
    assert_eq!(head.get("sec-websocket-protocol"), Some("chat"));
    assert_eq!(head.get("x-extra"), Some("yes"));
    assert_eq!(head.get("content-length"), None);
    let (mut target, seen) = server.next();
    assert_eq!(seen.get("sec-websocket-key"), Some(KEY));
    assert_eq!(seen.get("sec-websocket-version"), Some("13"));
    assert_eq!(seen.get("sec-websocket-protocol"), Some("chat, other"));
    assert_eq!(seen.get("sec-websocket-extensions"), None, "not known here");
    assert_eq!(seen.all("upgrade"), ["websocket"]);
    assert_eq!(seen.all("connection"), ["upgrade"]);
    assert_eq!(seen.get("cookie"), Some("a=b"));
    assert!(seen.get("x-forwarded-for").is_some() && seen.get("x-request-id").is_some());
    let (there, back) = (Frame::last(TEXT, "there"), Frame::last(TEXT, "and back"));
    client.send(there.masked());
    assert_eq!(Frame::read(&mut target), Some(there));
    target.send(back.plain());
    assert_eq!(Frame::read(&mut client), Some(back));
    assert_eq!(weir.metric("weir_upstream_in_flight", &[]), 1.0);
    assert_eq!(weir.metric("weir_websockets_open", &["chat"]), 1.0);
}

#[test]
fn frames_that_come_with_the_handshake_are_not_lost() {
    let server = Upstream::new(|mut wire| {
        let request = wire.request().unwrap();
        let accept = super::accept(request.get("sec-websocket-key").unwrap());
        let mut bytes = format!(
            "HTTP/1.1 101 Now\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(Frame::last(TEXT, "welcome").plain());
        wire.send(bytes);
        let early = Frame::read(&mut wire).unwrap();
        wire.send(early.plain());
        wire.rest();
    });
    let weir = Weir::start(&config(server.address, "true"));
    let mut client = Wire::connect(weir.http());
    let mut bytes = request("/", "").into_bytes();
    bytes.extend(Frame::last(TEXT, "early").masked());
    client.send(bytes);
    assert_eq!(client.head().unwrap().status(), 101);
    assert_eq!(Frame::read(&mut client), Some(Frame::last(TEXT, "welcome")));
    assert_eq!(Frame::read(&mut client), Some(Frame::last(TEXT, "early")));
}

#[test]
fn pages_of_other_origins_open_nothing() {
    let server = Server::start();
    let statuses = |settings: &str, origins: &[&str]| -> Vec<u16> {
        let weir = Weir::start(&config(server.upstream.address, settings));
        let status = |origin: &&str| {
            let mut wire = Wire::connect(weir.http());
            wire.send(request("/", origin));
            let head = wire.head().unwrap();
            if head.status() == 101 {
                server.next();
            }
            head.status()
        };
        origins.iter().map(status).collect()
    };
    let origins = [
        "",
        "Origin: http://chat.test\r\n",
        "Origin: https://chat.test\r\n",
        "Origin: http://chat.test:8080\r\n",
        "Origin: http://evil.test\r\n",
        "Origin: http://chat.test.evil.test\r\n",
        "Origin: null\r\n",
        "Origin: http://chat.test\r\nOrigin: http://evil.test\r\n",
    ];
    let expected = [101, 101, 101, 403, 403, 403, 403, 403];
    assert_eq!(statuses("true", &origins), expected);
    let listed = "{ origins: [\"https://app.test\", \"https://*.evil.test\"] }";
    let origins = [
        "",
        "Origin: https://app.test\r\n",
        "Origin: https://a.evil.test\r\n",
        "Origin: https://evil.test\r\n",
        "Origin: http://chat.test\r\n",
    ];
    assert_eq!(statuses(listed, &origins), [101, 101, 101, 403, 403]);
    let origins = ["Origin: http://evil.test\r\n", "Origin: null\r\n"];
    assert_eq!(statuses("{ origins: any }", &origins), [101, 101]);
    // Whoever is refused learns why.
    let weir = Weir::start(&config(server.upstream.address, "true"));
    let mut wire = Wire::connect(weir.http());
    let refused = wire.response_to(&request("/", "Origin: http://evil.test\r\n"));
    refused.assert_problem(403, "websocket_origin");
}

#[test]
fn a_handshake_with_mistakes_is_refused() {
    let server = Server::start();
    let weir = Weir::start(&config(server.upstream.address, "true"));
    let good = request("/", "");
    let ask = |text: String| Wire::connect(weir.http()).response_to(&text);
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let version = "Sec-WebSocket-Version: 13\r\n";
    for text in [
        good.replacen("GET", "PUT", 1),
        good.replacen(&key, "", 1),
        good.replacen(&key, "Sec-WebSocket-Key: dG9vIHNob3J0\r\n", 1),
        good.replacen(&key, &key.repeat(2), 1),
        good.replacen(version, "", 1),
        good.replacen(version, &version.repeat(2), 1),
        good.replacen(version, &format!("{version}Content-Length: 2\r\n"), 1) + "ab",
        good.replacen(
            version,
            &format!("{version}Transfer-Encoding: chunked\r\n"),
            1,
        ) + "0\r\n\r\n",
    ] {
        ask(text).assert_problem(400, "websocket_handshake");
    }
    let old = ask(good.replacen(version, "Sec-WebSocket-Version: 8\r\n", 1));
    old.assert_problem(426, "websocket_version");
    assert_eq!(old.get("sec-websocket-version"), Some("13"));
    assert_eq!(old.get("upgrade"), Some("websocket"));
    assert!(old.all("connection").contains(&"upgrade"), "{old:?}");
    assert_eq!(server.upstream.accepted(), 0, "no target was asked");
}

#[test]
fn a_target_that_agrees_to_something_else_is_not_believed() {
    let cases: [(&str, &str); 7] = [
        (
            "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: AAAA\r\n",
            "wrong Sec-WebSocket-Accept",
        ),
        (
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
            "wrong Sec-WebSocket-Accept",
        ),
        (
            "Upgrade: h2c\r\nConnection: upgrade\r\nSec-WebSocket-Accept: $\r\n",
            "101 to another protocol",
        ),
        (
            "Upgrade: websocket\r\nSec-WebSocket-Accept: $\r\n",
            "101 to another protocol",
        ),
        (
            "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: $\r\nSec-WebSocket-Protocol: other\r\n",
            "a WebSocket subprotocol that was not offered",
        ),
        (
            "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: $\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
            "a WebSocket extension that was not offered",
        ),
        (
            "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: $\r\nSec-WebSocket-Accept: $\r\n",
            "wrong Sec-WebSocket-Accept",
        ),
    ];
    for (fields, cause) in cases {
        let upstream = Upstream::new(move |mut wire| {
            if wire.request().is_some() {
                let fields = fields.replace('$', ACCEPT);
                wire.send(format!("HTTP/1.1 101 Whatever\r\n{fields}\r\n"));
                wire.rest();
            }
        });
        let weir = Weir::start(&config(upstream.address, "true"));
        let mut wire = Wire::connect(weir.http());
        let refused = wire.response_to(&request("/", "Sec-WebSocket-Protocol: chat\r\n"));
        refused.assert_problem(502, "upstream_malformed");
        wait_until("the cause is logged", || weir.log().contains(cause));
    }
}

#[test]
fn a_target_that_answers_otherwise_is_passed_on() {
    let upstream = Upstream::answering(|_| answer(401, &[("WWW-Authenticate", "Basic")], "who?"));
    let weir = Weir::start(&config(upstream.address, "true"));
    let mut wire = Wire::connect(weir.http());
    for _ in 0..2 {
        let refused = wire.response_to(&request("/", ""));
        assert_eq!((refused.status(), refused.text().as_str()), (401, "who?"));
    }
    wait_until("its place is free", || {
        weir.metric("weir_websockets_open", &[]) == 0.0
    });
}

#[test]
fn another_target_is_asked_while_nothing_was_agreed_on() {
    let server = Server::start();
    let dead = format!("127.0.0.1:{}", crate::harness::free_port());
    let two = config(server.upstream.address, "true").replacen(
        "targets: [",
        &format!("targets: [\"{dead}\", "),
        1,
    );
    let weir = Weir::start(&two);
    for _ in 0..4 {
        open(weir.http(), "");
        server.next();
    }
    assert!(weir.metric("weir_upstream_retries", &[]) >= 1.0);
}

#[test]
fn no_more_are_open_than_may_be() {
    let server = Server::start();
    let weir = Weir::start(&config(server.upstream.address, "{ connections: 2 }"));
    let first = open(weir.http(), "");
    let _second = open(weir.http(), "");
    let mut wire = Wire::connect(weir.http());
    let refused = wire.response_to(&request("/", ""));
    refused.assert_problem(503, "websocket_limit");
    assert!(refused.get("retry-after").is_some());
    drop(first);
    wait_until("one has ended", || {
        weir.metric("weir_websockets_open", &[]) == 1.0
    });
    open(weir.http(), "");
}
