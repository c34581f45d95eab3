//! Floods: the connection ends, memory stays bounded.

use std::time::{Duration, Instant};

use super::{Bench, CANCEL, request_frame};
use crate::harness::http2::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Ended, HEADERS, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, get, setting, string,
};

const ENHANCE_YOUR_CALM: u32 = 11;

/// Writes pieces until the connection takes no more or the number is reached. Another thread reads,
/// so that neither side waits for the other.
fn flood(client: &mut Client, pieces: usize, mut piece: impl FnMut(usize) -> Vec<u8>) -> Ended {
    let mut reader = Client::over(client.stream.try_clone().unwrap());
    let reading = std::thread::spawn(move || reader.until_end());
    let mut sent = 0;
    while sent < pieces && client.write(&piece(sent)) {
        sent += 1;
    }
    if sent == pieces {
        // All was taken: let the other side come to an end.
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
    }
    let ended = reading.join().unwrap();
    println!("{sent} pieces were taken, then {ended:?}");
    ended
}

#[test]
fn a_hundred_thousand_streams_opened_and_reset_at_once_end_the_connection() {
    let bench = Bench::start();
    let mut client = bench.client();
    let start = Instant::now();
    let ended = flood(&mut client, 1000, |batch| {
        let mut bytes = Vec::new();
        for at in 0..100 {
            let id = ((batch * 100 + at) * 2 + 1) as u32;
            bytes.extend_from_slice(&request_frame(id, "/reset"));
            bytes.extend_from_slice(&frame(RST_STREAM, 0, id, &CANCEL));
        }
        bytes
    });
    assert!(
        matches!(ended, Ended::GoAway(ENHANCE_YOUR_CALM) | Ended::Closed),
        "{ended:?}"
    );
    println!("over after {:?}", start.elapsed());
    let forwarded = bench.upstream.take().len();
    assert!(
        forwarded < 1000,
        "{forwarded} of the requests reached the upstream"
    );
    bench.finish("rapid reset");
}

#[test]
fn streams_reset_after_they_were_forwarded_end_the_connection() {
    let bench = Bench::start();
    let mut client = bench.client();
    // Each is let through to the upstream, which does not answer, before it is taken back.
    for at in 0..=100 {
        let id = client.new_stream();
        assert!(client.write(&request_frame(id, "/held")), "{at}");
        bench.upstream.next();
        assert!(client.write(&frame(RST_STREAM, 0, id, &CANCEL)), "{at}");
    }
    assert_eq!(client.until_end(), Ended::GoAway(ENHANCE_YOUR_CALM));
    bench.finish("paced resets");
}

#[test]
fn a_client_that_takes_back_no_more_than_it_lets_be_answered_is_served() {
    let bench = Bench::start();
    let mut client = bench.client();
    for _ in 0..150 {
        let id = client.new_stream();
        assert!(client.write(&request_frame(id, "/held")));
        assert_eq!(client.request(&get("/ordinary")).status(), Some(200));
        assert!(client.write(&frame(RST_STREAM, 0, id, &CANCEL)));
    }
    assert_eq!(client.request(&get("/ordinary")).status(), Some(200));
    bench.finish("resets now and then");
}

#[test]
fn resets_that_the_server_is_made_to_send_end_the_connection() {
    // "MadeYouReset" (CVE-2025-8671): each stream is made invalid right after it was opened.
    let overflow: fn(u32) -> Vec<u8> = |id| frame(WINDOW_UPDATE, 0, id, &[0x7f, 255, 255, 255]);
    let zero: fn(u32) -> Vec<u8> = |id| frame(WINDOW_UPDATE, 0, id, &[0; 4]);
    let data: fn(u32) -> Vec<u8> = |id| frame(DATA, 0, id, b"x");
    let headers: fn(u32) -> Vec<u8> = |id| request_frame(id, "/again");
    for (name, spoil) in [
        ("window overflow", overflow),
        ("zero window", zero),
        ("data", data),
        ("headers", headers),
    ] {
        let bench = Bench::start();
        let mut client = bench.client();
        let ended = flood(&mut client, 5_000, |at| {
            let id = (at * 2 + 1) as u32;
            let mut bytes = request_frame(id, "/made");
            bytes.extend_from_slice(&spoil(id));
            bytes
        });
        assert!(!matches!(ended, Ended::GoAway(0)), "{name}: {ended:?}");
        let forwarded = bench.upstream.take().len();
        assert!(forwarded < 1000, "{name}: {forwarded} reached the upstream");
        bench.finish(name);
    }
}

#[test]
fn malformed_requests_without_end_end_the_connection() {
    let bench = Bench::start();
    let mut client = bench.client();
    let mut fields = get("/malformed").to_vec();
    fields.push((b"Upper-Case", b"x"));
    let block = block(&fields);
    let ended = flood(&mut client, 5_000, |at| {
        frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            (at * 2 + 1) as u32,
            &block,
        )
    });
    assert!(
        matches!(ended, Ended::GoAway(_) | Ended::Closed),
        "{ended:?}"
    );
    assert_ne!(ended, Ended::GoAway(0));
    assert!(bench.upstream.take().is_empty());
    bench.finish("malformed requests");
}

#[test]
fn continuation_frames_without_end_end_the_connection() {
    for (name, payload) in [("empty", 0), ("one byte", 1), ("full", 16 * 1024)] {
        let bench = Bench::start();
        let mut client = bench.client();
        client.write(&frame(HEADERS, END_STREAM, 1, &block(&get("/continued"))));
        // A literal whose value never ends: each frame carries more of it.
        let mut start = vec![0];
        string(&mut start, b"x-long");
        start.extend_from_slice(&[127, 255, 255, 255, 127]);
        client.write(&frame(CONTINUATION, 0, 1, &start));
        let ended = flood(&mut client, 20_000, |_| {
            frame(CONTINUATION, 0, 1, &vec![b'x'; payload])
        });
        assert!(
            matches!(ended, Ended::GoAway(1..) | Ended::Closed),
            "{name}: {ended:?}"
        );
        assert!(bench.upstream.take().is_empty());
        bench.finish(&format!("{name} continuation frames"));
    }
}

#[test]
fn data_frames_without_data_end_the_connection() {
    for (name, flags, payload) in [
        ("empty", 0, &b""[..]),
        ("padding only", 8, &b"\0"[..]),
        ("one byte", 0, &b"x"[..]),
    ] {
        let bench = Bench::start();
        let mut client = bench.client();
        let mut fields = get("/upload");
        fields[0].1 = b"POST";
        client.write(&frame(HEADERS, END_HEADERS, 1, &block(&fields)));
        let ended = flood(&mut client, 2_000, |_| {
            frame(DATA, flags, 1, payload).repeat(100)
        });
        println!("{name}: {ended:?}");
        bench.finish(&format!("{name} data frames"));
    }
}

#[test]
fn settings_and_pings_without_end_cost_no_memory() {
    let ping = frame(PING, 0, 0, &[0; 8]);
    let settings = frame(SETTINGS, 0, 0, &setting(3, 7));
    let acknowledgement = frame(SETTINGS, ACK, 0, &[]);
    let priority = frame(2, 0, 1, &[0, 0, 0, 0, 1]);
    let update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    let unknown = frame(0xbe, 0, 0, &[0; 64]);
    for (name, piece) in [
        ("ping", ping),
        ("settings", settings),
        ("settings acknowledgements", acknowledgement),
        ("priority", priority),
        ("window updates", update),
        ("frames of an unknown type", unknown),
    ] {
        let bench = Bench::start();
        let mut client = bench.client();
        let batch = piece.repeat(100);
        flood(&mut client, 2_000, |_| batch.clone());
        bench.finish(&format!("flood of {name}"));
    }
}

#[test]
fn a_client_that_asks_for_answers_and_reads_none_is_not_waited_for() {
    // The answers to pings and settings fill the socket; nothing may pile up behind it.
    let bench = Bench::start();
    let mut client = bench.client();
    client
        .stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut batch = frame(PING, 0, 0, &[0; 8]).repeat(500);
    batch.extend_from_slice(&frame(SETTINGS, 0, 0, &setting(3, 7)).repeat(500));
    let mut sent = 0;
    while sent < 5_000 && client.write(&batch) {
        sent += 1;
    }
    println!("{sent} batches of 1,000 were taken");
    assert!(
        sent < 5_000,
        "Weir took everything although nobody reads its answers"
    );
    bench.finish("unread answers");
}

#[test]
fn small_blocks_that_expand_to_large_heads_are_refused() {
    // One field of 4 KiB goes into the table, then one byte each stands for it.
    let bench = Bench::start();
    let mut client = bench.client();
    let id = client.new_stream();
    let mut bomb = block(&get("/bomb"));
    bomb.push(0x40);
    string(&mut bomb, b"x-bomb");
    string(&mut bomb, &[b'x'; 4000]);
    bomb.extend_from_slice(&vec![0xbe; 12_000]);
    client.write(&frame(HEADERS, END_STREAM | END_HEADERS, id, &bomb));
    let ended = client.outcome(id);
    assert!(ended.is_refusal(), "{ended:?}");
    // Many of them, and no window for the answers.
    for _ in 0..20 {
        let mut client = Client::with_settings(bench.weir.address, &setting(4, 0));
        for _ in 0..100 {
            let id = client.new_stream();
            client.write(&frame(HEADERS, END_STREAM | END_HEADERS, id, &bomb));
        }
    }
    assert!(bench.upstream.take().is_empty());
    bench.finish("HPACK bombs");
}

#[test]
fn large_answers_to_clients_that_never_open_their_windows_are_bounded_and_end() {
    let bench = Bench::start();
    let mut clients: Vec<Client> = (0..8)
        .map(|_| {
            let settings = [setting(1, 0), setting(4, 0)].concat();
            let mut client = Client::with_settings(bench.weir.address, &settings);
            for _ in 0..100 {
                let id = client.new_stream();
                client.write(&request_frame(id, "/large"));
            }
            client
        })
        .collect();
    for _ in 0..800 {
        bench.upstream.next();
    }
    bench.weir.assert_serves();
    for client in &mut clients {
        let mut resets = 0;
        while resets < 100 {
            let frame = client.read().expect("every stalled stream is reset");
            resets += usize::from(frame.kind == RST_STREAM);
        }
    }
    bench.finish("800 stalled streams");
}
