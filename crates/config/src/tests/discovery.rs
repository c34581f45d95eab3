//! Where servers are found: what it means, its mistakes, its secrets.

use std::path::Path;
use std::time::Duration;

use super::{BASE, Folder, codes_of, options, variables};
use crate::model::{Discovery, DiscoverySource, DnsRecord, DnsSource};
use crate::{LoadOptions, Loaded, Report, load_text};

const CANARY: &str = "canary-7f3a";

fn load(discovery: &str) -> Result<Loaded, Report> {
    let text = format!(
        "{BASE}upstreams: {{a: {{discovery: {discovery}}}}}\nroutes: [{{name: a, upstream: a}}]\n"
    );
    let options = LoadOptions {
        variables: variables(&[("TOKEN", CANARY), ("BROKEN", "canary-7f3a b")]),
        ..options()
    };
    load_text(&text, "weir.yaml", Folder::new().path(), &options)
}

#[track_caller]
fn discovered(discovery: &str) -> Discovery {
    let mut loaded = load(discovery).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    let upstream = loaded.config.upstreams.remove(0);
    assert_eq!(upstream.targets, []);
    upstream.discovery.unwrap()
}

#[track_caller]
fn refused(discovery: &str) -> Vec<&'static str> {
    codes_of(&load(discovery).map(|_| ()).unwrap_err())
}

#[test]
fn dns_means_what_it_says() {
    let discovery = discovered("{dns: {name: Catalog.Example.com, port: 8080}}");
    assert!(discovery.networks.is_empty());
    assert_eq!(discovery.most_targets, 1000);
    let DiscoverySource::Dns(dns) = discovery.source else {
        panic!()
    };
    let expected = DnsSource {
        name: "catalog.example.com".into(),
        record: DnsRecord::Addresses { port: 8080 },
        servers: vec![],
        least_ttl: Duration::from_secs(1),
        most_ttl: Duration::from_secs(300),
    };
    assert_eq!(dns, expected);

    let discovery = discovered(
        "{dns: {name: _http._tcp.a.internal., record: srv, servers: ['[::1]:53', 127.0.0.1:5353], \
         min_ttl: 5s, max_ttl: 5s}, networks: [10.0.0.0/8, 192.0.2.7], max_targets: 5}",
    );
    let networks: Vec<_> = discovery.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(discovery.most_targets, 5);
    let DiscoverySource::Dns(dns) = discovery.source else {
        panic!()
    };
    assert_eq!(dns.name, "_http._tcp.a.internal.");
    assert_eq!(dns.record, DnsRecord::Service);
    assert_eq!(dns.servers[1].port(), 5353);
}

#[test]
fn mistakes_about_dns_are_reported() {
    assert_eq!(refused("{dns: {}}"), ["WR0102", "WR0102"]);
    assert_eq!(refused("{dns: {name: a.b}}"), ["WR0102"]);
    assert_eq!(
        refused("{dns: {name: a.b, record: srv, port: 1}}"),
        ["WR0205"]
    );
    assert_eq!(refused("{dns: {name: 10.0.0.1, port: 1}}"), ["WR0115"]);
    assert_eq!(refused("{dns: {name: 'a.b:53', port: 1}}"), ["WR0115"]);
    assert_eq!(refused("{dns: {name: a.b, port: 65536}}"), ["WR0107"]);
    for server in ["127.0.0.1", "127.0.0.1:0", "dns.internal:53", "'::1'"] {
        let codes = refused(&format!(
            "{{dns: {{name: a.b, port: 1, servers: [{server}]}}}}"
        ));
        assert_eq!(codes, ["WR0109"], "{server}");
    }
    assert_eq!(
        refused("{dns: {name: a.b, port: 1, min_ttl: 10m}}"),
        ["WR0105"]
    );
    assert_eq!(
        refused("{dns: {name: a.b, port: 1, max_ttl: 0s}}"),
        ["WR0105"]
    );
}

#[test]
fn a_file_of_servers_is_none_of_the_configuration_s_files() {
    for discovery in ["{file: targets.yaml}", "{file: {path: targets.yaml}}"] {
        let loaded = load(discovery).unwrap();
        assert_eq!(loaded.files, Vec::<std::path::PathBuf>::new());
        assert_eq!(loaded.warnings, []);
        let discovery = loaded.config.upstreams[0].discovery.as_ref().unwrap();
        let DiscoverySource::File { path } = &discovery.source else {
            panic!()
        };
        assert!(path.is_absolute() && path.ends_with("targets.yaml"));
    }
    let loaded = load("{file: /nowhere/targets.yaml}").unwrap();
    assert_eq!(loaded.warnings[0].code, "WR0310");
    let DiscoverySource::File { path } = &loaded.config.upstreams[0]
        .discovery
        .as_ref()
        .unwrap()
        .source
    else {
        panic!()
    };
    assert_eq!(path, Path::new("/nowhere/targets.yaml"));

    for wrong in ["'file:targets.yaml'", "' a'", "a/", "\"a\\0b\"", "''"] {
        assert_eq!(
            refused(&format!("{{file: {wrong}}}")),
            ["WR0121"],
            "{wrong}"
        );
    }
    assert_eq!(refused("{file: []}"), ["WR0101"]);
    assert_eq!(refused("{file: {}}"), ["WR0102"]);
}

#[test]
fn registries_mean_what_they_say() {
    let discovery = discovered("{consul: {service: catalog}}");
    let DiscoverySource::Consul(consul) = discovery.source else {
        panic!()
    };
    assert_eq!(consul.address, "http://127.0.0.1:8500");
    assert!(consul.token.is_none() && consul.authorities.is_none() && consul.tag.is_none());

    let discovery = discovered(
        "{consul: {address: 'https://Consul.internal/', service: catalog, tag: blue, datacenter: eu, \
         token: env:TOKEN, authorities: file:authorities.pem}}",
    );
    let DiscoverySource::Consul(consul) = discovery.source else {
        panic!()
    };
    assert_eq!(consul.address, "https://consul.internal:443");
    assert_eq!(consul.token.as_ref().unwrap().expose(), CANARY);
    assert_eq!(consul.datacenter.as_deref(), Some("eu"));
    assert!(consul.authorities.is_some());
    assert!(!format!("{consul:?}").contains(CANARY));

    let discovery = discovered("{kubernetes: {service: catalog}}");
    let DiscoverySource::Kubernetes(kubernetes) = discovery.source else {
        panic!()
    };
    assert!(kubernetes.api.is_none() && kubernetes.namespace.is_none());
    assert!(kubernetes.token.is_none() && kubernetes.port.is_none());
    let discovery = discovered(
        "{kubernetes: {service: catalog, namespace: shop, port: 8080, api: 'http://[::1]:8001', \
         token: tls.key}}",
    );
    let DiscoverySource::Kubernetes(kubernetes) = discovery.source else {
        panic!()
    };
    assert_eq!(kubernetes.api.as_deref(), Some("http://[::1]:8001"));
    assert_eq!(kubernetes.port.as_deref(), Some("8080"));
    assert!(kubernetes.token.unwrap().ends_with("tls.key"));
}

#[test]
fn mistakes_about_registries_are_reported() {
    assert_eq!(refused("{consul: {}}"), ["WR0102"]);
    for address in [
        "consul.internal:8500",
        "ftp://a:1",
        "http://",
        "http://a:0",
        "http://a:99999",
        "http://a/v1",
        "HTTP://a:1",
        "'http://a b'",
        "'http://[::1'",
        "'http://::1:80'",
        "http://127.1:80",
    ] {
        let codes = refused(&format!("{{consul: {{service: a, address: {address}}}}}"));
        assert_eq!(codes, ["WR0109"], "{address}");
    }
    for name in ["Catalog", "a/b", "a.b", "-a", "'..'", "''", "'a?b'"] {
        let codes = refused(&format!("{{kubernetes: {{service: {name}}}}}"));
        assert_eq!(codes, ["WR0118"], "{name}");
    }
    let api = |api: &str| format!("{{kubernetes: {{service: a, api: '{api}'}}}}");
    assert_eq!(refused(&api("http://10.0.0.1:6443")), ["WR0109"]);
    assert!(load(&api("http://localhost:8001")).is_ok());

    let text = "{consul: {service: a, authorities: file:authorities.pem}}";
    assert_eq!(load(text).unwrap().warnings[0].code, "WR0510");
    let text = "{kubernetes: {service: a, token: /nowhere/token}}";
    assert_eq!(load(text).unwrap().warnings[0].code, "WR0310");
}

#[test]
fn registration_means_what_it_says() {
    let DiscoverySource::Registration { expiry, token } = discovered("{registration: {}}").source
    else {
        panic!()
    };
    assert_eq!((expiry, token.is_none()), (Duration::from_secs(30), true));
    let text = "{registration: {expiry: 5s, token: env:TOKEN}}";
    let discovery = discovered(text);
    assert!(!format!("{discovery:?}").contains(CANARY));
    let DiscoverySource::Registration { expiry, token } = discovery.source else {
        panic!()
    };
    assert_eq!(expiry, Duration::from_secs(5));
    assert_eq!(token.unwrap().expose(), CANARY);
}

#[test]
fn there_is_exactly_one_source() {
    assert_eq!(refused("{}"), ["WR0206"]);
    assert_eq!(refused("{networks: [10.0.0.0/8]}"), ["WR0206"]);
    assert_eq!(
        refused("{registration: {}, file: targets.yaml}"),
        ["WR0205"]
    );
    assert_eq!(refused("{etcd: {}}"), ["WR0103"]);
    assert_eq!(refused("{registration: }"), ["WR0104"]);
    assert_eq!(
        refused("{registration: {}, networks: [10.0.0.0/33]}"),
        ["WR0110"]
    );
    assert_eq!(refused("{registration: {}, max_targets: 0}"), ["WR0107"]);
}

#[test]
fn tokens_are_references_and_never_shown() {
    for (discovery, code) in [
        (
            format!("{{consul: {{service: a, token: {CANARY}}}}}"),
            "WR0301",
        ),
        (format!("{{registration: {{token: '{CANARY}'}}}}"), "WR0301"),
        ("{registration: {token: env:BROKEN}}".into(), "WR0304"),
        ("{registration: {token: env:NOWHERE}}".into(), "WR0302"),
        (
            format!("{{consul: {{service: a, address: 'http://me:{CANARY}@a:1'}}}}"),
            "WR0109",
        ),
    ] {
        let report = load(&discovery).map(|_| ()).unwrap_err();
        assert_eq!(codes_of(&report), [code], "{discovery}");
        let shown = format!("{report} {report:?} {}", report.to_json());
        assert!(!shown.contains(CANARY), "{shown}");
    }
}
