//! An upstream that reads HTTP/1.1 as strictly as it can and keeps what it read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

impl Seen {
    /// Method and target.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Every value of a field; names are compared in lower case.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        self.fields
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The only value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(
            values.len() < 2,
            "{name} came {} times: {values:?}",
            values.len()
        );
        values.pop()
    }
}

/// What happens to the connection after a request was answered.
pub(crate) type Respond = dyn Fn(&Seen, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A server that records. It runs until the process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Mutex<Receiver<Seen>>,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Answers every request with 200 and its method and target.
    pub(crate) fn start() -> Self {
        Self::answering(|seen, stream| {
            let body = if seen.method == "HEAD" {
                String::new()
            } else {
                seen.line()
            };
            let length = seen.line().len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        })
    }

    /// Answers with a function.
    pub(crate) fn answering(
        respond: impl Fn(&Seen, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        let faults = Arc::new(Mutex::new(Vec::new()));
        let respond: Arc<Respond> = Arc::new(respond);
        let noted = Arc::clone(&faults);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, respond, noted) =
                    (sender.clone(), Arc::clone(&respond), Arc::clone(&noted));
                std::thread::spawn(move || serve(stream, &sender, &*respond, &noted));
            }
        });
        Self {
            address,
            seen: Mutex::new(seen),
            faults,
        }
    }

    /// The complete requests since the last call. Fails if anything arrived that this server cannot
    /// read in exactly one way.
    pub(crate) fn take(&self) -> Vec<Seen> {
        let faults = self.faults.lock().unwrap();
        assert!(
            faults.is_empty(),
            "the upstream got what is not strictly HTTP: {faults:?}"
        );
        self.seen.lock().unwrap().try_iter().collect()
    }

    /// Waits for a complete request.
    pub(crate) fn next(&self) -> Seen {
        self.seen
            .lock()
            .unwrap()
            .recv_timeout(super::PATIENCE)
            .unwrap()
    }
}

fn serve(stream: TcpStream, sender: &Sender<Seen>, respond: &Respond, faults: &Mutex<Vec<String>>) {
    let _ = stream.set_nodelay(true);
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        match read_request(&mut reader) {
            Ok(Some(seen)) => {
                let answered = seen.clone();
                if sender.send(seen).is_err() || respond(&answered, &mut writer).is_err() {
                    return;
                }
            }
            // The connection ended, maybe in the middle: a request cut off is not a request.
            Ok(None) => return,
            Err(fault) => {
                faults.lock().unwrap().push(fault);
                return;
            }
        }
    }
}

type Reader = BufReader<TcpStream>;

fn read_request(reader: &mut Reader) -> Result<Option<Seen>, String> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&line).map_err(|_| format!("request line {line:?}"))?;
    let parts: Vec<&str> = text.split(' ').collect();
    let &[method, target, "HTTP/1.1"] = parts.as_slice() else {
        return Err(format!("request line {text:?}"));
    };
    if method.is_empty() || target.is_empty() {
        return Err(format!("request line {text:?}"));
    }
    let mut seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        ..Seen::default()
    };
    let Some(fields) = read_fields(reader)? else {
        return Ok(None);
    };
    seen.fields = fields;
    let lengths = seen.values("content-length");
    let codings = seen.values("transfer-encoding");
    if seen.values("host").len() != 1 {
        return Err(format!("not one host field: {seen:?}"));
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => {}
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| format!("length {length:?}"))?;
            if !read_body(reader, length, &mut seen.body) {
                return Ok(None);
            }
        }
        ([], [coding]) if coding == "chunked" => {
            if !read_chunks(reader, &mut seen)? {
                return Ok(None);
            }
        }
        _ => return Err(format!("framing is not clear: {seen:?}")),
    }
    Ok(Some(seen))
}

/// A line without its CR LF; `None` if the connection ends before.
fn read_line(reader: &mut Reader) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(_) if line.ends_with(b"\r\n") => line.truncate(line.len() - 2),
        Ok(_) if line.ends_with(b"\n") => return Err(format!("line ends in LF only: {line:?}")),
        _ => return Ok(None),
    }
    if line
        .iter()
        .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
    {
        return Err(format!("control character in {line:?}"));
    }
    Ok(Some(line))
}

/// Appends this many bytes; tells whether they came.
fn read_body(reader: &mut Reader, length: u64, body: &mut Vec<u8>) -> bool {
    let before = body.len() as u64;
    reader.take(length).read_to_end(body).is_ok() && body.len() as u64 - before == length
}

type Lines = Vec<(String, Vec<u8>)>;

fn read_fields(reader: &mut Reader) -> Result<Option<Lines>, String> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = read_line(reader)? else {
            return Ok(None);
        };
        if line.is_empty() {
            return Ok(Some(fields));
        }
        let fault = || format!("field {:?}", String::from_utf8_lossy(&line));
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or_else(fault)?;
        let name = std::str::from_utf8(&line[..colon]).map_err(|_| fault())?;
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(fault());
        }
        fields.push((
            name.to_ascii_lowercase(),
            line[colon + 1..].trim_ascii().to_vec(),
        ));
    }
}

fn read_chunks(reader: &mut Reader, seen: &mut Seen) -> Result<bool, String> {
    loop {
        let Some(line) = read_line(reader)? else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&line).into_owned();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("chunk size {text:?}"));
        }
        let size = u64::from_str_radix(&text, 16).map_err(|_| format!("chunk size {text:?}"))?;
        if size == 0 {
            let Some(trailers) = read_fields(reader)? else {
                return Ok(false);
            };
            seen.trailers = trailers;
            return Ok(true);
        }
        if !read_body(reader, size, &mut seen.body) {
            return Ok(false);
        }
        match read_line(reader)? {
            Some(end) if end.is_empty() => {}
            Some(_) => return Err("a chunk is longer than its size".to_owned()),
            None => return Ok(false),
        }
    }
}
