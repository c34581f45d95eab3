//! HTTP/1.1 byte by byte, from either side.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// A connection and what was read of it ahead.
pub struct Wire<S = TcpStream> {
    pub stream: S,
    input: Vec<u8>,
}

impl Wire<TcpStream> {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::of(TcpStream::connect_timeout(&address, PATIENCE)?))
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            input: Vec::new(),
        }
    }
}

impl<S: Read + Write> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A peer that closes early shows in what is read.
        let _ = self.try_send(bytes);
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Whether something more came; a silent peer is a failure.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => {
                    self.input.extend_from_slice(&buffer[..length]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    panic!("the peer stays silent; read so far: {:?}", self.peeked())
                }
                // However it ends, it ends.
                Err(_) => return false,
            }
        }
    }

    fn peeked(&self) -> String {
        String::from_utf8_lossy(&self.input[..self.input.len().min(500)]).into_owned()
    }

    /// Whether the peer closed with nothing left to read.
    pub fn is_at_end(&mut self) -> bool {
        self.input.is_empty() && !self.fill()
    }

    /// Everything until the peer closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.input)
    }

    /// Exactly this many bytes, or fewer if the connection ends.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.input.len() < length && self.fill() {}
        let length = length.min(self.input.len());
        self.input.drain(..length).collect()
    }

    fn line(&mut self) -> Option<String> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.input[seen..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=seen + at).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            seen = self.input.len();
            if !self.fill() {
                return None;
            }
        }
    }

    fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next head, without its body; `None` if the connection ends first.
    pub fn head(&mut self) -> Option<Message> {
        let start = self.line()?;
        let is_first_line = start.starts_with("HTTP/1.") || start.ends_with(" HTTP/1.1");
        assert!(
            is_first_line,
            "not the first line of a message: {start:?} {:?}",
            self.peeked()
        );
        let fields = self.fields()?;
        Some(Message {
            start,
            fields,
            ..Message::default()
        })
    }

    /// The next request with its body; `None` if the connection ends first.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        self.body(&mut message, false);
        Some(message)
    }

    /// Sends a request and takes its response.
    pub fn response_to(&mut self, request: &str) -> Message {
        self.send(request);
        self.response(request.split(' ').next().unwrap_or_default())
    }

    /// The next final response.
    pub fn response(&mut self, method: &str) -> Message {
        self.try_response(method).expect("a response")
    }

    pub fn try_response(&mut self, method: &str) -> Option<Message> {
        let mut interim = Vec::new();
        loop {
            let mut message = self.head()?;
            if message.status() < 200 {
                interim.push(message);
                continue;
            }
            if method == "HEAD" || [204, 304].contains(&message.status()) {
                message.complete = true;
            } else {
                self.body(&mut message, true);
            }
            message.interim = interim;
            return Some(message);
        }
    }

    fn body(&mut self, message: &mut Message, until_close: bool) {
        if message.get("transfer-encoding") == Some("chunked") {
            message.complete = self.chunks(message).is_some();
        } else if let Some(length) = message.get("content-length") {
            let length = length.parse().unwrap();
            message.body = self.take(length);
            message.complete = message.body.len() == length;
        } else {
            if until_close {
                message.body = self.rest();
            }
            message.complete = true;
        }
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if length == 0 {
                message.trailers = self.fields()?;
                return Some(());
            }
            let piece = self.take(length);
            let is_whole = piece.len() == length;
            message.body.extend(piece);
            if !is_whole || !self.line()?.is_empty() {
                return None;
            }
        }
    }
}

/// A request or a response.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub start: String,
    /// Names in lower case, in the order of arrival.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Responses that came before (1xx).
    pub interim: Vec<Self>,
    /// Whether the body's end was seen.
    pub complete: bool,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }

    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.start, self.text()))
    }

    /// Asserts that this is a refusal of the admin listener for that reason.
    pub fn assert_problem_word(&self, status: u16, reason: &str) {
        assert_eq!(self.status(), status, "{self:?} {}", self.text());
        assert_eq!(self.json()["reason"], reason, "{}", self.text());
    }

    /// Asserts that this is an answer of Weir's own (RFC 9457) for that reason.
    pub fn assert_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(
            self.get("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["reason"], reason, "{problem}");
        assert_eq!(
            problem["type"],
            format!("urn:weir:problem:{reason}"),
            "{problem}"
        );
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        let id = problem["request_id"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{problem}");
    }
}
