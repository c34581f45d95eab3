//! The command line: what each command prints, and how it ends.

mod check;
mod demo;
mod doctor;
mod dry_run;
mod explain;
mod help;
mod import;
mod output;
mod policy;
mod running;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A configuration without mistakes; the ports are nobody's.
const GOOD: &str = "\
listeners:
  - address: 127.0.0.1:0
admin: { address: 127.0.0.1:9 }
upstreams:
  catalog:
    targets: [127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 3, zone: eu-1 }]
  orders:
    targets: [127.0.0.1:9003]
policies:
  identify:
    headers:
      request: { set: { x-route: '{route.name}', x-team: shop }, remove: [x-debug] }
      response: { set: { x-served-by: weir } }
routes:
  - name: items
    match: { host: api.example.com, path: /items/*, methods: [GET] }
    policies: [identify]
    upstream: catalog
  - name: order
    match: { path: '/orders/{id}', methods: [POST] }
    upstream: orders
    host: target
    rewrite: { path: '/v2/orders/{path.id}' }
    headers: { request: { add: { x-order: '{path.id}' } } }
  - name: moved
    match: { path: /shop/* }
    redirect: { to: 'https://shop.example.com/{path.*}', status: 308 }
environments:
  production:
    data: /var/lib/weir
";

/// A directory of its own for one test; gone when dropped.
struct Workspace {
    directory: PathBuf,
}

impl Workspace {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cli-{}-{count}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).unwrap();
        Self { directory }
    }

    /// With [`GOOD`] as `weir.yaml`.
    fn good() -> Self {
        let workspace = Self::new();
        workspace.write("weir.yaml", GOOD);
        workspace
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).unwrap();
    }

    /// The binary, in this directory and without settings from outside.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments);
        self.isolate(&mut command);
        command
    }

    fn isolate(&self, command: &mut Command) {
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .env("XDG_CONFIG_HOME", self.directory.join("config"));
        for name in [
            "WEIR_CONFIG",
            "WEIR_DATA",
            "WEIR_ENVIRONMENT",
            "WEIR_ORG",
            "WEIR_TOKEN",
            "NO_COLOR",
            "COLUMNS",
        ] {
            command.env_remove(name);
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// How a command went.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// All of it, for snapshots.
    fn transcript(&self) -> String {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        let code = code.map_or("a signal".to_owned(), |code| code.to_string());
        format!("exit: {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.transcript()))
    }
}
