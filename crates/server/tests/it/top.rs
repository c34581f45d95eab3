//! `weir top`, as text and on a terminal.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use crate::harness::{Upstream, Weir, answer, forward, wait_until};

/// A terminal of its own for a program; ends with this value.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> (Upstream, Weir) {
    let upstream = Upstream::answering(|_| answer(200, &[], "ok"));
    let weir = Weir::start(&forward(upstream.address));
    weir.get("/items");
    (upstream, weir)
}

#[test]
fn one_look_is_a_table_or_json() {
    let (_upstream, weir) = start();
    let table = weir.run("top", &["--once"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    for part in ["Weir ", "revision 1", "ROUTE", "\nall ", "\nup  ", "1/1"] {
        assert!(table.stdout.contains(part), "{part}\n{}", table.stdout);
    }
    let json = weir.run("top", &["--once", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["routes"][0]["name"], "all");
    assert_eq!(told["upstreams"][0]["targets_taking_traffic"], 1);
}

#[test]
fn without_a_weir_it_says_so() {
    let (_upstream, mut weir) = start();
    weir.signal(rustix::process::Signal::TERM);
    weir.wait_exit();
    let ran = weir.run("top", &["--once"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no Weir answers"), "{}", ran.stderr);
}

#[test]
fn on_a_terminal_it_obeys_keys_and_leaves_no_trace() {
    let (_upstream, weir) = start();
    let shown = weir.directory().join("screen");
    let command = format!(
        "stty rows 30 cols 110; exec {} top -c {}",
        env!("CARGO_BIN_EXE_weir"),
        weir.directory().join("weir.yaml").display()
    );
    let terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &command])
        .arg(&shown)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let screen =
        || String::from_utf8_lossy(&std::fs::read(&shown).unwrap_or_default()).into_owned();
    let mut terminal = Terminal(terminal);
    let mut keys = terminal.0.stdin.take().unwrap();
    wait_until("the table is there", || screen().contains("TROUBLE"));
    keys.write_all(b"s").unwrap();
    wait_until("it is sorted anew", || screen().contains("errors"));
    keys.write_all(b"q").unwrap();
    assert!(terminal.0.wait().unwrap().success());
    // The screen from before is back (xterm's alternate screen).
    assert!(screen().contains("\x1b[?1049l"), "{:?}", screen());
}
