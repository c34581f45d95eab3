use super::{BASE, Folder, codes_of, loaded, options, refused};
use crate::{Severity, load_text};

const ARCHITECTURE: &str = "\
workers: 1
admin: { address: 127.0.0.1:9900 }
data: /var/lib/weir

listeners:
  - { address: 0.0.0.0:8080 }

upstreams:
  catalog:
    targets: [127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 3, zone: eu-1 }]
    balance: least_request
    health:
      active: { path: /healthz, interval: 2s, unhealthy_after: 3, healthy_after: 2 }
      passive: { consecutive_failures: 5, eject_for: 30s }
    retry: { attempts: 2, when: [connect, 502, 503], budget: 20% }
    timeouts: { connect: 2s, first_byte: 15s, idle: 60s }

policies:
  customers: { jwt: { issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json } }
  fair-use:  { rate_limit: { algorithm: token_bucket, rate: 100/s, burst: 200, key: subject } }
  minute:    { cache: { default_ttl: 60s } }

routes:
  - name: items
    match: { host: api.example.com, path: /catalog/*, methods: [GET, POST] }
    policies: [customers, fair-use, minute]
    upstream: catalog
";

#[test]
fn what_cannot_be_enforced_is_refused_and_nothing_else() {
    let folder = Folder::new();
    let report = load_text(ARCHITECTURE, "weir.yaml", folder.path(), &options()).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0401"; 2]);
    let lines: Vec<_> = report
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.line)
        .collect();
    assert_eq!(lines, [20, 21]);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = "\
workers: many
lissteners: []
upstreams:
  a: {targets: ['a:99999', 'http://b', 5], retry: {when: [conect]}, pool: [], timeouts: {connect: 1}}
  b: {balance: random}
policies:
  p: {headers: {request: {set: {'b d': x, x-a: '{nope}'}}}}
  q: {}
routes:
- {name: r, match: {path: no, methods: [get], host: []}, upstream: c, policies: [pp]}
- {name: r, rewrite: {prefix: x}, redirect: {to: /, status: 200}}
- 5
limits: {headers: 0}
";
    let expected = [
        "WR0102", // listeners
        "WR0107", "WR0103", // workers, lissteners
        "WR0109", "WR0109", "WR0109", "WR0114", "WR0101", "WR0105", // upstream a
        "WR0206", "WR0114", // upstream b
        "WR0112", "WR0117", // policy p
        "WR0206", // policy q
        "WR0116", "WR0111", "WR0119", "WR0201", "WR0202", // the first route
        "WR0203", "WR0205", "WR0116", "WR0114", // the second route
        "WR0101", "WR0107",
    ];
    let report = refused(text);
    let mut codes = codes_of(&report);
    let mut expected = expected.to_vec();
    codes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(codes, expected, "{report}");
    assert!(
        report
            .diagnostics
            .iter()
            .all(|diagnostic| diagnostic.severity == Severity::Error)
    );
}

#[test]
fn places_are_exact() {
    let text = format!(
        "{BASE}routes:\n  - name: items\n    match: {{ path: \"/a/{{id}}/*\" }}\n    upstream: catalogue\nupstreams: {{catalog: {{targets: ['a:80', 'b:x']}}}}\n"
    );
    let report = refused(&text);
    let places: Vec<_> = report
        .diagnostics
        .iter()
        .map(|one| {
            (
                one.code,
                one.line,
                one.column,
                one.length,
                one.path.as_str(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("WR0201", 5, 15, 9, "routes[0].upstream"),
            ("WR0109", 6, 44, 1, "upstreams.catalog.targets[1]"),
        ]
    );
    assert_eq!(
        report.diagnostics[0].help.as_deref(),
        Some("did you mean `catalog`?")
    );
}

#[test]
fn identical_matches_are_found_however_they_are_written() {
    let text = |first: &str, second: &str| {
        format!(
            "{BASE}upstreams: {{a: {{targets: ['a:1']}}}}\nroutes:\n- {{name: x, match: {first}, \
             upstream: a}}\n- {{name: y, match: {second}, upstream: a}}\n"
        )
    };
    for (first, second) in [
        ("{}", "{path: /*}"),
        ("{path: '/a/{x}'}", "{path: ['/a/{y}']}"),
        ("{methods: [GET, HEAD]}", "{methods: [HEAD, GET]}"),
        ("{host: A.example}", "{host: a.example}"),
        (
            "{headers: {x-a: '1', x-b: '2'}}",
            "{headers: {X-B: {exact: '2'}, x-a: 1}}",
        ),
    ] {
        assert_eq!(
            codes_of(&refused(&text(first, second))),
            ["WR0208"],
            "{first} {second}"
        );
    }
    for (first, second) in [
        ("{path: /a}", "{path: /b}"),
        ("{path: '/a/{x}'}", "{path: '/a/{x}/b'}"),
        ("{path: /a}", "{path: /a, query: {a: ''}}"),
        ("{headers: {x-a: '1'}}", "{headers: {x-a: {prefix: '1'}}}"),
        ("{host: a.example}", "{host: '*.a.example'}"),
    ] {
        loaded(&text(first, second));
    }
}

#[test]
fn captures_are_checked_in_every_place_that_has_templates() {
    let text = format!(
        "{BASE}upstreams: {{a: {{targets: ['a:1']}}}}\n\
         policies: {{p: {{headers: {{response: {{set: {{x-id: '{{path.id}}'}}}}}}}}}}\n\
         routes:\n\
         - {{name: a, match: {{path: ['/a/{{id}}', /b]}}, upstream: a, policies: [p]}}\n\
         - {{name: b, match: {{path: '/c/{{id}}'}}, upstream: a, policies: [p], headers: \
           {{request: {{add: {{x-t: ['{{path.*}}']}}}}}}}}\n\
         - {{name: c, redirect: {{to: '/{{path.x}}'}}}}\n\
         - {{name: d, match: {{path: '/d/{{x}}'}}, upstream: a, rewrite: {{path: '/{{path.y}}'}}}}\n"
    );
    let report = refused(&text);
    assert_eq!(codes_of(&report), ["WR0207"; 4], "{report}");
    let lines: Vec<_> = report
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.line)
        .collect();
    assert_eq!(lines, [5, 6, 7, 8]);
}

#[test]
fn unused_declarations_are_not_reported_beside_the_slip_that_made_them_unused() {
    let text = format!(
        "{BASE}upstreams: {{catalog: {{targets: ['a:1']}}}}\nroutes: [{{name: a, upstream: catalgo}}]\n"
    );
    assert_eq!(codes_of(&refused(&text)), ["WR0201"]);
}

#[test]
fn words_that_yaml_1_1_reads_as_booleans_get_help() {
    let report =
        refused("listeners: [{address: 127.0.0.1:1, http2: on, proxy_protocol: 'true'}]\n");
    let help: Vec<_> = report
        .diagnostics
        .iter()
        .map(|one| one.help.clone().unwrap())
        .collect();
    assert_eq!(
        help,
        [
            "write `true`; in YAML 1.2 `on` is text",
            "write `true` without quotes"
        ]
    );
}

#[test]
fn the_admin_listener_shares_no_address() {
    let text = "listeners: [{address: 127.0.0.1:9900}]\n";
    assert_eq!(codes_of(&refused(text)), ["WR0204"]);
    loaded(
        "listeners: [{address: 127.0.0.1:0}, {address: 127.0.0.1:0}]\nadmin: {address: 127.0.0.1:0}\n",
    );
}

#[test]
fn a_report_lists_no_more_than_can_be_read_but_always_an_error() {
    let names: String = (0..3000)
        .map(|index| format!("  u{index}: {{targets: ['a:1']}}\n"))
        .collect();
    let text = format!("{BASE}upstreams:\n{names}zzz: 1\n");
    let report = refused(&text);
    assert_eq!(report.diagnostics.len(), 1000);
    assert_eq!(report.omitted, 2001);
    assert_eq!(report.count(Severity::Error), 1);
    assert_eq!(report.to_json()["omitted"], 2001);
}

#[test]
fn a_byte_order_mark_does_not_shift_places() {
    let report = load_text(
        "\u{feff}lissteners: []\n",
        "weir.yaml",
        "".as_ref(),
        &options(),
    )
    .unwrap_err();
    assert_eq!(report.diagnostics[1].column, 1);
}

#[test]
fn an_empty_file_lacks_listeners() {
    for text in ["", "# nothing\n", "{}"] {
        let report = refused(text);
        assert_eq!(codes_of(&report), ["WR0102"]);
        assert_eq!(report.diagnostics[0].line, 0);
    }
    assert_eq!(codes_of(&refused("just text")), ["WR0101"]);
    assert_eq!(codes_of(&refused("- a list")), ["WR0101"]);
}

#[test]
fn json_is_yaml() {
    loaded(
        "{\"listeners\": [{\"address\": \"127.0.0.1:8080\", \"http2\": false}], \"workers\": 2}",
    );
}

#[test]
fn a_mistake_is_not_reported_again_by_what_depends_on_it() {
    const TWO: &str = "upstreams: {a: {targets: ['a:1']}, b: {targets: ['b:1']}}\n";
    let one = |settings: &str| {
        format!(
            "upstreams: {{a: {{targets: ['a:1'], {settings}}}}}\nroutes: [{{name: r, upstream: a}}]\n"
        )
    };
    let two = |route: &str| format!("{TWO}routes: [{{name: r, {route}}}]\n");
    let pin = "pin: [{header: x, upstream: b}]";
    let cases: [(String, &[&str]); 9] = [
        (one("retry: {budget: 20x}, hedge: {after: 1s}"), &["WR0108"]),
        (
            format!("zone: ''\n{}", one("zones: {prefer_own: true}")),
            &["WR0121"],
        ),
        (
            format!("zone: env:NOPE\n{}", one("zones: {prefer_own: true}")),
            &["WR0302"],
        ),
        (
            two(&format!("split: {{upstreams: [a, b], {pin}}}")),
            &["WR0101"],
        ),
        (
            two(&format!("split: {{upstrems: {{a: 1, b: 1}}, {pin}}}")),
            &["WR0102", "WR0103"],
        ),
        (
            two("upstream: a, mirror: {upstrem: b}"),
            &["WR0102", "WR0103"],
        ),
        (two("upstream: a, miror: {upstream: b}"), &["WR0103"]),
        (
            format!("{TWO}rotes: [{{name: r, upstream: a}}]\n"),
            &["WR0103"],
        ),
        (
            format!(
                "policies: {{p: {{}}}}\n{}",
                two("upstream: a, polices: [p], mirror: {upstream: b}")
            ),
            &["WR0206", "WR0103"],
        ),
    ];
    for (text, expected) in cases {
        let report = refused(&format!("{BASE}{text}"));
        assert_eq!(codes_of(&report), expected, "{text}{report}");
    }
}
