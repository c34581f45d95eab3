//! A receiver of telemetry that others wrote.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::installed;
use super::process::Process;
use super::servers::wait_for_port;
use super::{free_port, wait_until};

/// oteltest's sink, on a port of its own.
pub struct Receiver {
    pub address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Receiver {
    /// `grpc` or `http`.
    pub fn start(kind: &str) -> Self {
        Self::at(kind, free_port(), &[])
    }

    pub fn at(kind: &str, port: u16, material: &[&Path]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peers/otlp.py");
        let mut command = Command::new(installed("venv/bin/python"));
        command
            .arg(script)
            .args([kind, &port.to_string()])
            .args(material)
            .current_dir(directory.path());
        let mut process = Process::start(&mut command, directory.path(), "otlp");
        wait_for_port(&mut process, address);
        Self {
            address,
            process,
            _directory: directory,
        }
    }

    /// Everything that came in so far.
    pub fn text(&self) -> String {
        self.process.stdout()
    }

    /// Spans or log records, in the order in which they came.
    pub fn all(&self, signal: &str) -> Vec<Value> {
        let text = self.text();
        // The last line may not be whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let found = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        found
            .filter(|found: &Value| found["signal"] == signal)
            .collect()
    }

    /// Waits for spans or log records that the condition holds for.
    pub fn wait_for(
        &self,
        signal: &str,
        count: usize,
        is_meant: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut found = Vec::new();
        wait_until(&format!("{count} of {signal} came"), || {
            found = self.all(signal);
            found.retain(|item| is_meant(item));
            found.len() >= count
        });
        found
    }
}
