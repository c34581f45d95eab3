//! Compression of what comes slowly, breaks off, or is not read.

use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::decoders::decode;
use super::with;
use crate::harness::{Upstream, Weir, Wire, answer, memory, pattern, wait_until};

/// A server that sends a head, and then a piece whenever it is told to.
fn told(head: &'static str) -> (Upstream, Sender<Vec<u8>>) {
    let (sender, receiver) = channel::<Vec<u8>>();
    let receiver: Mutex<Receiver<Vec<u8>>> = Mutex::new(receiver);
    let upstream = Upstream::new(move |mut wire| {
        if wire.request().is_none() {
            return;
        }
        wire.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
        let receiver = receiver.lock().unwrap();
        while let Ok(piece) = receiver.recv() {
            wire.send(piece);
        }
    });
    (upstream, sender)
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// The next chunk of a chunked answer.
fn next_chunk(wire: &mut Wire) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(wire.take(1));
    }
    let text = String::from_utf8(line).unwrap();
    let length = usize::from_str_radix(text.trim(), 16).unwrap();
    let piece = wire.take(length);
    wire.take(2);
    piece
}

/// All chunks up to the end.
fn other_chunks(wire: &mut Wire) -> Vec<u8> {
    let chunks = std::iter::repeat_with(|| next_chunk(wire));
    chunks
        .take_while(|piece| !piece.is_empty())
        .flatten()
        .collect()
}

fn ask(weir: &Weir, accept: &str) -> Wire {
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"
    ));
    wire
}

#[test]
fn each_piece_of_a_slow_stream_is_there_before_the_next_is_sent() {
    for coding in ["gzip", "br", "zstd"] {
        let (upstream, sender) =
            told("Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked");
        let weir = Weir::start(&with("{ compress: {} }", upstream.address));
        let mut wire = ask(&weir, coding);
        let head = wire.head().unwrap();
        assert_eq!(head.get("content-encoding"), Some(coding));
        let mut whole = Vec::new();
        let mut expected = String::new();
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        for at in 0..5 {
            let line = format!("{{\"line\": {at}}}\n");
            sender.send(chunk(&line)).unwrap();
            expected.push_str(&line);
            // Waits for it: the next piece is not sent before this one is here.
            let piece = next_chunk(&mut wire);
            if coding == "gzip" {
                use std::io::Write;
                decoder.write_all(&piece).unwrap();
                decoder.flush().unwrap();
                assert_eq!(decoder.get_ref(), expected.as_bytes());
            }
            whole.extend(piece);
        }
        sender.send(b"0\r\n\r\n".to_vec()).unwrap();
        whole.extend(other_chunks(&mut wire));
        assert_eq!(decode(coding, &whole), expected.as_bytes(), "{coding}");
    }
}

#[test]
fn large_pieces_that_do_not_compress_arrive_however_they_are_cut() {
    for coding in ["gzip", "br", "zstd"] {
        let (upstream, sender) = told("Content-Type: text/plain\r\nTransfer-Encoding: chunked");
        let weir = Weir::start(&with("{ compress: {} }", upstream.address));
        let mut wire = ask(&weir, coding);
        let bytes = pattern(3_000_000);
        for piece in bytes.chunks(70_001) {
            let mut framed = format!("{:x}\r\n", piece.len()).into_bytes();
            framed.extend(piece);
            framed.extend(b"\r\n");
            sender.send(framed).unwrap();
        }
        sender.send(b"0\r\n\r\n".to_vec()).unwrap();
        let answer = wire.response("GET");
        assert!(answer.complete, "{coding}");
        assert!(decode(coding, &answer.body) == bytes, "{coding}");
    }
}

#[test]
fn event_streams_are_left_alone_unless_told_otherwise() {
    for (told_to, coding) in [(false, None), (true, Some("gzip"))] {
        let (upstream, sender) =
            told("Content-Type: text/event-stream\r\nTransfer-Encoding: chunked");
        let policy = format!("{{ compress: {{ event_streams: {told_to} }} }}");
        let weir = Weir::start(&with(&policy, upstream.address));
        let mut wire = ask(&weir, "gzip");
        let head = wire.head().unwrap();
        assert_eq!(head.get("content-encoding"), coding);
        sender.send(chunk("data: one\n\n")).unwrap();
        let piece = next_chunk(&mut wire);
        if told_to {
            let mut text = [0; 11];
            flate2::read::GzDecoder::new(&piece[..])
                .read_exact(&mut text)
                .unwrap();
            assert_eq!(&text, b"data: one\n\n");
        } else {
            assert_eq!(piece, b"data: one\n\n");
        }
    }
}

#[test]
fn an_answer_that_pauses_before_its_end_is_not_held_back() {
    let (upstream, sender) = told("Content-Type: text/plain\r\nContent-Length: 2000");
    let weir = Weir::start(&with("{ compress: {} }", upstream.address));
    let mut wire = ask(&weir, "gzip");
    wire.head().unwrap();
    sender.send(vec![b'x'; 1_500]).unwrap();
    // The rest is not sent before this is here.
    let mut whole = next_chunk(&mut wire);
    let mut text = vec![0; 1_500];
    flate2::read::GzDecoder::new(&whole[..])
        .read_exact(&mut text)
        .unwrap();
    assert_eq!(text, [b'x'; 1_500]);
    sender.send(vec![b'y'; 500]).unwrap();
    whole.extend(other_chunks(&mut wire));
    assert_eq!(decode("gzip", &whole)[1_500..], [b'y'; 500]);
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let (upstream, sender) = told("Content-Type: text/plain\r\nContent-Length: 100000");
    let weir = Weir::start(&with("{ compress: {} }", upstream.address));
    let mut wire = ask(&weir, "gzip");
    sender.send(pattern(10_000)).unwrap();
    drop(sender);
    let answer = wire.response("GET");
    assert!(!answer.complete);
    // What came is the client's all the same.
    let mut text = vec![0; 10_000];
    flate2::read::GzDecoder::new(&answer.body[..])
        .read_exact(&mut text)
        .unwrap();
    assert!(text == pattern(10_000));
    wait_until("it is counted", || {
        weir.metric("weir_answers_total", &["reason=\"upstream_reset\""]) == 1.0
    });
}

#[test]
fn clients_that_do_not_read_cannot_take_memory_without_end() {
    let whole = answer(200, &[("Content-Type", "text/plain")], pattern(1 << 20));
    let upstream = Upstream::answering(move |_| whole.clone());
    let config = format!(
        "workers: 1\noverload: {{ delay: false }}\n{}",
        with("{ compress: {} }", upstream.address)
    );
    let weir = Weir::start(&config);
    let encoded = || weir.metric("weir_compressed_answers_total", &[]);
    for coding in ["gzip", "br", "zstd"] {
        let before = (memory(weir.id()), encoded());
        let mut silent: Vec<Wire> = (0..270).map(|_| ask(&weir, coding)).collect();
        let mut compressed = 0;
        for wire in &mut silent {
            let head = wire.head().unwrap();
            compressed += usize::from(head.get("content-encoding") == Some(coding));
        }
        // No more than a worker compresses at the same time; the others get theirs as it is.
        assert_eq!(compressed, 256, "{coding}");
        let grown = memory(weir.id()).saturating_sub(before.0);
        assert!(grown < 400 << 20, "{coding}: {} MiB", grown >> 20);
        drop(silent);
        wait_until("the encoders are free", || {
            weir.metric("weir_connections_open", &[]) < 1.0
        });
        assert_eq!(encoded() - before.1, 256.0);
    }
}
