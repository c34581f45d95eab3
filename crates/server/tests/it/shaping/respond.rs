//! Answers that are written in the configuration.

use crate::harness::{Message, Setup, Weir, Wire, curl};

const CONFIG: &str = r#"
policies: { smaller: { compress: { minimum: 10 } } }
routes:
- name: down
  match: { path: /down }
  respond: { status: 503, headers: { retry-after: 60 }, body: "Back soon.\n" }
- name: user
  match: { path: "/users/{id}" }
  respond:
    json: { id: 7, name: "Ada", tags: [a, true, null, "1", 1.5], nested: { "quote\"": "line\nbreak" } }
    etag: true
- name: page
  match: { path: /page }
  policies: [smaller]
  respond: { file: page.html, headers: { cache-control: no-store } }
- name: gone
  match: { path: /gone }
  respond: { status: 204 }
"#;

fn start() -> Weir {
    let setup = Setup::new();
    setup.write("page.html", "<h1>Maintenance</h1>\n".repeat(100));
    setup.start(CONFIG)
}

fn get(weir: &Weir, path: &str) -> Message {
    curl(&[&weir.url(path)]).answer()
}

#[test]
fn text_json_and_files_are_answered() {
    let weir = start();
    let down = get(&weir, "/down");
    assert_eq!((down.status(), down.text().as_str()), (503, "Back soon.\n"));
    assert_eq!(down.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(down.get("retry-after"), Some("60"));

    let user = get(&weir, "/users/1");
    assert_eq!(user.get("content-type"), Some("application/json"));
    assert_eq!(
        user.json(),
        serde_json::json!({
            "id": 7, "name": "Ada", "tags": ["a", true, null, "1", 1.5], "nested": { "quote\"": "line\nbreak" }
        })
    );

    let page = get(&weir, "/page");
    assert_eq!(page.get("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.get("cache-control"), Some("no-store"));
    assert_eq!(page.body.len(), 2100);
    let smaller = curl(&["--compressed", &weir.url("/page")]).answer();
    assert!(smaller.get("content-encoding").is_some());
    assert_eq!(smaller.body, page.body);

    let gone = get(&weir, "/gone");
    assert_eq!((gone.status(), gone.body.len()), (204, 0));
    assert_eq!(gone.get("content-length"), None);
    assert_eq!(
        weir.metric("weir_answers_total", &["reason=\"respond\""]),
        5.0
    );
}

#[test]
fn head_and_conditions_are_understood() {
    let weir = start();
    let mut wire = Wire::connect(weir.http());
    let get = wire.response_to("GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = wire.response_to("HEAD /users/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.get("content-length"), get.get("content-length"));
    assert_eq!(head.get("etag"), get.get("etag"));
    let tag = get.get("etag").unwrap();
    for condition in [
        tag.to_owned(),
        format!("\"other\", W/{tag}"),
        "*".to_owned(),
    ] {
        let asked =
            format!("GET /users/1 HTTP/1.1\r\nHost: a\r\nIf-None-Match: {condition}\r\n\r\n");
        let same = wire.response_to(&asked);
        assert_eq!((same.status(), same.get("etag")), (304, Some(tag)));
    }
    let other =
        wire.response_to("GET /users/1 HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n");
    assert_eq!(other.status(), 200);
    // A body that nobody reads does not confuse the connection.
    let posted =
        wire.response_to("POST /down HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(posted.status(), 503);
}

#[test]
fn a_changed_file_is_answered_after_a_reload() {
    let weir = start();
    weir.replace_file("page.html", "new");
    assert_eq!(weir.reload(CONFIG).status(), 200);
    assert_eq!(get(&weir, "/page").text(), "new");
}
