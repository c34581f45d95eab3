//! WebSockets of a route.

use std::time::Duration;

use super::{BASE, codes_of, loaded, refused};
use crate::model::WebSocket;
use crate::origin::{Origin, Origins};

const ROUTE: &str = "{name: chat, upstream: catalog, websocket: ";

/// A configuration whose only route has this `websocket`.
fn with(settings: &str) -> String {
    let upstreams = "upstreams: {catalog: {targets: [127.0.0.1:9001]}}";
    format!("{BASE}{upstreams}\nroutes:\n- {ROUTE}{settings}}}\n")
}

fn websocket(settings: &str) -> Option<WebSocket> {
    loaded(&with(settings)).config.routes[0].websocket.clone()
}

#[test]
fn websocket_means_what_it_says() {
    let default = WebSocket {
        origins: None,
        max_message: None,
        max_frame: None,
        check_text: true,
        idle: Duration::from_secs(300),
        ping: None,
        connections: None,
    };
    assert_eq!(websocket("false"), None);
    assert_eq!(websocket("true"), Some(default.clone()));
    assert_eq!(websocket("{}"), Some(default.clone()));
    let any = websocket("{origins: any}").unwrap();
    assert_eq!(any.origins, Some(Origins::Any));
    assert_eq!(websocket("{origins: same}").unwrap().origins, None);
    let full = "{max_message: 1MiB, max_frame: 64KiB, check_text: false, idle: 1h, ping: 30s, connections: 5}";
    let expected = WebSocket {
        max_message: Some(1 << 20),
        max_frame: Some(1 << 16),
        check_text: false,
        idle: Duration::from_secs(3600),
        ping: Some(Duration::from_secs(30)),
        connections: Some(5),
        ..default
    };
    assert_eq!(websocket(full), Some(expected));
    let listed = websocket("{origins: ['https://app.example.com', 'https://*.example.org']}");
    let Some(Origins::These(listed)) = listed.unwrap().origins else {
        panic!("origins are listed");
    };
    let takes = |origin: &str| {
        let origin = Origin::parse(origin).unwrap();
        listed.iter().any(|pattern| pattern.matches(&origin))
    };
    assert!(takes("https://app.example.com") && takes("https://a.example.org"));
    assert!(!takes("https://example.org") && !takes("http://app.example.com"));
}

#[test]
fn mistakes_in_websocket_are_reported() {
    for (settings, code) in [
        ("1", "WR0101"),
        ("{origins: everyone}", "WR0114"),
        ("{origins: []}", "WR0119"),
        ("{origins: [app.example.com]}", "WR0130"),
        ("{origins: ['https://app.example.com/']}", "WR0130"),
        (
            "{origins: ['https://a.test', 'https://A.test:443']}",
            "WR0211",
        ),
        ("{max_message: 0}", "WR0106"),
        ("{max_frame: none}", "WR0106"),
        ("{idle: 0s}", "WR0105"),
        ("{ping: false}", "WR0105"),
        ("{connections: 0}", "WR0107"),
        ("{check_text: 1}", "WR0101"),
        ("{size: 1}", "WR0103"),
    ] {
        assert_eq!(codes_of(&refused(&with(settings))), [code], "{settings}");
    }
    for action in ["redirect: {to: /}", "respond: {body: here}"] {
        let route = format!("routes:\n- {{name: r, {action}, websocket: true}}\n");
        assert_eq!(codes_of(&refused(&format!("{BASE}{route}"))), ["WR0205"]);
    }
    let warnings = loaded(&with("{ping: 5m}")).warnings;
    let codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["WR0509"]);
}
