//! From a client's fields to an upstream's: hop-by-hop and forged fields never pass, and no value
//! ends its line.
//!
//! Input: a line for each field, `name: value`; after an empty line, templates for `set`, one a line.
#![no_main]

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Version};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use weir_config::model;
use weir_config::template::Template;
use weir_core::RequestId;
use weir_gateway::Fields;
use weir_gateway::header_rules::{HeaderRules, Side};
use weir_gateway::hop::{self, ForwardingCache, ForwardingInfo};
use weir_gateway::render::RenderContext;
use weir_gateway::router::Captures;

static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut sent = Fields::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            sent.append(name, value);
        }
    }
    let templates: Vec<Template> = lines
        .filter_map(|line| Template::parse(std::str::from_utf8(line).ok()?).ok())
        .collect();
    for trusted in [false, true] {
        check(&sent, &templates, trusted);
    }
});

fn check(sent: &Fields, templates: &[Template], trusted: bool) {
    let peer = IpAddr::from([192, 0, 2, 1]);
    let networks: Vec<IpNet> = if trusted {
        vec![IpNet::from(peer)]
    } else {
        Vec::new()
    };
    let client_address = hop::client_address(sent, peer, &networks);
    assert!(trusted || client_address == peer);
    let mut fields = sent.clone();
    if hop::strip_hop_by_hop(&mut fields).is_err() {
        return;
    }
    let _ = hop::check_via_loop(&fields, 10);
    let info = ForwardingInfo {
        peer,
        trusted,
        scheme: "http",
        host: "a.test:80",
        received_version: Version::HTTP_11,
    };
    hop::rebuild_forwarding(&mut fields, &info, &mut ForwardingCache::default());
    let stated: Vec<_> = fields.get_all(&FOR).collect();
    assert_eq!(stated.len(), 1);
    assert!(stated[0].as_bytes().ends_with(b"192.0.2.1"));
    assert!(trusted || stated[0] == "192.0.2.1");
    let names = [
        "x-one",
        "x-two",
        "x-forwarded-for",
        "x-real-ip",
        "connection",
        "te",
        "content-length",
    ];
    let set: Vec<_> = templates
        .iter()
        .zip(names.iter().cycle())
        .map(|(template, name)| (HeaderName::from_static(name), template.clone()))
        .collect();
    let rules = model::HeaderRules {
        remove: Vec::new(),
        add: set.clone(),
        set,
    };
    let rules = HeaderRules::compile(&rules, Side::Request);
    let captures = Captures::default();
    let context = RenderContext {
        client_address,
        request_id: RequestId::generate(),
        method: &Method::GET,
        scheme: "http",
        host: "a.test",
        path: "/a%0Ab",
        query: Some("a=%0d%0a"),
        fields: sent,
        route_name: "route",
        upstream_name: "upstream",
        captures: captures.named(&[], "/a%0Ab"),
        tls_server_name: None,
        tls_client_subject: Some("CN=a\r\nx: y"),
        tls_client_fingerprint: None,
    };
    rules.render(&context, &mut Vec::new()).apply(&mut fields);
    for (name, value) in fields.iter() {
        let value = value.as_bytes();
        assert!(
            !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{name}"
        );
        assert!(name.as_str() != "te" || value == b"trailers");
        let hop_by_hop = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
            "proxy",
        ];
        assert!(!hop_by_hop.contains(&name.as_str()), "{name} passed");
        let spelled = name.as_str().replace('_', "-");
        let is_alias = spelled != name.as_str();
        assert!(
            !(is_alias && spelled.starts_with("x-forwarded-")),
            "{name} passed"
        );
    }
}
