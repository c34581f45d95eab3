//! Reading HTTP/1: a message is judged alike wherever the network splits it, never more generously
//! than by httparse, and what is left of a head has one reading.
//!
//! Input: two bytes that say where to split, then the bytes of a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_gateway::fuzzing::{read_request, read_response};

fuzz_target!(|data: &[u8]| {
    let Some((split, input)) = data.split_at_checked(2) else {
        return;
    };
    let at = usize::from(u16::from_be_bytes([split[0], split[1]])).min(input.len());
    let whole = read_request(&[input]);
    assert_eq!(
        whole,
        read_request(&[&input[..at], &input[at..]]),
        "request split at {at}"
    );
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, read_request(&bytes), "request in single bytes");
    if let Ok(Some(request)) = &whole {
        assert!(request.consumed <= input.len());
        check_head(&input[..request.head_length], request);
    }
    let whole = read_response(&[input]);
    assert_eq!(
        whole,
        read_response(&[&input[..at], &input[at..]]),
        "response split at {at}"
    );
    assert_eq!(whole, read_response(&bytes), "response in single bytes");
});

fn check_head(head: &[u8], request: &weir_gateway::fuzzing::ReadRequest) {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut other = httparse::Request::new(&mut headers);
    let parsed = other.parse(head);
    assert_eq!(
        parsed,
        Ok(httparse::Status::Complete(head.len())),
        "more generous than httparse"
    );
    assert_eq!(other.method, Some(request.method.as_str()));
    assert!(request.path == "*" || !request.path.contains([' ', '\r', '\n', '\0', '#', '?']));
    let query = request.query.as_deref().unwrap_or_default();
    assert!(!query.contains([' ', '\r', '\n', '\0', '#', '\x7f']));
    assert!(
        !request
            .authority
            .contains(['@', '/', '?', '#', '\\', ' ', '%'])
    );
    assert!(
        !(request.chunked && request.length.is_some()),
        "two statements of the length"
    );
    for (name, value) in request.fields.iter() {
        let framing = ["content-length", "transfer-encoding", "host", "expect"];
        assert!(
            !framing.contains(&name.as_str()),
            "{name} is left among the fields"
        );
        assert!(
            value
                .as_bytes()
                .iter()
                .all(|byte| *byte >= b' ' || *byte == b'\t')
        );
    }
    // Every line ends in CR LF, and none is folded.
    let text = &head[..head.len() - 4];
    for (at, byte) in text.iter().enumerate() {
        assert!(*byte != b'\n' || text[at - 1] == b'\r');
        assert!(*byte != b'\r' || text[at + 1] == b'\n');
    }
    assert!(
        !text
            .windows(3)
            .any(|window| matches!(window, b"\r\n " | b"\r\n\t"))
    );
}
