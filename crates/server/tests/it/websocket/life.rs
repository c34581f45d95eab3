use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Frame, PING, PONG, Server, TEXT, code, config, open, pair, record, request};
use crate::harness::{PATIENCE, Setup, Upstream, Weir, Wire, answer, memory, wait_until};
use crate::suspension::{Office, wait_until_known};

/// Sends a message each way and waits for it.
fn talk(client: &mut Wire, target: &mut Wire) {
    let frame = Frame::last(TEXT, "still here");
    client.send(frame.masked());
    assert_eq!(Frame::read(target), Some(frame.clone()));
    target.send(frame.plain());
    assert_eq!(Frame::read(client), Some(frame));
}

#[test]
fn a_target_hears_that_the_client_is_gone() {
    let (weir, client, mut target, _server) = pair("true");
    drop(client);
    assert_eq!(code(Frame::read(&mut target)), 1001);
    target.send(Frame::close(1001).plain());
    assert!(target.is_at_end());
    let record = record(&weir);
    assert_eq!(record["weir.reason"], "client_closed");
    assert_eq!(record["weir.websocket.close_code"], 1006);
    assert_eq!(record["weir.websocket.closed_by"], "client");
    assert_eq!(weir.metric("weir_websockets_closed", &["\"1006\""]), 1.0);
    assert_eq!(weir.metric("weir_upstream_in_flight", &[]), 0.0);
}

#[test]
fn a_client_hears_that_the_target_is_gone() {
    let (weir, mut client, target, _server) = pair("true");
    drop(target);
    assert_eq!(code(Frame::read(&mut client)), 1014);
    client.send(Frame::close(1014).masked());
    assert!(client.is_at_end());
    let record = record(&weir);
    assert_eq!(record["weir.reason"], "upstream_reset");
    assert_eq!(record["weir.websocket.close_code"], 1014);
    assert_eq!(record["weir.websocket.closed_by"], "upstream");
}

#[test]
fn within_a_frame_nothing_is_put_in_between() {
    let (_weir, mut client, target, _server) = pair("true");
    let mut target = target;
    let begun = Frame::last(0x2, vec![1; 1000]).plain();
    target.send(&begun[..500]);
    assert_eq!(client.take(500), begun[..500]);
    drop(target);
    // A close frame would be taken for payload: the connection ends without one.
    assert!(client.is_at_end());
}

#[test]
fn silence_of_both_sides_ends_it() {
    let (weir, mut client, mut target, _server) = pair("{ idle: 300ms }");
    // Either side's word counts for both.
    for _ in 0..6 {
        std::thread::park_timeout(Duration::from_millis(100));
        target.send(Frame::last(TEXT, "tick").plain());
        assert_eq!(Frame::read(&mut client), Some(Frame::last(TEXT, "tick")));
    }
    assert_eq!(code(Frame::read(&mut client)), 1001);
    assert_eq!(code(Frame::read(&mut target)), 1001);
    client.send(Frame::close(1001).masked());
    target.send(Frame::close(1001).plain());
    assert_eq!(
        (Frame::read(&mut client), Frame::read(&mut target)),
        (None, None)
    );
    let record = record(&weir);
    assert_eq!(record["weir.reason"], "websocket_idle");
    assert_eq!(record["weir.websocket.closed_by"], "gateway");
}

#[test]
fn who_answers_pings_stays_and_who_does_not_is_closed() {
    let (weir, mut client, mut target, _server) = pair("{ idle: 900ms, ping: 200ms }");
    let asked = |wire: &mut Wire| {
        let ping = Frame::read(wire).expect("a ping");
        assert_eq!((ping.first, ping.payload.len()), (0x80 | PING, 8));
        Frame::last(PONG, ping.payload)
    };
    for _ in 0..8 {
        let pong = asked(&mut client);
        client.send(pong.masked());
        let pong = asked(&mut target);
        target.send(pong.plain());
    }
    // What answers Weir stays with Weir, and what does not is passed on.
    let other = Frame::last(PONG, "unasked");
    client.send(other.masked());
    loop {
        let frame = Frame::read(&mut target).unwrap();
        if frame.first == 0x80 | PONG {
            assert_eq!(frame, other);
            break;
        }
        assert_eq!(frame.first, 0x80 | PING);
        target.send(Frame::last(PONG, frame.payload).plain());
    }
    // The client falls silent, the target does not.
    let closed = loop {
        let frame = Frame::read(&mut target).unwrap();
        if frame.first != 0x80 | PING {
            break frame;
        }
        target.send(Frame::last(PONG, frame.payload).plain());
    };
    assert_eq!(code(Some(closed)), 1001);
    let reason = record(&weir)["weir.reason"].clone();
    assert_eq!(reason, "websocket_idle");
}

#[test]
fn deadlines_of_requests_do_not_hold() {
    let server = Server::start();
    let config = config(server.upstream.address, "true")
        + "timeouts: { idle: 100ms, body: 100ms, write: 100ms, head: 100ms }\n\
           limits: { minimum_rate: { bytes: 1MB, grace: 100ms } }\n";
    let upstream = "timeouts: { idle: 100ms, first_byte: 100ms, total: 200ms }";
    let config = config.replacen("targets:", &format!("{upstream}, targets:"), 1);
    let weir = Weir::start(&config);
    let (mut client, _) = open(weir.http(), "");
    let (mut target, _) = server.next();
    for _ in 0..3 {
        std::thread::park_timeout(Duration::from_millis(300));
        talk(&mut client, &mut target);
    }
}

#[test]
fn a_reload_cuts_nothing() {
    let server = Server::start();
    let text = config(server.upstream.address, "true");
    let weir = Weir::start(&text);
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let (client, _) = open(weir.http(), "");
        let (target, _) = server.next();
        pairs.push((client, target));
    }
    // The route itself goes, too.
    for changed in [
        text.replace("true", "{ idle: 1h }"),
        text.replace("chat,", "other,"),
    ] {
        assert_eq!(weir.reload(&changed).status(), 200);
        for (client, target) in &mut pairs {
            talk(client, target);
        }
    }
}

#[test]
fn at_the_end_of_a_drain_both_sides_are_told() {
    for signal in [Signal::TERM, Signal::USR2] {
        let server = Server::start();
        let mut weir =
            Weir::start(&config(server.upstream.address, "true").replacen("8s", "3s", 1));
        let (mut client, _) = open(weir.http(), "");
        let (mut target, _) = server.next();
        weir.signal(signal);
        if signal == Signal::TERM {
            wait_until("it accepts no more", || {
                Wire::try_connect(weir.http()).is_err()
            });
        } else {
            let first = weir.id();
            wait_until("the successor serves", || {
                weir.serving_id().is_some_and(|id| id != first)
            });
            // New ones are the successor's.
            let (mut client, _) = open(weir.http(), "");
            let (mut target, _) = server.next();
            talk(&mut client, &mut target);
        }
        talk(&mut client, &mut target);
        assert_eq!(code(Frame::read(&mut client)), 1001);
        assert_eq!(code(Frame::read(&mut target)), 1001);
        client.send(Frame::close(1001).masked());
        target.send(Frame::close(1001).plain());
        assert!(client.is_at_end() && target.is_at_end());
        assert_eq!(weir.wait_exit().code(), Some(0));
        assert!(weir.log().contains("\"going_away\""), "{}", weir.log());
        let drained = weir.log().contains("\"drained\"");
        assert!(drained, "nothing was cut: {}", weir.log());
    }
}

#[test]
fn those_of_a_process_that_ends_are_closed_one_after_the_other() {
    const MANY: usize = 60;
    let server = Server::start();
    let mut weir = Weir::start(&config(server.upstream.address, "true").replacen("8s", "4s", 1));
    let mut targets = Vec::new();
    let clients: Vec<_> = (0..MANY)
        .map(|_| {
            let (mut client, _) = open(weir.http(), "");
            targets.push(server.next());
            std::thread::spawn(move || {
                assert_eq!(code(Frame::read(&mut client)), 1001);
                let told = Instant::now();
                client.send(Frame::close(1001).masked());
                told
            })
        })
        .collect();
    weir.signal(Signal::TERM);
    let mut told: Vec<Instant> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    told.sort_unstable();
    // Over a second: from the middle of the drain until a second before its end.
    let whole = told[MANY - 1] - told[0];
    assert!(whole > Duration::from_millis(400), "{whole:?}");
    let half = told
        .windows(MANY / 2)
        .map(|some| some[MANY / 2 - 1] - some[0]);
    let half = half.min().unwrap();
    assert!(
        half > Duration::from_millis(100),
        "half of them within {half:?}"
    );
    drop(targets);
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// Writes until nothing is taken any more; how much was.
fn fill(wire: &mut Wire, bytes: &[u8]) -> usize {
    let quiet = Some(Duration::from_millis(200));
    wire.stream.set_write_timeout(quiet).unwrap();
    let mut written = 0;
    loop {
        match wire.stream.write(bytes) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return written,
            Err(error) => panic!("{error}"),
        }
        assert!(written < 64 << 20, "everything is taken");
    }
}

#[test]
fn who_does_not_read_holds_up_the_other_side_and_no_memory() {
    const MANY: usize = 8;
    let server = Server::start();
    let weir = Weir::start(&config(server.upstream.address, "true"));
    let mut pairs = Vec::new();
    for _ in 0..MANY {
        let (client, _) = open(weir.http(), "");
        let (target, _) = server.next();
        pairs.push((client, target));
    }
    let before = memory(weir.id());
    // One endless message: its header announces more than will ever come.
    let header = [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0];
    for (_, target) in &mut pairs {
        target.send(header);
        fill(target, &vec![0; 64 << 10]);
    }
    let grown = memory(weir.id()).saturating_sub(before);
    assert!(
        grown < (MANY as u64) * (64 << 10) + (2 << 20),
        "{grown} bytes"
    );
    // The other way it is open all the same.
    for (client, target) in &mut pairs {
        let frame = Frame::last(TEXT, "the other way");
        client.send(frame.masked());
        assert_eq!(Frame::read(target), Some(frame));
    }
    let (client, target) = &mut pairs[0];
    assert_eq!(client.take(10), header);
    assert_eq!(client.take(1 << 20).len(), 1 << 20);
    target.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    target.stream.write_all(&[0; 1024]).unwrap();
}

#[test]
fn who_takes_nothing_for_too_long_is_closed() {
    let (weir, _client, mut target, _server) = pair("{ idle: 500ms }");
    let message = Frame::last(0x2, vec![0; 60_000]).plain();
    target.stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // Until the connection is cut.
    let patience = Instant::now();
    while target.try_send(&message).is_ok() {
        assert!(patience.elapsed() < PATIENCE);
    }
    assert_eq!(record(&weir)["weir.reason"], "websocket_idle");
}

#[test]
fn of_an_organization_that_is_suspended_nothing_more_passes() {
    let server = Server::start();
    let settings = "true, organization: acme";
    let weir = Weir::start(&config(server.upstream.address, settings));
    let office = Office::of(&weir);
    let acme = office.create("acme");
    wait_until_known(&weir, "active");
    let (mut client, _) = open(weir.http(), "");
    let (mut target, _) = server.next();
    talk(&mut client, &mut target);
    office.suspend(&acme);
    wait_until_known(&weir, "suspended");
    client.send(Frame::last(TEXT, "not any more").masked());
    assert_eq!(code(Frame::read(&mut client)), 1008);
    assert_eq!(code(Frame::read(&mut target)), 1001);
    drop((client, target));
    assert_eq!(record(&weir)["weir.reason"], "organization_suspended");
}

#[test]
fn whoever_opened_it_with_a_key_that_is_revoked_is_sent_away() {
    sends_away_with_its_key("[keys]");
}

#[test]
fn whoever_opened_it_with_a_key_beside_another_one_needs_both_all_the_time() {
    sends_away_with_its_key("[others, keys]");
}

#[test]
fn whoever_opened_it_with_an_opaque_token_is_sent_away_once_the_server_takes_it_back() {
    let server = Server::start();
    let is_active = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_active);
    let authority = Upstream::answering(move |_| {
        let is_active = asked.load(Ordering::Relaxed);
        let body = format!(r#"{{"active":{is_active},"sub":"ada"}}"#);
        answer(200, &[("Content-Type", "application/json")], &body)
    });
    let setup = Setup::new();
    setup.write("secret", "secret-of-weir-2d91");
    let config = config(server.upstream.address, "true, policies: [opaque]");
    let weir = setup.start(&format!(
        "{config}policies: {{ opaque: {{ introspection: {{ endpoint: 'http://{}/introspect', client_id: weir, \
           client_secret: file:secret, audience: '*', allow: [127.0.0.1], cache: 1s }} }} }}\n",
        authority.address
    ));
    let (mut client, _) = open(weir.http(), "Authorization: Bearer opaque-1\r\n");
    let (mut target, _) = server.next();
    talk(&mut client, &mut target);
    is_active.store(false, Ordering::Relaxed);
    let message = Frame::last(TEXT, "still here");
    let mut last = Some(message.clone());
    wait_until("the server's word counts", || {
        let _ = client.try_send(message.masked());
        last = Frame::read(&mut target);
        last.as_ref() != Some(&message)
    });
    assert_eq!(code(last), 1001);
    assert_eq!(code(Frame::read(&mut client)), 1008);
}

fn sends_away_with_its_key(policies: &str) {
    let server = Server::start();
    let settings = format!("true, policies: {policies}");
    let config = config(server.upstream.address, &settings);
    let weir = Weir::start(&format!(
        "{config}policies: {{ keys: {{ api_key: {{}} }}, others: {{ api_key: {{ header: x-other-key }} }} }}\n"
    ));
    let office = Office::of(&weir);
    let acme = office.create("acme");
    let ((id, key), (_, other)) = (office.make_key(&acme), office.make_key(&acme));
    let key = format!("X-Api-Key: {key}\r\nX-Other-Key: {other}\r\n");
    let mut opened = None;
    // A node that has just started may not be able to ask about keys yet.
    wait_until("the key opens it", || {
        let mut wire = Wire::connect(weir.http());
        wire.send(request("/", &key));
        let head = wire.head();
        opened = head
            .is_some_and(|head| head.status() == 101)
            .then_some(wire);
        opened.is_some()
    });
    let mut client = opened.unwrap();
    let (mut target, _) = server.next();
    talk(&mut client, &mut target);
    office.revoke_key(&acme, &id);
    wait_until("the node knows", || {
        let mut wire = Wire::connect(weir.http());
        wire.send(request("/", &key));
        wire.head().is_some_and(|head| head.status() == 401)
    });
    client.send(Frame::last(TEXT, "not any more").masked());
    assert_eq!(code(Frame::read(&mut client)), 1008);
    assert_eq!(code(Frame::read(&mut target)), 1001);
}
