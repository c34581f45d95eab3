//! Clients and servers that nobody here wrote.

use std::process::Command;

use super::config;
use crate::harness::{NodeScript, Weir, installed, tool, wait_until};

fn node_server(options: &[&str]) -> NodeScript {
    let packages = installed("node/node_modules").display().to_string();
    let mut arguments = vec![packages.as_str()];
    arguments.extend(options);
    NodeScript::start("websocket.js", &arguments)
}

/// What a script of `tests/it/peers` writes.
fn run(program: &std::path::Path, script: &str, arguments: &[&str]) -> String {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/peers")
        .join(script);
    let output = Command::new(program).arg(script).args(arguments).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

#[test]
fn npm_ws_on_both_sides() {
    let server = node_server(&["deflate"]);
    let weir = Weir::start(&config(server.address, "{ max_message: 1MiB }"));
    let packages = installed("node/node_modules").display().to_string();
    let url = format!("ws://{}", weir.http());
    let said = run(&tool("node"), "websocket_client.js", &[&packages, &url]);
    let expected = "\
        plain: opened, 200 messages in order, closed 1000 bye\n\
        deflate: opened permessage-deflate, 200 messages in order, closed 1000 bye\n\
        fragments: opened, 1 messages in order, closed 1000 bye\n\
        too big: opened, closed 1009\n\
        closed by the server: opened, closed 4321 as asked\n\
        dropped by the server: opened, closed 1014\n\
        refused by the server: 401\n\
        of another origin: 403\n";
    assert_eq!(said, expected);
    // Its pings and the closes got there.
    wait_until("the server heard of everything", || {
        let lines = server.lines();
        let heard = |line: &str| lines.iter().filter(|said| said.trim() == line).count();
        heard("close 1000 bye") == 3 && heard("close 1001") == 1 && heard("ping 4") == 3
    });
}

#[test]
fn python_websockets_as_client() {
    let server = node_server(&["deflate"]);
    let weir = Weir::start(&config(server.address, "true"));
    let python = installed("venv/bin/python3");
    let url = format!("ws://{}/echo", weir.http());
    let said = run(&python, "websocket_client.py", &[&url]);
    assert_eq!(
        said,
        "PerMessageDeflate 100 messages in order, pong, closed 1000\n"
    );
}

#[test]
fn curl_asks_by_hand() {
    let server = node_server(&[]);
    let weir = Weir::start(&config(server.address, "true"));
    let url = weir.url("/echo");
    let ask = |fields: &[&str]| {
        let mut arguments = vec!["-sS", "-i", "--http1.1", "--max-time", "1"];
        for field in fields {
            arguments.extend(["-H", field]);
        }
        arguments.push(&url);
        let output = Command::new(tool("curl")).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let handshake = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let opened = ask(&handshake);
    assert!(opened.starts_with("HTTP/1.1 101 "), "{opened}");
    assert!(opened.contains(super::ACCEPT), "{opened}");
    let refused = ask(&handshake[..3]);
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    let plain = ask(&[]);
    assert!(plain.ends_with("plain upgrade=none"), "{plain}");
}
