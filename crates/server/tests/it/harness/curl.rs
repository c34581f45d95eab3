//! curl as a client.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{Message, tool};

/// How a run of curl went.
pub struct Curl {
    /// curl's own exit code; 0 is success.
    pub exit: i32,
    /// What `-w` asked for.
    pub stdout: String,
    pub stderr: String,
    /// Every response head in turn: interim ones, redirects, the last one.
    pub heads: Vec<Message>,
    pub body: Vec<u8>,
}

impl Curl {
    /// The last response, with its body.
    pub fn answer(&self) -> Message {
        assert_eq!(self.exit, 0, "{}", self.stderr);
        let mut message = self.heads.last().expect("a response").clone();
        message.body.clone_from(&self.body);
        message.complete = true;
        message
    }
}

/// Runs curl.
pub fn curl(arguments: &[&str]) -> Curl {
    curl_fed(arguments, &[])
}

/// Runs curl with something on its standard input.
pub fn curl_fed(arguments: &[&str], input: &[u8]) -> Curl {
    let directory = tempfile::tempdir().unwrap();
    let (head, body) = (directory.path().join("head"), directory.path().join("body"));
    let mut child = Command::new(tool("curl"))
        // No settings of whoever runs the tests.
        .args(["-q", "--noproxy", "*", "-sS", "--max-time", "60", "-D"])
        .arg(&head)
        .arg("-o")
        .arg(&body)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    Curl {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        heads: heads(&String::from_utf8_lossy(
            &std::fs::read(&head).unwrap_or_default(),
        )),
        body: std::fs::read(&body).unwrap_or_default(),
    }
}

fn heads(text: &str) -> Vec<Message> {
    let mut heads: Vec<Message> = Vec::new();
    let mut blocks = text
        .split("\r\n\r\n")
        .filter(|block| !block.trim().is_empty());
    for block in &mut blocks {
        let mut lines = block.trim_start().lines();
        let start = lines.next().unwrap_or_default().to_owned();
        let fields: Vec<_> = std::iter::once(start.as_str())
            .filter(|line| !line.starts_with("HTTP/"))
            .chain(lines)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if start.starts_with("HTTP/") {
            heads.push(Message {
                start,
                fields,
                ..Message::default()
            });
        } else if let Some(last) = heads.last_mut() {
            // curl writes trailers behind the head's empty line.
            last.trailers.extend(fields);
        }
    }
    heads
}
