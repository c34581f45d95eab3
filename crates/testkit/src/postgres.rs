//! A PostgreSQL server of our own: in a directory of its own, on a port of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{free_port, plans};

/// The account that the server runs as where the tests run as root, which it refuses.
const ACCOUNT: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until there is nobody any more who could write to its standard input. What a process
/// that has ended could not tidy up goes with it.
const KEEPER: &str = r#"directory=$1; shift
"$@" & server=$!
read -r _
kill -INT $server
wait $server
[ -d /proc/$PPID ] || rm -rf "$directory""#;

static SHARED: OnceLock<Postgres> = OnceLock::new();

/// A running server.
pub struct Postgres {
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// A transaction under way, which holds what it has locked until this is dropped.
pub struct Held(Child);

/// A shell that waits for its standard input to end, and then ends the server: it does so however the
/// test process went.
struct Running(Child);

impl Postgres {
    /// The server that the tests of this process share; each asks it for a [database](Self::database).
    /// It does not wait for the disk.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::start(&["fsync=off", "max_connections=400"]))
    }

    /// Fails if a node that told its plans has sent a statement to the shared server that no index serves.
    pub fn assert_indexes_are_used() {
        let unserved = SHARED.get().map(|server| plans::unserved(&server.log()));
        let unserved = unserved.unwrap_or_default();
        assert!(
            unserved.is_empty(),
            "no index serves these statements:\n{}",
            unserved.join("\n\n")
        );
    }

    /// A server for one test, with these settings.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("weir-postgres-")
            .tempdir()
            .unwrap();
        // Others reach the socket; the data is the server's alone.
        let mode = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(directory.path(), mode).unwrap();
        if is_root() {
            let (user, group) = (id("-u"), id("-g"));
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let initialised = as_account(&program("initdb"))
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--username=weir", "--no-sync", "-D"])
            .arg(directory.path().join("data"))
            .current_dir("/")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&initialised.stderr);
        assert!(initialised.status.success(), "initdb: {said}");
        let server = Self {
            directory,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            running: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        server.resume();
        server
    }

    /// A new, empty database; the address to reach it at.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir_{number}");
        self.psql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        );
        self.url(&name)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://weir@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// The same for whoever does not share this network: by the server's socket.
    pub fn socket_url(&self, database: &str) -> String {
        let (directory, port) = (self.directory.path().display(), self.port);
        format!("postgres://weir@localhost:{port}/{database}?host={directory}&sslmode=disable")
    }

    /// Has `psql` run this in a database; what it printed, without decoration.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let url = if database.contains("://") {
            database.to_owned()
        } else {
            self.url(database)
        };
        let output = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Has `psql` run this in a transaction of a database, at this address, which stays open.
    pub fn hold(&self, url: &str, sql: &str) -> Held {
        let mut psql = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = psql.stdin.as_mut().unwrap();
        writeln!(input, "BEGIN; {sql}; SELECT 'held';").unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(psql.stdout.as_mut().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "psql: {sql}");
        Held(psql)
    }

    /// What it has logged since it was started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Ends the server, cutting whoever is connected.
    pub fn stop(&self) {
        let running = self.lock().take();
        if let Some(Running(mut shell)) = running {
            drop(shell.stdin.take());
            shell.wait().unwrap();
        }
    }

    /// Has every process of the server end at once, as a power cut does.
    pub fn kill(&self) {
        let file = self.directory.path().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        let postmaster: u32 = text.lines().next().unwrap().trim().parse().unwrap();
        // The first to go, so that nobody starts others anew.
        let mut processes = vec![postmaster];
        processes.extend(children(postmaster));
        let killed = Command::new("kill")
            .arg("-KILL")
            .args(processes.iter().map(ToString::to_string))
            .output()
            .unwrap();
        let is_gone = |process: &u32| parent(*process).is_none();
        let begin = Instant::now();
        while !processes.iter().all(is_gone) {
            assert!(begin.elapsed() < PATIENCE, "kill: {killed:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop();
    }

    /// Starts it again where it was.
    pub fn resume(&self) {
        let mut running = self.lock();
        assert!(running.is_none(), "the server runs already");
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        let mut command = as_account(Path::new("/bin/sh"));
        command
            .args(["-c", KEEPER, "sh"])
            .arg(self.directory.path())
            .arg(program("postgres"))
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .arg("-c")
            .arg(format!(
                "unix_socket_directories={}",
                self.directory.path().display()
            ))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        *running = Some(Running(command.spawn().unwrap()));
        drop(running);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&self) {
        let begin = Instant::now();
        let is_ready = || {
            Command::new(program("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap()
                .success()
        };
        while !is_ready() {
            let log = || std::fs::read_to_string(self.directory.path().join("log"));
            assert!(begin.elapsed() < PATIENCE, "postgres: {:?}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It ends where its input does.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The parent of a process, unless that has ended (proc_pid_stat(5)).
fn parent(process: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = text.rsplit_once(") ")?;
    let mut fields = behind_name.split(' ');
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.next()?.parse().ok(),
    }
}

fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|process| parent(*process) == Some(of))
        .collect()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn id(option: &str) -> u32 {
    let output = Command::new("id").args([option, ACCOUNT]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        panic!("there is no account {ACCOUNT}: tests/install.sh installs PostgreSQL")
    })
}

/// Root becomes the server's account; everybody else stays who they are.
fn as_account(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={ACCOUNT}"))
        .arg(format!("--regid={ACCOUNT}"))
        .arg("--clear-groups")
        .arg(program);
    command
}

/// Debian keeps the server's programs in a directory of each version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .max();
    newest.unwrap_or_else(|| panic!("no {name}: tests/install.sh installs PostgreSQL"))
}
