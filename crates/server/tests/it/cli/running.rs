//! Commands that talk to a running Weir, mostly to one that only pretends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use super::Workspace;

/// Answers one request with this status and JSON; the request's first line comes back.
fn admin(status: &'static str, body: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8(head)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    });
    (address, server)
}

#[test]
fn a_reload_that_took_effect_is_said_so() {
    let workspace = Workspace::new();
    let (address, server) = admin(
        "200 OK",
        r#"{"outcome": "applied", "revision": {"number": 7}}"#,
    );
    let ran = workspace.run(&["reload", "--admin", &address.to_string()]);
    assert_eq!(server.join().unwrap(), "POST /v1/reload HTTP/1.1");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "reloaded: revision 7 is in effect\n")
    );
}

#[test]
fn the_admin_address_comes_from_the_configuration() {
    let workspace = Workspace::new();
    let (address, server) = admin("200 OK", r#"{"outcome": "unchanged", "revision": 7}"#);
    workspace.write(
        "weir.yaml",
        &super::GOOD.replace("127.0.0.1:9 ", &format!("{address} ")),
    );
    let ran = workspace.run(&["reload"]);
    server.join().unwrap();
    let expected = "nothing changed: revision 7 stays in effect\n";
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), expected),
        "{}",
        ran.transcript()
    );
}

const REFUSED: &str = r#"{"detail": "the configuration has mistakes", "message":
    "error[WR0103]: unknown key `upstreem`\n --> weir.yaml:8:5\n  |\n8 |     upstreem: catalog\n  |     ^^^^^^^^\n\n1 error\n",
    "diagnostics": [{
    "code": "WR0103", "severity": "error", "message": "unknown key `upstreem`", "file": "weir.yaml",
    "line": 8, "column": 5, "length": 8, "excerpt": "    upstreem: catalog",
    "help": "did you mean `upstream`?", "path": "routes[0]"}]}"#;

#[test]
fn a_refused_reload_shows_why() {
    let workspace = Workspace::new();
    let (address, _server) = admin("422 Unprocessable Content", REFUSED);
    let ran = workspace.run(&["reload", "--admin", &address.to_string()]);
    insta::assert_snapshot!("reload-refused", ran.transcript());
    let (address, _server) = admin("422 Unprocessable Content", REFUSED);
    let ran = workspace.run(&["reload", "--json", "--admin", &address.to_string()]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.json()["diagnostics"][0]["code"], "WR0103");
}

#[test]
fn nobody_there_is_said_so() {
    let workspace = Workspace::good();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ran = workspace.run(&["reload", "--admin", &address]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("no Weir answers at"),
        "{}",
        ran.transcript()
    );

    let ran = workspace.run(&["upgrade"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("no Weir is running with this data directory"),
        "{}",
        ran.transcript()
    );
}

#[test]
fn a_key_of_another_certificate_refuses_a_reload_as_it_fails_a_check() {
    let workspace = Workspace::new();
    let one = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    workspace.write("tls.crt", &one.cert.pem());
    workspace.write("tls.key", &one.signing_key.serialize_pem());
    let text = "\
listeners:
  - { address: 127.0.0.1:0, tls: { certificate: file:tls.crt, key: file:tls.key } }
admin: { address: 127.0.0.1:0 }
log: { output: stdout }
";
    workspace.write("weir.yaml", text);
    let running = Running::start(&workspace);

    workspace.write("tls.key", &other.signing_key.serialize_pem());
    let reload = workspace.run(&["reload", "--admin", &running.admin]);
    let check = workspace.run(&["check"]);
    for ran in [reload, check] {
        assert_eq!(ran.code, Some(1), "{}", ran.transcript());
        for part in [
            "error[WR0601]: the private key in file:tls.key does not belong",
            "weir.yaml:2:68\n",
            "at: listeners[0].tls.key\n",
        ] {
            assert!(ran.stderr.contains(part), "{}", ran.transcript());
        }
    }

    workspace.write("tls.crt", &other.cert.pem());
    let reload = workspace.run(&["reload", "--admin", &running.admin]);
    assert_eq!(reload.code, Some(0), "{}", reload.transcript());
}

/// `weir run`, ended when dropped.
struct Running {
    child: Child,
    admin: String,
}

impl Running {
    /// Starts it and waits for the line that says that it serves.
    fn start(workspace: &Workspace) -> Self {
        let mut child = workspace
            .command(&["run"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let admin = lines.map(Result::unwrap).find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            let is_ready = line["body"] == "serving";
            is_ready.then(|| line["admin"].as_str().unwrap().to_owned())
        });
        let admin = admin.expect("it ended before it served");
        Self { child, admin }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
