//! A browser has the last word on CORS.

use std::net::TcpListener;
use std::process::Command;

use crate::harness::{Setup, Upstream, answer, tool};

/// Asks and writes what the script got to see.
const PAGE: &str = r#"<!doctype html><title>CORS</title><pre id="seen"></pre><script>
const ask = async (name, path, options) => {
  let seen;
  try {
    const answer = await fetch(API + path, options);
    seen = `${answer.status} ${answer.headers.get("x-total")} ${answer.headers.get("x-secret")}`;
  } catch (error) { seen = "blocked"; }
  return `${name}: ${seen}`;
};
const put = { method: "PUT", headers: { "x-key": "1" }, credentials: "include" };
Promise.all([
  ask("simple", "/items"),
  ask("preflight", "/items", put),
  ask("method", "/items", { ...put, method: "DELETE" }),
  ask("header", "/items", { ...put, headers: { "x-other": "1" } }),
  ask("error", "/broken/items", put),
]).then((lines) => { document.getElementById("seen").textContent = lines.sort().join("\n"); });
</script>"#;

/// What a page sees of a Weir that lets these origins in; `PAGE` stands for the page's own.
fn seen(origins: &str) -> String {
    // An upstream whose own fields would let every page read everything.
    let upstream = Upstream::answering(|_| {
        let fields = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "*"),
            ("X-Total", "3"),
            ("X-Secret", "4"),
        ];
        answer(200, &fields, "ok")
    });
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = Setup::new();
    let page = PAGE.replace("API", &format!("\"http://{}\"", setup.http));
    let site = Upstream::answering(move |_| answer(200, &[("Content-Type", "text/html")], &page));
    let origin = format!("http://localhost:{}", site.address.port());
    let policy = format!(
        "{{ cors: {{ origins: '{}', methods: [GET, PUT], headers: x-key, expose: [x-total], \
         credentials: true }} }}",
        origins.replace("PAGE", &origin)
    );
    let _weir = setup.start(&format!(
        "upstreams: {{ up: {{ targets: [{}] }}, gone: {{ targets: [{gone}] }} }}\n\
         policies: {{ site: {policy} }}\n\
         routes:\n\
         - {{ name: all, policies: [site], upstream: up }}\n\
         - {{ name: broken, match: {{ path: /broken/* }}, policies: [site], upstream: gone }}\n",
        upstream.address
    ));
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(tool("chromium"))
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--disable-extensions",
            "--no-proxy-server",
        ])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{origin}/"))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = dom
        .split_once("id=\"seen\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    seen.unwrap_or_else(|| panic!("{dom}{complaint}"))
        .0
        .to_owned()
}

#[test]
fn a_page_reads_what_the_policy_lets_it_read_and_nothing_else() {
    assert_eq!(
        seen("PAGE"),
        "error: 502 null null\nheader: blocked\nmethod: blocked\npreflight: 200 3 null\nsimple: 200 3 null"
    );
    assert_eq!(
        seen("http://*.localhost"),
        "error: blocked\nheader: blocked\nmethod: blocked\npreflight: blocked\nsimple: blocked"
    );
}
