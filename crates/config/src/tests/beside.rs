//! What resources may do beside the file, and what not.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Folder, options, resource, variables};
use crate::model::Reach;
use crate::{Document, LoadOptions, Loaded, Report, Resources, Severity, load_text};

const FILE: &str = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {billing: {targets: ['127.0.0.1:9001']}}
policies:
  sign: {headers: {request: {set: {authorization: env:TOKEN}}}}
  literal: {headers: {request: {add: {x-api-key: a}}}}
  stamp: {headers: {request: {set: {x-a: b}}}}
  shows: {headers: {response: {set: {x-c: '{request.header.authorization}'}}}}
routes: [{name: own, match: {path: /own}, upstream: billing, policies: [sign, literal, stamp, shows]}]
";

fn load(text: &str, documents: Vec<Document>) -> Result<Loaded, Report> {
    let options = LoadOptions {
        resources: Some(Arc::new(Resources::new(1, documents))),
        variables: variables(&[("TOKEN", "t0ken")]),
        ..options()
    };
    load_text(text, "weir.yaml", Folder::new().path(), &options)
}

fn route(rest: &str) -> Document {
    resource(
        "route",
        "a",
        &format!(r#"{{"name": "a", "match": {{"path": "/a"}}, {rest}}}"#),
    )
}

fn foreign() -> Document {
    resource("upstream", "foreign", r#"{"targets": ["127.0.0.1:9002"]}"#)
}

/// The codes and paths of what is wrong.
fn mistakes(loaded: Result<Loaded, Report>) -> Vec<(String, String)> {
    let diagnostics = loaded.err().map(|report| report.diagnostics);
    let diagnostics = diagnostics.into_iter().flatten();
    diagnostics
        .filter(|one| one.severity == Severity::Error)
        .map(|one| (one.code.to_owned(), one.path))
        .collect()
}

#[test]
fn secrets_of_the_file_go_to_upstreams_of_the_file() {
    for (route_text, is_right) in [
        (
            r#""upstream": "billing", "policies": ["sign", "literal", "stamp"]"#,
            true,
        ),
        (r#""upstream": "foreign", "policies": ["stamp"]"#, true),
        (
            r#""upstream": "foreign", "policies": ["stamp", "sign"]"#,
            false,
        ),
        (r#""upstream": "foreign", "policies": ["literal"]"#, false),
        (
            r#""upstream": "billing", "mirror": {"upstream": "foreign"}, "policies": ["sign"]"#,
            false,
        ),
        (
            r#""split": {"upstreams": {"billing": 90, "foreign": 10}}, "policies": ["sign"]"#,
            false,
        ),
        (
            r#""aggregate": {"parts": {"x": {"upstream": "foreign", "path": "/"}}}, "policies": ["sign"]"#,
            false,
        ),
    ] {
        let loaded = load(FILE, vec![route(route_text), foreign()]);
        let found = mistakes(loaded);
        let expected = ("WR0313".to_owned(), "policies".to_owned());
        match is_right {
            true => assert_eq!(found, [], "{route_text}"),
            false => assert_eq!(found, [expected], "{route_text}"),
        }
    }
}

#[test]
fn tokens_about_callers_go_to_upstreams_of_the_file_only() {
    const POLICIES: &str = "
  customers: {jwt: {issuer: https://a.test, audience: a, jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}}}
  who: {identity: {token: {audience: billing}}}";
    let file = FILE.replacen("policies:", &format!("policies:{POLICIES}"), 1);
    let file = file.replace("[sign, literal", "[customers, who, sign, literal");
    for (upstream, is_right) in [("billing", true), ("foreign", false)] {
        let text = format!(r#""upstream": "{upstream}", "policies": ["customers", "who"]"#);
        let found = mistakes(load(&file, vec![route(&text), foreign()]));
        let expected = ("WR0313".to_owned(), "policies".to_owned());
        match is_right {
            true => assert_eq!(found, [], "{upstream}"),
            false => assert_eq!(found, [expected], "{upstream}"),
        }
    }
}

#[test]
fn secrets_of_the_file_are_not_shown_by_routes_of_resources() {
    for (route_text, is_right) in [
        (
            r#""upstream": "billing", "policies": ["sign"], "headers": {"response": {"set": {"x-b": "{request.header.authorization}"}}}"#,
            false,
        ),
        (
            r#""upstream": "billing", "policies": ["literal"], "headers": {"response": {"add": {"x-b": "{request.header.X-Api-Key}"}}}"#,
            false,
        ),
        (
            r#""upstream": "billing", "policies": ["sign", "shows"]"#,
            false,
        ),
        (
            r#""upstream": "billing", "policies": ["stamp", "shows"]"#,
            true,
        ),
        (
            r#""upstream": "billing", "policies": ["sign"], "headers": {"response": {"set": {"x-b": "{request.header.accept}"}}}"#,
            true,
        ),
        (
            r#""upstream": "billing", "policies": ["sign"], "headers": {"request": {"set": {"x-b": "{request.header.authorization}"}}}"#,
            true,
        ),
        (
            r#""upstream": "billing", "policies": ["sign"], "headers": {"request": {"set": {"x-b": "{request.header.authorization}"}}, "response": {"set": {"x-c": "{request.header.x-b}"}}}"#,
            false,
        ),
        (
            r#""upstream": "billing", "policies": ["sign"], "rewrite": {"path": "/{request.header.authorization}"}"#,
            false,
        ),
        (
            r#""upstream": "billing", "policies": ["sign"], "rewrite": {"path": "/{request.header.accept}"}"#,
            true,
        ),
        (
            r#""redirect": {"to": "https://a.test/{request.header.authorization}"}, "policies": ["sign"]"#,
            false,
        ),
    ] {
        let found = mistakes(load(FILE, vec![route(route_text)]));
        assert_eq!(found.is_empty(), is_right, "{route_text}: {found:?}");
        assert!(found.iter().all(|(code, _)| code == "WR0313"), "{found:?}");
    }
}

#[test]
fn secrets_of_the_file_are_sent_with_a_host_that_the_file_sends() {
    let hosts = |own: &str| FILE.replace("{path: /own}, upstream: billing", own);
    let confined = hosts("{path: /own, host: [A.test, '*.b.test']}, upstream: billing");
    let literal = hosts("{path: /own}, upstream: billing, host: billing.internal");
    let target = hosts("{path: /own}, upstream: billing, host: target");
    let without = FILE.replace(
        "policies: [sign, literal, stamp, shows]}]",
        "policies: [literal]}]",
    );
    let aggregate = |host: &str| {
        format!(
            r#""aggregate": {{"parts": {{"x": {{"upstream": "billing", "path": "/"{host}}}}}}}"#
        )
    };
    for (file, route_text, is_right) in [
        (FILE, r#""upstream": "billing""#.to_owned(), true),
        (
            FILE,
            r#""upstream": "billing", "host": "mine.test""#.to_owned(),
            true,
        ),
        (&confined, r#""upstream": "billing""#.to_owned(), false),
        (
            &confined,
            r#""upstream": "billing", "host": "target""#.to_owned(),
            true,
        ),
        (
            &confined,
            r#""upstream": "billing", "host": "mine.test""#.to_owned(),
            false,
        ),
        (
            &confined,
            r#""upstream": "billing", "host": "a.test""#.to_owned(),
            true,
        ),
        (
            &literal,
            r#""upstream": "billing", "host": "mine.test""#.to_owned(),
            false,
        ),
        (
            &literal,
            r#""upstream": "billing", "host": "billing.internal""#.to_owned(),
            true,
        ),
        (&literal, r#""upstream": "billing""#.to_owned(), false),
        (
            &target,
            r#""upstream": "billing", "host": "mine.test""#.to_owned(),
            false,
        ),
        (&target, r#""upstream": "billing""#.to_owned(), false),
        (
            &target,
            r#""upstream": "billing", "host": "target""#.to_owned(),
            true,
        ),
        (&target, aggregate(""), false),
        (&target, aggregate(r#", "host": "mine.test""#), false),
        (&target, aggregate(r#", "host": "target""#), true),
        // That the file sends another secret with it says nothing.
        (
            &without,
            r#""upstream": "billing", "host": "mine.test""#.to_owned(),
            false,
        ),
    ] {
        let text = format!(r#"{route_text}, "policies": ["sign"]"#);
        let found = mistakes(load(file, vec![route(&text)]));
        assert_eq!(found.is_empty(), is_right, "{file}{text}: {found:?}");
        let expected = ("WR0313".to_owned(), "host".to_owned());
        assert!(found.iter().all(|one| *one == expected), "{found:?}");
        // Without a secret nothing is asked.
        let text = format!(r#"{route_text}, "policies": ["stamp"]"#);
        assert_eq!(mistakes(load(file, vec![route(&text)])), [], "{text}");
    }
    // The same by the host that a route matches, which the client says then.
    for (host, is_right) in [("A.test", true), ("*.b.test", true), ("c.test", false)] {
        let document = format!(
            r#"{{"name": "a", "match": {{"path": "/a", "host": "{host}"}}, "upstream": "billing", "policies": ["sign"]}}"#
        );
        let found = mistakes(load(&confined, vec![resource("route", "a", &document)]));
        assert_eq!(found.is_empty(), is_right, "{host}: {found:?}");
    }
}

#[test]
fn it_is_known_whose_secrets_go_where() {
    let secret = r#"{"headers": {"request": {"set": {"authorization": "x"}}}}"#;
    let plain = r#"{"headers": {"request": {"set": {"x-plain": "x"}}}}"#;
    let lendings = |route_text: &str| {
        let documents = vec![
            route(route_text),
            foreign(),
            resource("policy", "secret", secret),
            resource("policy", "plain", plain),
        ];
        let lendings = load(FILE, documents).unwrap().lendings;
        assert!(lendings.len() < 2, "{lendings:?}");
        let names = |names: &std::collections::BTreeSet<crate::ResourceName>| {
            let names: Vec<_> = names.iter().map(|name| name.name.clone()).collect();
            names.join(" ")
        };
        let lending = lendings.first();
        lending.map(|lending| {
            format!(
                "{} through {}",
                names(&lending.lenders),
                names(&lending.through)
            )
        })
    };
    for (text, expected) in [
        (r#""upstream": "foreign""#, None),
        (r#""upstream": "foreign", "policies": ["plain"]"#, None),
        (
            r#""upstream": "billing", "policies": ["sign", "literal"]"#,
            None,
        ),
        (
            r#""upstream": "foreign", "policies": ["plain", "secret"]"#,
            Some("secret through a foreign plain secret"),
        ),
        (
            r#""upstream": "billing", "policies": ["secret"]"#,
            Some("secret through a secret"),
        ),
        (
            r#""upstream": "billing", "mirror": {"upstream": "foreign"}, "policies": ["secret"]"#,
            Some("secret through a foreign secret"),
        ),
        (
            r#""upstream": "foreign", "headers": {"request": {"set": {"cookie": "a=b"}}}"#,
            Some("a through a foreign"),
        ),
    ] {
        assert_eq!(lendings(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn upstreams_of_resources_reach_what_the_file_allows() {
    let upstream = |targets: &str| {
        let document = format!(r#"{{"targets": [{targets}]}}"#);
        vec![resource("upstream", "a", &document)]
    };
    let confined = format!("resources: {{networks: [10.0.0.0/8]}}\n{FILE}");
    let none = format!("resources: {{networks: []}}\n{FILE}");
    for (text, targets, wrong) in [
        (
            FILE,
            r#""10.0.0.1:80", "catalog.test:80", "127.0.0.1:9002""#,
            &[][..],
        ),
        (FILE, r#""127.0.0.1:9900""#, &["targets[0]"]),
        (
            FILE,
            r#""catalog.test:80", {"address": "169.254.169.254:80"}"#,
            &["targets[1]"],
        ),
        (
            FILE,
            r#""[::ffff:169.254.169.254]:80", "[fe80::1]:80""#,
            &["targets[0]", "targets[1]"],
        ),
        (&confined, r#""10.0.0.1:80", "catalog.test:80""#, &[]),
        (
            &confined,
            r#""192.0.2.1:80", "10.0.0.1:80""#,
            &["targets[0]"],
        ),
        (&none, r#""10.0.0.1:80""#, &[""]),
        (&none, r#""catalog.test:80""#, &[""]),
    ] {
        let loaded = load(text, upstream(targets));
        let expected: Vec<_> = wrong
            .iter()
            .map(|path| ("WR0314".to_owned(), (*path).to_owned()))
            .collect();
        if let Ok(loaded) = &loaded {
            let reach = |name: &str| {
                let mut upstreams = loaded.config.upstreams.iter();
                upstreams
                    .find(|one| one.name == name)
                    .unwrap()
                    .reach
                    .clone()
            };
            let metadata = SocketAddr::from(([169, 254, 169, 254], 80));
            assert!(!reach("a").allows(metadata), "whatever a name leads to");
            assert_eq!(reach("billing"), Reach::Anywhere);
        }
        assert_eq!(mistakes(loaded), expected, "{targets}");
    }
}

#[test]
fn resources_do_not_ask_registries() {
    for (discovery, path) in [
        (r#"{"consul": {"service": "a"}}"#, "discovery.consul"),
        (
            r#"{"kubernetes": {"service": "a"}}"#,
            "discovery.kubernetes",
        ),
        (
            r#"{"dns": {"name": "a.test", "port": 80, "servers": ["127.0.0.1:53"]}}"#,
            "discovery.dns.servers[0]",
        ),
    ] {
        let document = format!(r#"{{"discovery": {discovery}}}"#);
        let loaded = load(FILE, vec![resource("upstream", "a", &document)]);
        assert_eq!(mistakes(loaded), [("WR0312".to_owned(), path.to_owned())]);
    }
    let document = r#"{"discovery": {"dns": {"name": "a.test", "port": 80}}}"#;
    assert_eq!(
        mistakes(load(FILE, vec![resource("upstream", "a", document)])),
        []
    );
}

#[test]
fn sessions_go_where_the_file_says_and_nowhere_else() {
    let file = FILE.replace(
        "policies:\n",
        "policies:\n  lends: {session: {forward: true}}\n  takes: {session: {}}\n  either: {any_of: {policies: [takes, lends]}}\n",
    );
    let file = file.replace("policies: [sign,", "policies: [either, takes, sign,");
    let with = |policies: &str| {
        let route = route(&format!(r#""upstream": "foreign", "policies": {policies}"#));
        let own = resource("policy", "own", r#"{"session": {"forward": true}}"#);
        let options = LoadOptions {
            resources: Some(Arc::new(Resources::new(1, vec![foreign(), own, route]))),
            variables: variables(&[("TOKEN", "t0ken")]),
            ..options()
        };
        mistakes(load_text(
            &file,
            "weir.yaml",
            Folder::new().path(),
            &options,
        ))
    };
    assert_eq!(with(r#"["takes"]"#), []);
    for policies in [r#"["lends"]"#, r#"["either"]"#, r#"["own"]"#] {
        let found = with(policies);
        assert!(
            found.iter().any(|(code, _)| code == "WR0314"),
            "{policies}: {found:?}"
        );
    }
}
