//! The binary under test.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};

use tempfile::TempDir;

use super::{eventually, free_address, http1};

/// A running Weir; killed when dropped.
pub(crate) struct Weir {
    child: Child,
    directory: TempDir,
    /// The first listener.
    pub(crate) address: SocketAddr,
    /// A second address, for configurations that name `@second`.
    pub(crate) second: SocketAddr,
}

impl Weir {
    /// Starts with a configuration in which `@listen` and `@second` stand for addresses. The admin
    /// listener and the log are taken care of.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// Starts with files beside the configuration.
    pub(crate) fn start_with(configuration: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (address, second, admin) = (free_address(), free_address(), free_address());
        let configuration = format!(
            "workers: 1\nadmin: {{ address: {admin} }}\nlog: {{ output: stdout, level: warn }}\n{}",
            configuration
                .replace("@listen", &address.to_string())
                .replace("@second", &second.to_string())
        );
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let file = directory.path().join("weir.yaml");
        std::fs::write(&file, &configuration).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("run")
            .arg("-c")
            .arg(&file)
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .stdout(File::create(directory.path().join("stdout")).unwrap())
            .stderr(File::create(directory.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut weir = Self {
            child,
            directory,
            address,
            second,
        };
        eventually("weir listens", || {
            if let Some(status) = weir.child.try_wait().unwrap() {
                let stderr = weir.standard_error();
                panic!("weir ended with {status}: {stderr}\n{configuration}");
            }
            TcpStream::connect(address).is_ok()
        });
        weir
    }

    /// One listener, one upstream that takes everything, short deadlines.
    pub(crate) fn in_front_of(upstream: SocketAddr) -> Self {
        Self::start(&format!(
            "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{upstream}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ head: 2s, idle: 2s, body: 2s, write: 2s }}
"
        ))
    }

    fn standard_error(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// Most resident memory that the process ever had, in KiB, but for the pages of its program, which grow with
    /// what it can do and not with what is asked of it (`VmHWM` and `RssFile` of proc(5)).
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let field = |name: &str| -> u64 {
            let mut lines = status.lines();
            let line = lines.find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        field("VmHWM:") - field("RssFile:")
    }

    /// Asserts that an ordinary client gets an ordinary answer.
    pub(crate) fn assert_serves(&self) {
        assert_serves(self.address);
    }
}

/// Asserts that an ordinary client gets an ordinary answer.
pub(crate) fn assert_serves(address: SocketAddr) {
    let request = b"GET /ordinary HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let talk = http1::talk(address, request);
    assert_eq!(talk.statuses(), [200], "an ordinary client is not served");
}

impl Drop for Weir {
    fn drop(&mut self) {
        let ended_by_itself = self.child.try_wait().ok().flatten();
        crate::ending::end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("weir: {:?} {}", ended_by_itself, self.standard_error());
        } else {
            assert!(
                ended_by_itself.is_none(),
                "weir ended: {}",
                self.standard_error()
            );
        }
    }
}
