//! The binary under test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{Message, Wire, free_port, memory, wait_until};

/// A scratch directory, ports and arguments for a Weir that does not run yet.
pub struct Setup {
    pub directory: TempDir,
    /// Its data directory.
    data: PathBuf,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub admin: SocketAddr,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Program and arguments that start Weir in place of the test.
    launcher: Vec<String>,
}

impl Setup {
    pub fn new() -> Self {
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let directory = tempfile::tempdir().unwrap();
        Self {
            data: directory.path().join("data"),
            directory,
            http: address(),
            https: address(),
            admin: address(),
            arguments: Vec::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
        }
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Keeps what it keeps there, as `--data-dir` says; a relative path starts at its directory.
    pub fn data_directory(mut self, path: &Path) -> Self {
        self.data = self.directory.path().join(path);
        let text = path.to_str().unwrap().to_owned();
        self.argument("--data-dir").argument(&text)
    }

    /// Where it keeps what it keeps.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn launcher(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(ToString::to_string).collect();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The whole file for what a test cares about: `$HTTP`, `$HTTPS`, `$ADMIN` and `$DIR` are
    /// filled in; without listeners there is one on `$HTTP`.
    pub fn complete(&self, config: &str) -> String {
        let mut text = format!("data: {}\n", self.data.display());
        if !config.contains("admin:") {
            text.push_str("admin: { address: $ADMIN }\n");
        }
        if !config.contains("workers:") {
            text.push_str("workers: 2\n");
        }
        if !config.contains("listeners:") {
            text.push_str("listeners: [{ address: $HTTP }]\n");
        }
        text.push_str(config);
        text.replace("$ADMIN", &self.admin.to_string())
            .replace("$HTTPS", &self.https.to_string())
            .replace("$HTTP", &self.http.to_string())
            .replace("$DIR", &self.directory.path().display().to_string())
    }

    /// The operator's credential, as a line of a request's head; nothing before the first start.
    pub fn operator(&self) -> String {
        let token = std::fs::read_to_string(self.data.join("operator.token"));
        token.map_or_else(
            |_| String::new(),
            |token| format!("Authorization: Bearer {}\r\n", token.trim()),
        )
    }

    /// Serves at these addresses.
    pub fn at(mut self, admin: SocketAddr, http: SocketAddr) -> Self {
        (self.admin, self.http) = (admin, http);
        self
    }

    /// Starts it with the file that is there and waits until it serves.
    pub fn launch_and_wait(self) -> Weir {
        let mut weir = self.launch();
        weir.wait_ready();
        weir
    }

    /// Starts it and waits until it serves.
    pub fn start(self, config: &str) -> Weir {
        let mut weir = self.spawn(config);
        weir.wait_ready();
        weir
    }

    /// Starts it.
    pub fn spawn(self, config: &str) -> Weir {
        self.write("weir.yaml", self.complete(config));
        self.launch()
    }

    /// Runs a command with the file that is there.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        Ran::from(self.command(command, arguments).output().unwrap())
    }

    /// A command with the file that is there.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args([command, "--color", "never", "-c"])
            .arg(self.path("weir.yaml"))
            .args(arguments);
        // What whoever runs the tests has signed in to is not theirs.
        weir.env("XDG_CONFIG_HOME", self.path("config"));
        for name in ["WEIR_TOKEN", "WEIR_ORG"] {
            weir.env_remove(name);
        }
        weir
    }

    /// Starts it with the file that is there.
    pub fn launch(self) -> Weir {
        let binary = env!("CARGO_BIN_EXE_weir");
        let mut words = self.launcher.clone();
        words.push(binary.to_owned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg("run")
            .arg("-c")
            .arg(self.path("weir.yaml"))
            .args(&self.arguments)
            // Whatever a test has it ask of a PostgreSQL server, an index must serve.
            .env("PGOPTIONS", weir_testkit::EXPLAINED)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path());
        let process = Process::start(&mut command, self.directory.path(), "weir");
        Weir {
            process,
            setup: self,
        }
    }
}

/// How a command went.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
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

/// A running Weir; ends with this value.
pub struct Weir {
    // Ends before its directory goes.
    process: Process,
    setup: Setup,
}

impl Weir {
    /// Starts it with a configuration and waits until it serves.
    pub fn start(config: &str) -> Self {
        Setup::new().start(config)
    }

    /// Forwards everything to one server.
    pub fn to(upstream: SocketAddr) -> Self {
        Self::start(&forward(upstream))
    }

    pub fn http(&self) -> SocketAddr {
        self.setup.http
    }

    pub fn https(&self) -> SocketAddr {
        self.setup.https
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.setup.http)
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn directory(&self) -> &Path {
        self.setup.directory.path()
    }

    /// Waits until the admin listener says that traffic is served.
    pub fn wait_ready(&mut self) {
        let Self { process, setup } = self;
        wait_until("weir is ready", || {
            if let Some(status) = process.ended() {
                panic!(
                    "weir ended before it was ready: {status}\n{}",
                    process.stderr()
                );
            }
            is_ready(setup)
        });
    }

    /// Whether the admin listener says that traffic is served.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.setup)
    }

    /// The process that was started here.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process that serves: a successor after an upgrade.
    pub fn serving_id(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.setup.path("data/weir.pid")).ok()?;
        text.trim().parse().ok()
    }

    pub fn memory(&self) -> u64 {
        memory(self.id())
    }

    /// All that was written about requests and the process.
    pub fn log(&self) -> String {
        self.process.stdout()
    }

    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Signals the process that serves now.
    pub fn signal_serving(&self, signal: Signal) {
        process::send(
            self.serving_id()
                .expect("a process id in the data directory"),
            signal,
        );
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    pub fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Replaces the configuration file, all at once, without telling the process.
    pub fn write_config(&self, config: &str) {
        self.replace_file("weir.yaml", self.setup.complete(config));
    }

    pub fn replace_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let temporary = format!(".{name}.new");
        self.setup.write(&temporary, content);
        std::fs::rename(self.setup.path(&temporary), self.setup.path(name)).unwrap();
    }

    /// Replaces the configuration and has it read; the answer of the admin listener.
    pub fn reload(&self, config: &str) -> Message {
        self.write_config(config);
        self.ask("POST", "/v1/reload")
    }

    /// Asks the admin listener.
    pub fn ask(&self, method: &str, path: &str) -> Message {
        ask(&self.setup, method, path).expect("an answer of the admin listener")
    }

    pub fn revision(&self) -> serde_json::Value {
        self.ask("GET", "/v1/revision").json()
    }

    /// Number of the revision in effect.
    pub fn revision_number(&self) -> u64 {
        self.revision()["number"].as_u64().expect("a number")
    }

    /// Sum of a metric's samples whose line contains all these words.
    pub fn metric(&self, name: &str, words: &[&str]) -> f64 {
        let text = self.ask("GET", "/metrics").text();
        text.lines()
            .filter(|line| line.starts_with(name) && words.iter().all(|word| line.contains(word)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Runs another command with the same configuration.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        self.setup.run(command, arguments)
    }

    /// Has each chain of the audit verified; what is said of them.
    pub fn verify_audit(&self) -> String {
        let verified = self.run("audit", &["verify"]);
        let Ran { stdout, stderr, .. } = &verified;
        assert_eq!(verified.code, Some(0), "{stdout}{stderr}");
        verified.stdout
    }

    /// Another command with the same configuration.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        self.setup.command(command, arguments)
    }

    /// Sends one request on a connection of its own.
    pub fn get(&self, path: &str) -> Message {
        let mut wire = Wire::connect(self.setup.http);
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n"
        ));
        wire.response("GET")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let Some(successor) = self.serving_id().filter(|id| *id != self.id()) else {
            return;
        };
        // Only what was started from this directory.
        let line = std::fs::read(format!("/proc/{successor}/cmdline")).unwrap_or_default();
        let directory = self.setup.directory.path().display().to_string();
        if String::from_utf8_lossy(&line).contains(&directory) {
            process::send(successor, Signal::KILL);
        }
    }
}

/// Forwards everything to one server.
pub fn forward(upstream: SocketAddr) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{upstream}\"] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n"
    )
}

fn is_ready(setup: &Setup) -> bool {
    ask(setup, "GET", "/readyz").is_some_and(|answer| answer.status() == 200)
}

fn ask(setup: &Setup, method: &str, path: &str) -> Option<Message> {
    let admin = setup.admin;
    let operator = setup.operator();
    let mut wire = Wire::try_connect(admin).ok()?;
    // A media type that a web page cannot send unasked: the admin listener insists on it.
    let body = match method {
        "POST" | "DELETE" => "Content-Type: application/json\r\nContent-Length: 0\r\n",
        _ => "",
    };
    wire.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\n{operator}{body}Connection: close\r\n\r\n"
    ));
    wire.try_response(method)
}
