//! The demo's configuration, and requests that show what it does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration as a person would write it.
pub(super) fn text(traffic: u16, admin: u16, api: SocketAddr, directory: &Path) -> String {
    // A JSON string is a YAML string, whatever the directory's name.
    let quoted = |text: String| serde_json::Value::from(text);
    let data = quoted(directory.join("data").display().to_string());
    let log = quoted(format!("file:{}", log(directory).display()));
    format!(
        "\
# The configuration of `weir demo`. Change it while Weir runs; `weir check` finds mistakes.

admin: {{ address: 127.0.0.1:{admin} }}
data: {data}
log: {{ output: {log}, access: true }}

listeners:
  - address: 127.0.0.1:{traffic}

upstreams:
  catalog:
    targets: [{api}]
  impatient:                       # the same service, but an answer must begin within 500 ms
    targets: [{api}]
    retry: {{ attempts: 0 }}
    timeouts: {{ first_byte: 500ms }}

policies:
  identify:
    headers:
      request: {{ set: {{ x-route: \"{{route.name}}\" }} }}
      response: {{ set: {{ x-served-by: weir }} }}

routes:
  - name: items
    match: {{ path: [/items, \"/items/{{id}}\"], methods: [GET, POST] }}
    policies: [identify]
    upstream: catalog

  - name: echo                     # answers with what the service received
    match: {{ path: [/echo, /echo/*] }}
    policies: [identify]
    upstream: catalog

  - name: stream                   # events, passed on as they come
    match: {{ path: /stream }}
    upstream: catalog

  - name: slow                     # takes two seconds
    match: {{ path: /slow }}
    upstream: catalog

  - name: impatient                # the same, cut off by the upstream's deadline
    match: {{ path: /impatient }}
    rewrite: {{ prefix: /slow }}
    upstream: impatient

  - name: shop                     # moved
    match: {{ path: /shop/* }}
    redirect: {{ to: \"/items/{{path.*}}\", status: 308 }}
"
    )
}

/// Where the demo logs: the terminal is for the guide.
pub(super) fn log(directory: &Path) -> PathBuf {
    directory.join("weir.log")
}

/// What to try, and the command for it.
pub(super) fn attempts(
    traffic: SocketAddr,
    admin: SocketAddr,
    config: &Path,
) -> Vec<(&'static str, String)> {
    let config = shell_word(&config.display().to_string());
    // As it was called this time: it need not be where the shell looks.
    let weir = shell_word(&std::env::args().next().unwrap_or_else(|| "weir".to_owned()));
    vec![
        (
            "items of the catalogue",
            format!("curl http://{traffic}/items"),
        ),
        (
            "add one",
            format!(
                "curl -i http://{traffic}/items -H 'content-type: application/json' \
                 -d '{{\"name\": \"lantern\", \"price\": 2400}}'"
            ),
        ),
        (
            "what the service gets: forwarding headers, request id, and what the policy sets",
            format!("curl -i http://{traffic}/echo"),
        ),
        (
            "events, as they come",
            format!("curl -N http://{traffic}/stream"),
        ),
        (
            "an upstream that is too slow",
            format!("curl -i http://{traffic}/impatient"),
        ),
        ("metrics", format!("curl http://{admin}/metrics")),
        (
            "which route would take a request, and what would happen to it",
            format!("{weir} match -c {config} GET http://{traffic}/items/2"),
        ),
    ]
}

/// A text as one word of a shell's command line.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_loads_without_a_warning() {
        let api = "127.0.0.1:4000".parse().unwrap();
        for directory in ["/tmp/weir-demo-1", "/tmp/it's \"odd\": {#}"] {
            let directory = Path::new(directory);
            let text = text(8080, 9900, api, directory);
            let options = weir_config::LoadOptions::default();
            let loaded = weir_config::load_text(&text, "weir.yaml", Path::new(""), &options);
            let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
            // The directory is written absolutely, so nothing depends on where this was started.
            assert_eq!(loaded.warnings, []);
            assert_eq!(loaded.config.data, directory.join("data"));
        }
    }

    #[test]
    fn odd_directories_are_quoted() {
        assert_eq!(
            shell_word("/tmp/weir-demo-1/weir.yaml"),
            "/tmp/weir-demo-1/weir.yaml"
        );
        assert_eq!(shell_word("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
