//! Requests to the admin listener of a running Weir: HTTP/1.1, one connection a request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::credential::{self, Credential, Source};
use crate::log::printable;

/// Time to connect; the listener is on this machine or near.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// Longest silence of something that goes on: there is a heartbeat every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// Most bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Largest answer that is read.
pub(crate) const LARGEST: u64 = 16 << 20;
/// Most fields of an answer's head.
const FIELDS: usize = 64;

/// An admin listener, and what to show it.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// What proves who asks, if there is something.
    pub(crate) credential: Option<Credential>,
}

impl Admin {
    /// For what needs no credential.
    pub(crate) const fn anonymous(address: SocketAddr) -> Self {
        Self {
            address,
            credential: None,
        }
    }

    /// The field of a request's head, with its line break.
    fn authorization(&self) -> String {
        let credential = self.credential.as_ref();
        credential.map_or_else(String::new, |credential| {
            format!("authorization: Bearer {}\r\n", credential.token.expose())
        })
    }

    /// From where the credential is.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.credential
            .as_ref()
            .map(|credential| &credential.source)
    }
}

/// An answer of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The body as JSON, if it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    /// Nobody listens there.
    #[error("no Weir answers at {0}: is it running, and is this its admin address?")]
    Refused(SocketAddr),
    /// It took too long.
    #[error("the admin listener at {0} did not answer in time")]
    Timeout(SocketAddr),
    /// The connection failed.
    #[error("the connection to the admin listener at {address} failed")]
    Io {
        /// The admin address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("what listens at {address} is no admin listener: {reason}")]
    Malformed {
        /// The admin address.
        address: SocketAddr,
        /// What was wrong with the answer.
        reason: &'static str,
    },
}

/// An answer that says no.
#[derive(Debug, Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    text: String,
    problem: Option<serde_json::Value>,
}

impl Refusal {
    /// What an answer other than 2xx says, to what was sent with this credential.
    pub(crate) fn of(response: &Response, admin: &Admin) -> Self {
        let problem = response.json().filter(serde_json::Value::is_object);
        let member = |key: &str| problem.as_ref()?.get(key)?.as_str();
        let mut text = match (member("message").or(member("detail")), member("help")) {
            (Some(said), Some(help)) => format!("{said}; {help}"),
            (Some(said), None) => said.to_owned(),
            (None, _) => format!("the admin listener answered {}", response.status),
        };
        match (response.status, member("reason")) {
            (401, Some("unauthenticated")) => text = credential::refused(admin.source()),
            (422, Some("invalid")) => text = "the admin listener takes it for invalid:".to_owned(),
            (403, Some("recent_sign_in_needed")) => text.push_str(" `weir login` does that."),
            _ => {}
        }
        let errors = problem
            .as_ref()
            .and_then(|problem| problem["errors"].as_array());
        for error in errors.into_iter().flatten() {
            let part = |key: &str| error[key].as_str().map(printable).unwrap_or_default();
            let place = part("pointer");
            let place = place.trim_start_matches('/').replace('/', ".");
            text = format!("{text}\n  {place}: {}", part("detail"));
        }
        Self { text, problem }
    }

    /// The same in words that fit what was asked for.
    pub(crate) fn saying(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// The stable word for why.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.problem.as_ref()?["reason"].as_str()
    }

    /// The problem details (RFC 9457), if they came.
    pub(crate) fn problem(&self) -> Option<&serde_json::Value> {
        self.problem.as_ref()
    }
}

/// Whether somebody listens there.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&reachable(address), CONNECT).is_ok()
}

/// Sends a request without a body and reads the whole answer within a time.
pub(crate) fn request(
    admin: &Admin,
    method: &str,
    path: &str,
    within: Duration,
) -> Result<Response, AdminError> {
    request_with(admin, method, path, &[], within)
}

/// The same with a body in JSON.
pub(crate) fn request_with(
    admin: &Admin,
    method: &str,
    path: &str,
    body: &[u8],
    within: Duration,
) -> Result<Response, AdminError> {
    let address = admin.address;
    let deadline = Instant::now() + within;
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::ConnectionRefused => AdminError::Refused(address),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AdminError::Timeout(address),
        _ => AdminError::Io { address, source },
    };
    let reachable = reachable(address);
    let mut stream = TcpStream::connect_timeout(&reachable, CONNECT.min(within)).map_err(io)?;
    stream.set_write_timeout(Some(CONNECT)).map_err(io)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {reachable}\r\nuser-agent: weir/{}\r\n\
         {}accept: application/json\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        admin.authorization(),
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .map_err(io)?;
    let bytes = read_all(&mut stream, deadline).map_err(io)?;
    parse(&bytes).map_err(|reason| AdminError::Malformed { address, reason })
}

/// Asks for something that goes on, and hands over each of its lines until it ends or `take` says so.
/// An answer other than 200 comes back whole.
pub(crate) fn follow(
    admin: &Admin,
    path: &str,
    mut take: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<Option<Response>, AdminError> {
    let address = admin.address;
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::ConnectionRefused => AdminError::Refused(address),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AdminError::Timeout(address),
        _ => AdminError::Io { address, source },
    };
    let reachable = reachable(address);
    let mut stream = TcpStream::connect_timeout(&reachable, CONNECT).map_err(io)?;
    stream.set_write_timeout(Some(CONNECT)).map_err(io)?;
    stream.set_read_timeout(Some(SILENCE)).map_err(io)?;
    // In HTTP/1.0 the body ends with the connection, and comes as it is.
    let head = format!(
        "GET {path} HTTP/1.0\r\nhost: {reachable}\r\nuser-agent: weir/{}\r\n{}\r\n",
        env!("CARGO_PKG_VERSION"),
        admin.authorization()
    );
    stream.write_all(head.as_bytes()).map_err(io)?;
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let length = head.len();
        let left = HEAD_BYTES.saturating_sub(length) as u64;
        reader
            .by_ref()
            .take(left)
            .read_until(b'\n', &mut head)
            .map_err(io)?;
        if head.len() == length {
            let reason = "its answer is cut off";
            return Err(AdminError::Malformed { address, reason });
        }
    }
    let malformed = |reason| AdminError::Malformed { address, reason };
    let mut response = Response {
        status: status(&head).map_err(malformed)?,
        body: Vec::new(),
    };
    if response.status != 200 {
        reader
            .take(LARGEST)
            .read_to_end(&mut response.body)
            .map_err(io)?;
        return Ok(Some(response));
    }
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(io)? > 0 {
        if take(line.trim_end()).is_break() {
            break;
        }
        line.clear();
    }
    Ok(None)
}

/// An address to connect to: a listener on every address is reached by the loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

/// Reads until the other side closes.
fn read_all(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() as u64 > LARGEST {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The status of an answer that begins with this head.
fn status(head: &[u8]) -> Result<u16, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match (parsed.parse(head), parsed.code) {
        (Ok(httparse::Status::Complete(_)), Some(status)) => Ok(status),
        _ => Err("its answer is not HTTP"),
    }
}

/// Reads a whole answer; its body ends with the connection unless the head says otherwise
/// (RFC 9112 §6.3).
fn parse(bytes: &[u8]) -> Result<Response, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err("its answer is cut off"),
        Err(_) => return Err("its answer is not HTTP"),
    };
    let value = |name: &str| {
        let field = head
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    let rest = &bytes[length..];
    let body = if value("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        decode_chunked(rest).ok_or("its answer is cut off")?
    } else if let Some(length) = value("content-length") {
        let length = length
            .parse::<usize>()
            .map_err(|_| "its answer has no valid length")?;
        rest.get(..length).ok_or("its answer is cut off")?.to_vec()
    } else {
        rest.to_vec()
    };
    Ok(Response {
        status: head.code.unwrap_or_default(),
        body,
    })
}

/// The content of a chunked body (RFC 9112 §7.1); `None` if it does not end as it should.
fn decode_chunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        if size == 0 {
            return Some(body);
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        body.extend_from_slice(rest.get(start..end)?);
        rest = rest.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes; what was asked comes back.
    fn serve(answer: &'static [u8]) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(head).unwrap()
        });
        (address, server)
    }

    #[test]
    fn sends_a_request_and_reads_the_answer() {
        let (address, server) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let response = request(
            &Admin::anonymous(address),
            "POST",
            "/v1/reload",
            Duration::from_secs(5),
        )
        .unwrap();
        assert_eq!(
            response,
            Response {
                status: 200,
                body: b"{}".to_vec()
            }
        );
        let head = server.join().unwrap();
        assert!(head.starts_with("POST /v1/reload HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
    }

    #[test]
    fn nobody_there_is_said_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = request(
            &Admin::anonymous(address),
            "GET",
            "/",
            Duration::from_secs(5),
        )
        .unwrap_err();
        assert!(matches!(error, AdminError::Refused(_)), "{error}");
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = request(
            &Admin::anonymous(address),
            "GET",
            "/",
            Duration::from_millis(50),
        )
        .unwrap_err();
        assert!(matches!(error, AdminError::Timeout(_)), "{error}");
    }

    #[test]
    fn something_else_is_said_so() {
        let (address, _server) = serve(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
        let error = request(
            &Admin::anonymous(address),
            "GET",
            "/",
            Duration::from_secs(5),
        )
        .unwrap_err();
        assert!(matches!(error, AdminError::Malformed { .. }), "{error}");
    }

    #[test]
    fn chunks_are_joined_and_cut_ones_refused() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let whole = format!("{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
        assert_eq!(parse(whole.as_bytes()).unwrap().body, b"abcde");
        for broken in [
            "3\r\nab",
            "3\r\nabc",
            "ffffffffffffffff\r\nabc\r\n",
            "z\r\n",
            "",
        ] {
            assert!(
                parse(format!("{head}{broken}").as_bytes()).is_err(),
                "{broken}"
            );
        }
    }

    #[test]
    fn an_answer_shorter_than_its_length_is_refused() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
        assert_eq!(parse(answer), Err("its answer is cut off"));
    }

    #[test]
    fn every_address_is_reached_by_the_loopback() {
        assert_eq!(
            reachable("0.0.0.0:9900".parse().unwrap()),
            "127.0.0.1:9900".parse().unwrap()
        );
        assert_eq!(
            reachable("[::]:9900".parse().unwrap()),
            "[::1]:9900".parse().unwrap()
        );
        assert_eq!(
            reachable("10.0.0.1:1".parse().unwrap()),
            "10.0.0.1:1".parse().unwrap()
        );
    }
}
