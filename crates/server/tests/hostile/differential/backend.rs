//! Servers that other people wrote, and what they understood.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde::Deserialize;
use tempfile::TempDir;

use crate::harness::{PATIENCE, eventually, free_address, http1};

/// A request as a server understood it. Bytes beyond ASCII are the code points of Latin-1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Understood {
    pub(super) method: String,
    pub(super) target: String,
    host: String,
    content_type: String,
    cookie: String,
    odd: String,
    forwarded: String,
    body: String,
    /// The server says that it refused something.
    pub(super) is_refusal: bool,
}

/// A line of a server's output.
#[derive(Deserialize)]
struct Line {
    target: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    host: String,
    #[serde(default, rename = "type")]
    content_type: String,
    #[serde(default)]
    cookie: String,
    #[serde(default)]
    odd: String,
    #[serde(default)]
    forwarded: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    status: String,
    refused: Option<String>,
}

/// A running server; killed when dropped.
pub(super) struct Backend {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    child: Child,
    lines: Receiver<Vec<u8>>,
    /// How the server writes bytes beyond ASCII: as they are, or as text.
    is_raw: bool,
    markers: usize,
    _directory: TempDir,
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/differential");

impl Backend {
    pub(super) fn nginx() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (address, inner) = (free_address(), free_address());
        let configuration = std::fs::read_to_string(format!("{SCRIPTS}/nginx.conf"))
            .unwrap()
            .replace("@listen", &address.to_string())
            .replace("@inner", &inner.to_string());
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(tool("nginx"));
        command.arg("-p").arg(directory.path()).arg("-c").arg(file);
        command.args(["-g", "worker_processes 1;"]);
        Self::start("nginx", command, address, directory, true)
    }

    pub(super) fn node() -> Self {
        let address = free_address();
        let mut command = Command::new(tool("node"));
        command
            .arg(format!("{SCRIPTS}/node.js"))
            .arg(address.port().to_string());
        Self::start(
            "node",
            command,
            address,
            tempfile::tempdir().unwrap(),
            false,
        )
    }

    pub(super) fn gunicorn() -> Self {
        let address = free_address();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(tool("gunicorn"));
        command
            .args(["--bind", &address.to_string(), "--chdir", SCRIPTS])
            .args([
                "--worker-class",
                "gthread",
                "--threads",
                "4",
                "--keep-alive",
                "30",
            ])
            .args([
                "--limit-request-line",
                "0",
                "--limit-request-field_size",
                "0",
            ])
            .arg("--worker-tmp-dir")
            .arg(directory.path())
            .arg("seen:application")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Self::start("gunicorn", command, address, directory, false)
    }

    fn start(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        directory: TempDir,
        is_raw: bool,
    ) -> Self {
        let log = std::fs::File::create(directory.path().join("stderr")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        eventually(name, || {
            if let Some(status) = child.try_wait().unwrap() {
                let path = directory.path().join("stderr");
                panic!(
                    "{name}: {status}: {}",
                    std::fs::read_to_string(path).unwrap()
                );
            }
            TcpStream::connect(address).is_ok()
        });
        Self {
            name,
            address,
            child,
            lines,
            is_raw,
            markers: 0,
            _directory: directory,
        }
    }

    /// Everything understood since the last call. A request that goes to the server directly marks
    /// the end.
    pub(super) fn understood(&mut self) -> Vec<Understood> {
        self.markers += 1;
        let marker = format!("/marker-{}", self.markers);
        let request =
            format!("GET {marker} HTTP/1.1\r\nHost: marker.test\r\nConnection: close\r\n\r\n");
        let mut stream = http1::connect(self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut understood = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .expect("the back end saw the marker");
            let text = if self.is_raw {
                line.iter().map(|byte| char::from(*byte)).collect()
            } else {
                String::from_utf8(line).unwrap()
            };
            let line: Line = serde_json::from_str(&text).expect(&text);
            if line.target == marker {
                return understood;
            }
            understood.push(Understood {
                method: line.method,
                target: line.target,
                // What Weir says if the client names no host differs from server to server.
                host: line.host.replace(&self.address.to_string(), "itself"),
                content_type: line.content_type,
                // Servers join several fields with a comma or as one cookie string.
                cookie: line.cookie.replace("; ", ","),
                odd: first_value(&line.odd),
                forwarded: line.forwarded,
                body: line.body,
                // nginx also tells of requests that were cut off.
                is_refusal: line.refused.is_some() || !matches!(&*line.status, "" | "200"),
            });
        }
    }
}

/// nginx before 1.23 tells the first of several fields of one name only.
fn first_value(values: &str) -> String {
    values
        .split(',')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Where a program is; `tests/install.sh` puts gunicorn into a directory of its own.
fn tool(name: &str) -> PathBuf {
    let home = std::env::var("HOME").unwrap_or_default();
    let cache = std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{home}/.cache"));
    let tools = std::env::var("WEIR_TEST_TOOLS").unwrap_or_else(|_| format!("{cache}/weir"));
    let mut places = vec![PathBuf::from(format!("{tools}/venv/bin"))];
    places.extend(std::env::split_paths(
        &std::env::var("PATH").unwrap_or_default(),
    ));
    places.push(PathBuf::from("/usr/sbin"));
    places
        .into_iter()
        .map(|place| place.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: run tests/install.sh"))
}
