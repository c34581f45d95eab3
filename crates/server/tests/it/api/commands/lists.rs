//! Lists of many pages.

use std::io::Write as _;
use std::net::TcpListener;

use serde_json::{Value, json as value};
use weir_identity::{Caller, NewUser};

use super::{World, done, json, run};
use crate::harness::{Setup, Wire};

#[tokio::test]
async fn all_pages_are_followed_in_order() {
    let world = World::begin("sqlite").await;
    for number in 0..430 {
        let new = NewUser {
            email: format!("user-{number:03}@weir.example"),
            name: "Somebody".to_owned(),
        };
        let system = Caller::system();
        let made = world.identity.create_user(&system, new);
        made.await.unwrap();
    }
    let emails = |list: Value| -> Vec<String> {
        let users = list.as_array().unwrap().iter();
        users
            .map(|user| user["email"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = emails(json(&world, "user list --email user- --sort email --all"));
    let expected: Vec<_> = (0..430)
        .map(|n| format!("user-{n:03}@weir.example"))
        .collect();
    assert_eq!(all, expected);
    let last = emails(json(&world, "user list --sort -email --limit 205"));
    assert_eq!(last.len(), 205);
    assert_eq!(
        last[..204],
        expected.iter().rev().take(204).cloned().collect::<Vec<_>>()
    );

    let usual = run(&world, "user list");
    assert_eq!(usual.stdout.lines().count(), 51);
    assert_eq!(
        usual.stderr,
        "50 are shown, and there are more: --all shows them\n"
    );
    // The table has one head, and its columns stand where they began.
    let table = done(&world, "user list --all --sort email --email user-");
    let (head, rows) = table.split_once('\n').unwrap();
    let column = head.find("NAME").unwrap();
    assert_eq!(rows.lines().count(), 430);
    assert!(
        rows.lines()
            .all(|row| row[column..].starts_with("Somebody")),
        "{table}"
    );
    let empty = run(&world, "user list --email nobody");
    assert_eq!(
        (empty.stdout.as_str(), empty.stderr.as_str()),
        ("", "there are none\n")
    );
    assert_eq!(empty.code, Some(0));
}

#[test]
fn an_array_that_is_cut_does_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let page = value!({ "items": [{ "slug": "acme" }], "next": "more" }).to_string();
        let problem = value!({ "detail": "Records cannot be reached." }).to_string();
        for (status, body) in [("200 OK", page), ("503 Service Unavailable", problem)] {
            let mut wire = Wire::of(listener.accept().unwrap().0);
            wire.request().unwrap();
            let length = body.len();
            wire.send(format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
            ));
        }
    });
    let setup = Setup::new();
    setup.write("weir.yaml", setup.complete("routes: []\n"));
    let ran = setup.run(
        "org",
        &["list", "--all", "--json", "--admin", &address.to_string()],
    );
    server.join().unwrap();
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .starts_with("[\n  {\n    \"slug\": \"acme\"\n  }"),
        "{}",
        ran.stdout
    );
    assert!(
        serde_json::from_str::<Value>(&ran.stdout).is_err(),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("Records cannot be reached."),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_export_that_is_cut_is_no_success() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        Wire::of(stream.try_clone().unwrap()).request().unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{}\n\n\r\n")
            .unwrap();
    });
    let setup = Setup::new();
    setup.write("weir.yaml", setup.complete("routes: []\n"));
    let ran = setup.run("audit", &["export", "--admin", &address.to_string()]);
    server.join().unwrap();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "{}\n\n"));
    assert!(
        ran.stderr.contains("the connection to the admin listener"),
        "{}",
        ran.stderr
    );
}
