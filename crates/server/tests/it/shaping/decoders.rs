//! What Weir compresses is decoded by others.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::harness::installed;

/// Python's gzip, Google's Brotli and Facebook's Zstandard.
pub(super) fn decode(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peers/decode.py");
    let mut child = Command::new(installed("venv/bin/python"))
        .arg(script)
        .arg(coding)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeding = thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success(), "{coding} cannot be decoded");
    output.stdout
}
