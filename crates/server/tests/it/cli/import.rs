//! `weir import`.

use super::Workspace;

const DOCUMENT: &str = r##"
openapi: 3.1.0
info: { title: "Orders\n#", version: "1" }
servers:
  - { url: "https://{region}.example.com/v1", variables: { region: { default: eu } } }
  - { url: https://test.example.com }
x-owner: team
security: [{ key: [] }, { oauth: [a] }]
webhooks: { paid: { post: {} } }
paths:
  x-internal: {}
  /orders/{order-id}:
    $ref: parts.yaml#/order
  /orders/{order_id}/{ID}.json: { get: {} }
  /files/{name}:
    servers: [{ url: "http://files.example.com:8080/v1" }]
    put:
      callbacks: { done: {} }
      servers: [{ url: https://other.example.com }]
  /empty: { summary: nothing }
"##;

fn workspace(document: &str) -> Workspace {
    let workspace = Workspace::good();
    workspace.write("api.yaml", document);
    workspace.write("parts.yaml", "order: { get: { x-cost: 3 }, delete: {} }\n");
    workspace
}

#[test]
fn what_is_lost_is_listed_and_nothing_is_written() {
    let workspace = workspace(DOCUMENT);
    let ran = workspace.run(&["import", "openapi", "api.yaml", "--output", "new.yaml"]);
    insta::assert_snapshot!("import-losses", ran.transcript());
    assert!(!workspace.directory.join("new.yaml").exists());
    let help = workspace.run(&["help", "import", "openapi"]);
    insta::assert_snapshot!("help-import-openapi", help.transcript());
}

#[test]
fn what_is_written_passes_the_check() {
    let workspace = workspace(DOCUMENT);
    let ran = workspace.run(&["import", "openapi", "api.yaml", "--allow-losses"]);
    assert_eq!(ran.code, Some(0), "{}", ran.transcript());
    insta::assert_snapshot!("import-configuration", ran.stdout);
    for more in [&[][..], &["--upstream", "http://127.0.0.1:9001"]] {
        let mut arguments = vec![
            "import",
            "openapi",
            "api.yaml",
            "--allow-losses",
            "-o",
            "new.yaml",
        ];
        arguments.extend(more);
        assert_eq!(workspace.run(&arguments).code, Some(0));
        let check = workspace.run(&["check", "new.yaml"]);
        assert_eq!(check.code, Some(0), "{}", check.transcript());
    }
}

#[test]
fn a_document_without_losses_needs_no_word() {
    let plain = "openapi: 3.0.0\npaths: { /a: { get: {} } }\n";
    let workspace = workspace(plain);
    let refused = workspace.run(&["import", "openapi", "api.yaml"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--upstream"), "{}", refused.stderr);
    let ran = workspace.run(&[
        "import",
        "openapi",
        "api.yaml",
        "--upstream",
        "https://a.example.com",
    ]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let json = workspace.run(&[
        "import",
        "openapi",
        "api.yaml",
        "--upstream",
        "http://a",
        "--json",
    ]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["losses"], serde_json::json!([]));
}

#[test]
fn documents_that_are_none_are_refused_with_the_reason() {
    for (document, reason) in [
        ("swagger: '2.0'\n", "3.0 or 3.1"),
        ("openapi: 3.0.0\npaths: [1]\n", "expected an object"),
        (
            "openapi: 3.0.0\npaths: { /a: { $ref: 'https://example.com/a' } }\n",
            "remote reference",
        ),
        (
            "openapi: 3.0.0\npaths: { /a: { $ref: '#/paths/~1a' } }\n",
            "circle",
        ),
        ("a: [", "YAML"),
        ("", "empty"),
    ] {
        let ran =
            workspace(document).run(&["import", "openapi", "api.yaml", "--upstream", "http://a"]);
        assert_eq!(ran.code, Some(1), "{document}");
        assert!(ran.stderr.contains(reason), "{document}: {}", ran.stderr);
    }
    // Without what it cannot be, it is routes still.
    let lookaround = "openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ name: x, in: query, schema: { pattern: '(?=a)' } }] } } }\n";
    let workspace = workspace(lookaround);
    let ran = workspace.run(&[
        "import",
        "openapi",
        "api.yaml",
        "--upstream",
        "http://a",
        "--allow-losses",
    ]);
    assert!(ran.stderr.contains("schema/pattern"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("validate"), "{}", ran.stdout);
}
