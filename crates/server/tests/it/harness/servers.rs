//! Servers that others wrote.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::process::Signal;
use tempfile::TempDir;

use super::installed;
use super::process::{Process, tool};
use super::{Wire, free_port, wait_until};

pub(super) fn wait_for_port(process: &mut Process, address: SocketAddr) {
    wait_until("the server listens", || {
        if let Some(status) = process.ended() {
            panic!(
                "the server ended: {status}\n{}{}",
                process.stdout(),
                process.stderr()
            );
        }
        Wire::try_connect(address).is_ok()
    });
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// httpbin under gunicorn.
pub struct Httpbin {
    pub address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Httpbin {
    /// One for all tests that run at the moment.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Httpbin>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start());
        *shared = Arc::downgrade(&started);
        started
    }

    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = local(free_port());
        let mut command = Command::new(installed("venv/bin/gunicorn"));
        command
            .args([
                "--worker-class",
                "gthread",
                "--threads",
                "16",
                "--keep-alive",
                "5",
            ])
            .args(["--bind", &address.to_string(), "httpbin:app"])
            .current_dir(directory.path());
        let mut process = Process::start(&mut command, directory.path(), "gunicorn");
        wait_for_port(&mut process, address);
        Self {
            address,
            _process: process,
            _directory: directory,
        }
    }
}

/// nginx.
pub struct Nginx {
    pub address: SocketAddr,
    process: Process,
    directory: TempDir,
}

impl Nginx {
    pub fn serving(files: &Path) -> Self {
        Self::start(&format!(
            "listen $ADDRESS; root {}; location = /echo {{ default_type text/plain;\n\
             return 200 \"$request_method $request_uri $http_host $http_x_forwarded_for\"; }}",
            files.display()
        ))
    }

    /// Over TLS with `nginx.crt` and `nginx.key` of the directory; answers with the name that it was
    /// asked for, the client certificate's subject, and how its verification went.
    pub fn secure(directory: &Path, settings: &str) -> Self {
        let at = directory.display();
        Self::start(&format!(
            "listen $ADDRESS ssl; ssl_certificate {at}/nginx.crt; ssl_certificate_key {at}/nginx.key;\n\
             ssl_protocols TLSv1.2 TLSv1.3; {settings} location / {{ default_type text/plain;\n\
             return 200 \"$ssl_server_name $ssl_client_s_dn $ssl_client_verify\"; }}"
        ))
    }

    fn start(server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = local(free_port());
        let at = directory.path().display();
        let config = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ {} }} }}\n",
            server.replace("$ADDRESS", &address.to_string())
        );
        std::fs::write(directory.path().join("nginx.conf"), config).unwrap();
        Self {
            address,
            process: Self::run(directory.path(), address),
            directory,
        }
    }

    fn run(directory: &Path, address: SocketAddr) -> Process {
        let mut command = Command::new(tool("nginx"));
        command.arg("-p").arg(directory);
        command.arg("-c").arg(directory.join("nginx.conf"));
        // Before it has read where its log is, it uses the one that was compiled in.
        command.arg("-e").arg(directory.join("error.log"));
        let mut process = Process::start(&mut command, directory, "nginx");
        wait_for_port(&mut process, address);
        process
    }

    /// Answers everything with this text.
    pub fn saying(text: &str) -> Self {
        Self::start(&format!("listen $ADDRESS; return 200 \"{text}\";"))
    }

    /// Ends it without a farewell.
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait();
    }

    /// Starts it again where it was.
    pub fn revive(&mut self) {
        self.process = Self::run(self.directory.path(), self.address);
    }
}

/// json-server, which stands for the servers that people write with Express.
pub struct JsonServer {
    pub address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl JsonServer {
    pub fn start(database: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = local(free_port());
        std::fs::write(directory.path().join("db.json"), database).unwrap();
        let mut command = Command::new(tool("node"));
        command
            .arg(installed("node/node_modules/json-server/lib/cli/bin.js"))
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                &address.port().to_string(),
                "--quiet",
            ])
            .arg(directory.path().join("db.json"))
            .current_dir(directory.path());
        let mut process = Process::start(&mut command, directory.path(), "json-server");
        wait_for_port(&mut process, address);
        Self {
            address,
            _process: process,
            _directory: directory,
        }
    }
}

/// Where a script of `tests/it/peers` lies.
pub fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/peers")
        .join(script)
}

/// A script of `tests/it/peers` under Node, or Python; its first line of output is its port.
pub struct NodeScript {
    pub address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl NodeScript {
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        Self::run(Command::new(tool("node")), script, arguments)
    }

    /// Under the Python of the tests, which has their packages.
    pub fn python(script: &str, arguments: &[&str]) -> Self {
        Self::run(
            Command::new(installed("venv/bin/python")),
            script,
            arguments,
        )
    }

    fn run(mut command: Command, script: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        command
            .arg(peer(script))
            .args(arguments)
            .current_dir(directory.path());
        let mut process = Process::start(&mut command, directory.path(), "script");
        let mut port = None;
        wait_until("the script listens", || {
            if let Some(status) = process.ended() {
                panic!("the script ended: {status}\n{}", process.stderr());
            }
            port = process
                .stdout()
                .lines()
                .next()
                .and_then(|line| line.parse().ok());
            port.is_some()
        });
        Self {
            address: local(port.unwrap()),
            process,
            _directory: directory,
        }
    }

    /// What the script wrote behind its port, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.process
            .stdout()
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect()
    }
}
