//! Bodies made to cost much, and schemas that make it easy.

use std::time::Instant;

use super::{config, echo, post, refusal};
use crate::harness::{Setup, Weir, curl_fed};

#[test]
fn deep_and_wide_bodies_cost_little() {
    let server = echo();
    let tree = "{ $ref: '#/$defs/n', $defs: { n: { anyOf: [ \
        { items: { $ref: '#/$defs/n' }, type: array, minItems: 1 }, \
        { items: { $ref: '#/$defs/n' }, type: array, maxItems: 9 }, { type: string } ] } } }";
    let weir = Weir::start(&config(
        &server,
        &format!("{{ schema: {tree}, body_bytes: 16MiB }}"),
    ));
    let json = [
        "-H",
        "content-type: application/json",
        "--data-binary",
        "@-",
    ];
    let feed = |body: &[u8]| {
        let url = weir.url("/");
        let mut arguments = json.to_vec();
        arguments.push(&url);
        let started = Instant::now();
        let answer = curl_fed(&arguments, body).answer();
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
        refusal(&answer)
    };
    let (status, _, errors) = feed(&vec![b'['; 100_000]);
    assert_eq!(status, 400);
    assert!(errors[0].2.contains("recursion"), "{errors:?}");
    let deep = [vec![b'['; 127], vec![b'1'], vec![b']'; 127]].concat();
    assert_eq!(feed(&deep).0, 400);
    let wide = format!("[{}1]", "1,".repeat(5 << 20));
    let (status, _, errors) = feed(wide.as_bytes());
    assert_eq!((status, errors.len()), (400, 1), "{errors:?}");
    // 16 of them at once stay within the worker's share.
    let wide = format!("[\"{}\"", "x".repeat(12 << 20));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let status = feed(wide.as_bytes()).0;
                assert!([400, 503].contains(&status), "{status}");
            });
        }
    });
    let resident = weir.memory();
    assert!(resident < 600 << 10, "{} MiB", resident >> 10);
    assert_eq!(post(&weir, "/", "\"still here\"", &[]).status(), 201);
}

#[test]
fn catastrophic_patterns_take_no_time() {
    let server = echo();
    let schema = "{ schema: { items: { pattern: '^(([a-z])+.)+[A-Z]([a-z])+$' } } }";
    let weir = Weir::start(&config(&server, schema));
    let body = format!("[\"{}\"]", "a".repeat(500_000));
    let url = weir.url("/");
    let started = Instant::now();
    let answer = curl_fed(
        &[
            "-H",
            "content-type: application/json",
            "--data-binary",
            "@-",
            &url,
        ],
        body.as_bytes(),
    );
    assert_eq!(refusal(&answer.answer()).0, 400);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn documents_from_elsewhere_are_refused() {
    let check = |schema: &str| {
        let setup = Setup::new();
        setup.write(
            "circle.json",
            r##"{"a": {"$ref": "circle.json#/b"}, "b": {"$ref": "#/a"}}"##,
        );
        let server = echo();
        setup.write(
            "weir.yaml",
            setup.complete(&config(&server, &format!("{{ schema: {schema} }}"))),
        );
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["check", "--color", "never", "-c"])
            .arg(setup.path("weir.yaml"))
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (schema, told) in [
        ("{ $ref: 'http://127.0.0.1:1/a.json' }", "remote reference"),
        ("{ items: { $ref: 'file:///etc/passwd' } }", "#/items/$ref"),
        (
            "{ $ref: ../../../../etc/passwd }",
            "leaves the configuration's directory",
        ),
        ("{ $ref: absent.json }", "there is no such file"),
        (
            "{ $schema: 'https://example.com/own', type: string }",
            "example.com/own",
        ),
        ("{ pattern: '(?<=a)b' }", "linear time"),
        ("{ pattern: '(a{1,500}){1,500}' }", "pattern"),
        ("'file:/dev/zero'", "regular file"),
    ] {
        let (is_good, said) = check(schema);
        assert!(
            !is_good && said.contains("WR0320") && said.contains(told),
            "{schema}: {said}"
        );
    }
    let (is_good, said) = check("{ $ref: 'circle.json#/a' }");
    assert!(is_good, "{said}");
}
