use super::{options, refused};
use crate::{LoadOptions, load_text};

#[test]
fn many_mistakes() {
    let text = "\
# A configuration with many different mistakes.
workers: two
admin: { adress: 0.0.0.0:9900 }
listeners:
  - address: localhost:8080
    tls: { certificate: tls.crt, key: env:TLS_KEY }
    http2: yes
upstreams:
  catalog:
    targets: [127.0.0.1:9001, http://127.0.0.1:9002]
    balance: least-request
    health: { active: { path: healthz, interval: 1s, timeout: 5s } }
    timeouts: { connect: 2, first_byte: 15sec }
policies:
  customers: { jwt: { issuer: https://issuer.test } }
  tracing: { headers: { request: { set: { x-user: \"{path.user}\", connection: close } } } }
routes:
  - name: items
    match: { path: /catalog/*, methods: [get] }
    policies: [custommers, tracing]
    upstream: catalogue
  - name: items
    match: { path: /catalog/* }
    redirect: { to: //evil.example }
    rewrite: { prefix: / }
trusted_proxies: [0.0.0.0/0]
limits:
";
    insta::assert_snapshot!(refused(text).render(false));
}

#[test]
fn mistakes_of_upstreams_and_splits() {
    let text = "\
listeners: [{ address: 127.0.0.1:8080 }]
upstreams:
  catalog:
    targets: [127.0.0.1:9001]
    discovery: { consul: { service: catalog, token: canary-7f3a } }
    hash: { cookie: my session }
    zones: { prefer_own: true }
    health: { active: { path: /healthz, tcp: true, status: [299-200] } }
    hedge: { after: 20s }
  next:
    discovery: { dns: { name: next.internal, record: srv, port: 80, min_ttl: 10m } }
  shadow: { balance: peak-ewma }
routes:
  - name: items
    split:
      upstreams: { catalog: 0, nxt: 0 }
      pin: [{ header: x-canary, upstream: next }, { upstream: catalog }]
      guard: { then: roll_back }
    mirror: { upstream: shadows, share: 150% }
overload: { delay: true, bans: { statuses: [200] } }
";
    insta::assert_snapshot!(refused(text).render(false));
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_in_place() {
    let text = "listeners: [{address: 127.0.0.1:1}]\n\
        log: {\tlevel: laut }\n\
        # 漢字 é\n\
        \"漢字\": 1\n\
        data: \"/é漢\\u0007\"\n";
    insta::assert_snapshot!(refused(text).render(false));
}

#[test]
fn windows_line_ends_are_not_shown() {
    let text = "listeners:\r\n  - address: 127.0.0.1:1\r\n    htp2: true\r\ndrain_timeout: 5\r\n";
    insta::assert_snapshot!(refused(text).render(false));
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let names: Vec<String> = (0..200).map(|index| format!("10.0.0.{index}")).collect();
    let (front, back) = names.split_at(100);
    let text = format!(
        "listeners: [{{address: 127.0.0.1:1}}]\ntrusted_proxies: [{}, 10.0.0.0/99, {}]\n",
        front.join(", "),
        back.join(", "),
    );
    insta::assert_snapshot!(refused(&text).render(false));
}

#[test]
fn syntax_errors_stop_reading() {
    insta::assert_snapshot!(refused("listeners:\n\t- address: 127.0.0.1:1\n").render(false));
}

#[test]
fn colors_are_only_written_when_asked_for() {
    let text = "listeners: [{address: 127.0.0.1:1, htp2: true}]\nadmin: {address: 0.0.0.0:9900}\n";
    let report = refused(text);
    assert!(!report.render(false).contains('\u{1b}'));
    insta::assert_snapshot!(report.render(true).replace('\u{1b}', "ESC"));
}

#[test]
fn machines_read_json() {
    let text = "listeners: [{address: 127.0.0.1:1, htp2: true}]\n";
    insta::assert_snapshot!(format!("{:#}", refused(text).to_json()));
}

#[test]
fn an_unknown_environment_is_about_the_file_as_a_whole() {
    let options = LoadOptions {
        environment: Some("prod".into()),
        ..options()
    };
    let text = "listeners: [{address: 127.0.0.1:1}]\nenvironments: {production: {}}\n";
    let report = load_text(text, "weir.yaml", "".as_ref(), &options).unwrap_err();
    insta::assert_snapshot!(report.render(false));
}

#[test]
fn a_warning_can_be_rendered_alone() {
    let text = "listeners: [{address: 127.0.0.1:1}]\nadmin: {address: 0.0.0.0:9900}\n";
    let loaded = super::loaded(text);
    insta::assert_snapshot!(loaded.warnings[0].render(false));
}
