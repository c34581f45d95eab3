use super::{CLOSE, Frame, PING, PONG, Server, TEXT, code, config, open, pair, record};
use crate::harness::{Weir, Wire, wait_until};

#[test]
fn frames_pass_as_they_are_however_they_come() {
    let (weir, mut client, mut target, _server) = pair("true");
    let frames = [
        Frame::last(TEXT, ""),
        Frame::last(TEXT, "short"),
        Frame::last(0x2, vec![7; 300]),
        Frame::more(TEXT, "in "),
        Frame::last(PING, "between"),
        Frame::more(0x0, "three "),
        Frame::last(PONG, ""),
        Frame::last(0x0, "pieces"),
        Frame::last(0x2, vec![9; 200_000]),
    ];
    for frame in &frames {
        // Byte by byte as far as that takes no forever.
        let bytes = frame.masked();
        let (first, rest) = bytes.split_at(bytes.len().min(400));
        for byte in first {
            client.send([*byte]);
        }
        client.send(rest);
        assert_eq!(Frame::read(&mut target).as_ref(), Some(frame));
    }
    let all: Vec<u8> = frames.iter().flat_map(Frame::plain).collect();
    target.send(all);
    for frame in &frames {
        assert_eq!(Frame::read(&mut client).as_ref(), Some(frame));
    }
    client.send(Frame::close(1000).masked());
    assert_eq!(code(Frame::read(&mut target)), 1000);
    target.send(Frame::close(1000).plain());
    assert_eq!(code(Frame::read(&mut client)), 1000);
    assert!(client.is_at_end() && target.is_at_end());
    let record = record(&weir);
    assert_eq!(record["weir.websocket.messages_received"], 5);
    assert_eq!(record["weir.websocket.messages_sent"], 5);
    assert_eq!(record["http.request.body.size"], 5 + 300 + 15 + 200_000);
    assert_eq!(record["http.response.status_code"], 101);
    assert_eq!(record.get("weir.reason"), None, "{record}");
}

/// What a client sends that it may not, byte for byte.
fn wrong_frames() -> Vec<(&'static str, Vec<u8>, u16)> {
    let frame = |first, payload: &[u8]| {
        let payload = payload.to_vec();
        Frame { first, payload }
    };
    vec![
        ("no mask", frame(0x81, b"hi").plain(), 1002),
        ("reserved bit 1", frame(0xC1, b"hi").masked(), 1002),
        ("reserved bit 2", frame(0xA1, b"hi").masked(), 1002),
        ("reserved bit 3", frame(0x91, b"hi").masked(), 1002),
        ("unknown data frame", frame(0x83, b"hi").masked(), 1002),
        ("unknown control frame", frame(0x8B, b"").masked(), 1002),
        ("ping in fragments", frame(PING, b"").masked(), 1002),
        ("long ping", frame(0x89, &[0; 126]).masked(), 1002),
        ("continuation of nothing", frame(0x80, b"hi").masked(), 1002),
        (
            "message in a message",
            [frame(0x01, b"a").masked(), frame(0x81, b"b").masked()].concat(),
            1002,
        ),
        ("half a code", frame(0x88, b"\x03").masked(), 1002),
        ("code 1005", Frame::close(1005).masked(), 1002),
        ("code 0", Frame::close(0).masked(), 1002),
        ("long length", vec![0x82, 0xFE, 0, 5, 1, 2, 3, 4], 1002),
        (
            "endless length",
            vec![0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0],
            1002,
        ),
        ("large frame", frame(0x82, &[0; 1001]).masked(), 1009),
        (
            "large frame, announced",
            vec![0x82, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            1009,
        ),
        (
            "large message",
            [
                frame(0x02, &[0; 900]).masked(),
                frame(0x00, &[0; 900]).masked(),
                frame(0x80, &[0; 201]).masked(),
            ]
            .concat(),
            1009,
        ),
    ]
}

#[test]
fn text_that_is_not_utf8_ends_a_websocket_unless_that_is_allowed() {
    let text = || Frame::last(TEXT, b"caf\xe9").masked();
    let (weir, mut client, mut target, _server) = pair("true");
    client.send(text());
    assert_eq!(code(Frame::read(&mut client)), 1007);
    // Its frame had begun, so that the target cannot be told; of the text it got nothing.
    let begun = target.take(6);
    assert_eq!((begun.len(), begun[0]), (6, 0x81));
    assert!(target.is_at_end());
    let record = record(&weir);
    assert_eq!(record["weir.reason"], "websocket_protocol");
    assert_eq!(record["weir.cause"], "text that is not UTF-8");
    assert_eq!(record["weir.websocket.close_code"], 1007);

    let (_weir, mut client, mut target, _server) = pair("{ check_text: false }");
    client.send(text());
    let passed = Frame::read(&mut target).unwrap();
    assert_eq!(passed.payload, b"caf\xe9");
}

#[test]
fn a_client_that_breaks_a_rule_is_told_and_the_target_hears_that_it_left() {
    let server = Server::start();
    let settings = "{ max_frame: 1000, max_message: 2000 }";
    let weir = Weir::start(&config(server.upstream.address, settings));
    for (what, bytes, expected) in wrong_frames() {
        let (mut client, _) = open(weir.http(), "");
        let (mut target, _) = server.next();
        client.send(Frame::last(TEXT, "fine").masked());
        client.send(bytes);
        assert_eq!(code(Frame::read(&mut client)), expected, "{what}");
        assert_eq!(Frame::read(&mut target), Some(Frame::last(TEXT, "fine")));
        loop {
            let frame = Frame::read(&mut target).expect("a close frame");
            if frame.first == 0x80 | CLOSE {
                assert_eq!(code(Some(frame)), 1001, "{what}");
                break;
            }
            let is_begun = ["message in a message", "large message"].contains(&what);
            assert!(is_begun, "{what}: {frame:?} got through");
        }
        target.send(Frame::close(1001).plain());
        assert!(target.is_at_end(), "{what}");
        // The client gets to read why, and then the connection ends.
        assert!(client.is_at_end(), "{what}");
    }
    assert_eq!(
        weir.metric("weir_answers", &["\"websocket_protocol\""]),
        15.0
    );
    assert_eq!(weir.metric("weir_answers", &["\"websocket_too_big\""]), 3.0);
    assert_eq!(weir.metric("weir_websockets_closed", &["\"1002\""]), 15.0);
    assert_eq!(weir.metric("weir_websockets_closed", &["\"1009\""]), 3.0);
}

#[test]
fn who_keeps_breaking_rules_is_banned() {
    let server = Server::start();
    let bans = "overload: { bans: { errors: 3, within: 60s, ban_for: 90s } }\n";
    let weir = Weir::start(&(config(server.upstream.address, "{ max_message: 10 }") + bans));
    let send = |bytes: Vec<u8>, expected| {
        let (mut client, _) = open(weir.http(), "");
        client.send(bytes);
        assert_eq!(code(Frame::read(&mut client)), expected);
        assert!(client.is_at_end());
    };
    // A message that is too large may be a mistake.
    for _ in 0..5 {
        send(Frame::last(TEXT, "0123456789a").masked(), 1009);
    }
    for _ in 0..3 {
        assert_eq!(weir.metric("weir_bans_total", &[]), 0.0);
        send(Frame::last(TEXT, "no mask").plain(), 1002);
    }
    wait_until("the address is banned", || {
        weir.metric("weir_bans_total", &[]) == 1.0
    });
}

#[test]
fn a_target_that_breaks_a_rule_is_told_and_the_client_hears_of_a_bad_gateway() {
    let server = Server::start();
    let weir = Weir::start(&config(server.upstream.address, "{ max_message: 10 }"));
    let wrong = [
        (Frame::last(TEXT, "masked").masked(), 1002),
        (Frame::last(0x0, "nothing before").plain(), 1002),
        (Frame::last(TEXT, "more than ten").plain(), 1009),
    ];
    for (bytes, expected) in wrong {
        let (mut client, _) = open(weir.http(), "");
        let (mut target, _) = server.next();
        target.send(bytes);
        assert_eq!(code(Frame::read(&mut target)), expected);
        assert_eq!(code(Frame::read(&mut client)), 1014);
        client.send(Frame::close(1014).masked());
        assert!(client.is_at_end() && target.is_at_end());
    }
    assert_eq!(
        weir.metric("weir_answers", &["\"upstream_malformed\""]),
        3.0
    );
}

#[test]
fn compressed_messages_pass_if_that_was_agreed_on() {
    let server = Server::agreeing("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let weir = Weir::start(&config(server.upstream.address, "true"));
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, foo\r\n";
    let (mut client, head) = open(weir.http(), offer);
    assert_eq!(
        head.get("sec-websocket-extensions"),
        Some("permessage-deflate")
    );
    let (mut target, seen) = server.next();
    let offered = "permessage-deflate; client_max_window_bits";
    assert_eq!(seen.get("sec-websocket-extensions"), Some(offered));
    let frame = Frame::last(0x41, "compressed");
    client.send(frame.masked());
    assert_eq!(Frame::read(&mut target), Some(frame.clone()));
    target.send(frame.plain());
    assert_eq!(Frame::read(&mut client), Some(frame));
    // Never behind the first frame of a message.
    client.send(Frame::more(0x41, "a").masked());
    client.send(Frame::last(0x40, "b").masked());
    assert_eq!(code(Frame::read(&mut client)), 1002);
}

#[test]
fn what_comes_after_a_close_frame_is_not_passed_on() {
    let (_weir, mut client, mut target, _server) = pair("true");
    client.send(
        [
            Frame::close(4001).masked(),
            Frame::last(TEXT, "late").masked(),
        ]
        .concat(),
    );
    assert_eq!(code(Frame::read(&mut target)), 4001);
    // The other side may still finish what it was about to say.
    target.send(Frame::last(TEXT, "last words").plain());
    target.send(Frame::last(CLOSE, "").plain());
    assert_eq!(
        Frame::read(&mut client),
        Some(Frame::last(TEXT, "last words"))
    );
    assert_eq!(Frame::read(&mut client), Some(Frame::last(CLOSE, "")));
    let is_at_end = |wire: &mut Wire| wire.is_at_end();
    assert!(is_at_end(&mut client) && is_at_end(&mut target));
}
