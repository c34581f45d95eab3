//! A client that sends whatever it is told to and reads every answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::PATIENCE;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// Asserts that this is Weir's own refusal: problem details (RFC 9457) that say what the status
    /// says.
    pub(crate) fn assert_problem(&self, about: &str) {
        assert_eq!(
            self.value("content-type"),
            Some("application/problem+json"),
            "{about}"
        );
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status, "{about}: {problem}");
    }
}

/// Everything that a connection answered.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// Final answers; interim ones are left out.
    pub(crate) answers: Vec<Answer>,
    /// Bytes that are no complete answer.
    pub(crate) rest: Vec<u8>,
    /// When the other side closed, counted from the connection's opening.
    pub(crate) closed_after: std::time::Duration,
}

impl Talk {
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }
}

/// A connection without Nagle's delay.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the other side closes.
pub(crate) fn talk(address: SocketAddr, bytes: &[u8]) -> Talk {
    let start = Instant::now();
    let mut stream = connect(address);
    // Whoever is refused early may not be able to send everything.
    let _ = stream.write_all(bytes);
    finish(stream, start)
}

/// Sends bytes one by one and reads until the other side closes.
pub(crate) fn talk_slowly(address: SocketAddr, bytes: &[u8]) -> Talk {
    let start = Instant::now();
    let mut stream = connect(address);
    for byte in bytes {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
    }
    finish(stream, start)
}

/// Reads until the other side closes.
pub(crate) fn finish(mut stream: TcpStream, start: Instant) -> Talk {
    let input = read_to_close(&mut stream);
    let closed_after = start.elapsed();
    let (answers, rest) = parse_answers(&input);
    Talk {
        answers,
        rest,
        closed_after,
    }
}

/// Everything until the other side closes; a reset is a close, too.
pub(crate) fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut input = Vec::new();
    match stream.read_to_end(&mut input) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => {
            panic!(
                "the connection was not closed: {error}; {:?}",
                String::from_utf8_lossy(&input)
            )
        }
    }
    input
}

fn parse_answers(mut input: &[u8]) -> (Vec<Answer>, Vec<u8>) {
    let mut answers = Vec::new();
    while let Some((answer, rest)) = parse_answer(input) {
        input = rest;
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    (answers, input.to_vec())
}

fn parse_answer(input: &[u8]) -> Option<(Answer, &[u8])> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&input[..end]).unwrap();
    let mut rest = &input[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let fields: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let mut answer = Answer {
        status,
        fields,
        body: Vec::new(),
    };
    if status < 200 || status == 204 || status == 304 {
        return Some((answer, rest));
    }
    if let Some(length) = answer.value("content-length") {
        let length = length.parse().unwrap();
        answer.body = rest.get(..length)?.to_vec();
        rest = &rest[length..];
    } else if answer.value("transfer-encoding").is_some() {
        loop {
            let line = rest.windows(2).position(|window| window == b"\r\n")?;
            let size = std::str::from_utf8(&rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[line + 2..];
            if size == 0 {
                let end = rest.windows(2).position(|window| window == b"\r\n")?;
                rest = &rest[end + 2..];
                break;
            }
            answer.body.extend_from_slice(rest.get(..size)?);
            rest = rest.get(size + 2..)?;
        }
    } else {
        answer.body = std::mem::take(&mut rest).to_vec();
    }
    Some((answer, rest))
}
