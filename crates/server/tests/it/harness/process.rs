//! Child processes that end with their owner, and what they write.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::wait_until;
use crate::ending;

/// A child whose output goes to files.
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts it; its output goes to `name.out` and `name.err` in the directory.
    pub fn start(command: &mut Command, directory: &Path, name: &str) -> Self {
        let stdout = directory.join(format!("{name}.out"));
        let stderr = directory.join(format!("{name}.err"));
        command
            .stdin(Stdio::null())
            .stdout(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&stdout)
                    .unwrap(),
            )
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&stderr)
                    .unwrap(),
            );
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot start {}: {error}",
                command.get_program().to_string_lossy()
            )
        });
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process ended", || {
            status = self.ended();
            status.is_some()
        });
        status.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tail = |text: String| {
                let from = text.len().saturating_sub(3000);
                text.get(from..).unwrap_or(&text).to_owned()
            };
            eprintln!("--- {}\n{}", self.stdout.display(), tail(self.stdout()));
            eprintln!("--- {}\n{}", self.stderr.display(), tail(self.stderr()));
        }
        ending::end(&mut self.child);
    }
}

/// Sends a signal to a process by its id.
pub fn send(id: u32, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    let _ = kill_process(id, signal);
}

/// Memory of a process that is resident, in KiB.
pub fn memory(id: u32) -> u64 {
    status_line(id, "VmRSS:")
}

/// The same without what is the program itself, which unoptimised is large.
pub fn anonymous_memory(id: u32) -> u64 {
    status_line(id, "RssAnon:")
}

fn status_line(id: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// The path of a program that the tests need. That it is missing is a failure: a test that was
/// skipped would look like one that passed.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not installed; `make test` installs what the tests need")
        })
}
