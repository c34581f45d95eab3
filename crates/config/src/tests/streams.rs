//! gRPC calls and event streams.

use std::time::Duration;

use weir_core::GrpcStatus;

use super::{BASE, codes_of, loaded, refused};
use crate::model::{Grpc, Probe, RetryCondition, Sse, Streams, Upstream};

fn text(upstream: &str, route: &str) -> String {
    format!(
        "{BASE}upstreams: {{up: {{targets: ['127.0.0.1:1'], {upstream}}}}}\n\
         routes: [{{name: all, upstream: up, {route}}}]\n"
    )
}

fn streams(route: &str) -> Streams {
    loaded(&text("", route)).config.routes[0].streams
}

fn upstream(settings: &str) -> Upstream {
    loaded(&text(settings, "")).config.upstreams[0].clone()
}

#[test]
fn routes_say_how_calls_and_streams_are_treated() {
    assert_eq!(streams(""), Streams::default());
    let grpc = Grpc {
        web: true,
        longest_timeout: Some(Duration::from_secs(60)),
    };
    assert_eq!(streams("grpc: {web: true, max_timeout: 1m}").grpc, grpc);
    assert_eq!(streams("grpc: {}").grpc, Grpc::default());
    let sse = |heartbeat, hints| Some(Sse { heartbeat, hints });
    assert_eq!(streams("sse: {}").sse, sse(None, true));
    let beat = Some(Duration::from_secs(15));
    assert_eq!(streams("sse: {heartbeat: 15s}").sse, sse(beat, true));
    assert_eq!(
        streams("sse: {heartbeat: 15s, hints: false}").sse,
        sse(beat, false)
    );
}

#[test]
fn upstreams_say_what_is_repeated_asked_and_waited_for() {
    let default = upstream("");
    assert_eq!(default.timeouts.stream_idle, Duration::from_secs(600));
    let settings = "http2: true, timeouts: {stream_idle: 1h}, \
        retry: {grpc: [unavailable, resource_exhausted]}, \
        health: {active: {grpc: true, service: a.B, host: up.test}}";
    let upstream = upstream(settings);
    assert_eq!(upstream.timeouts.stream_idle, Duration::from_secs(3_600));
    let when = [
        RetryCondition::Connect,
        RetryCondition::Reset,
        RetryCondition::Grpc(GrpcStatus::Unavailable),
        RetryCondition::Grpc(GrpcStatus::ResourceExhausted),
    ];
    assert_eq!(upstream.retry.when, when);
    let probe = Probe::Grpc {
        service: "a.B".into(),
        host: Some("up.test".into()),
    };
    assert_eq!(upstream.health.active.expect("a check").probe, probe);
}

#[test]
fn every_word_for_a_status_means_that_status() {
    for status in [
        "cancelled",
        "unknown",
        "deadline_exceeded",
        "resource_exhausted",
        "aborted",
        "internal",
        "unavailable",
    ] {
        let when = upstream(&format!("retry: {{grpc: [{status}]}}")).retry.when;
        let Some(RetryCondition::Grpc(meant)) = when.last() else {
            panic!("{when:?}");
        };
        assert_eq!(meant.as_str().to_ascii_lowercase(), status);
    }
}

#[test]
fn mistakes_in_calls_and_streams_are_reported() {
    for (settings, route, code) in [
        ("", "grpc: {web: perhaps}", "WR0101"),
        ("", "grpc: {max_timeout: 0s}", "WR0105"),
        ("", "grpc: true", "WR0101"),
        ("", "sse: {heartbeat: soon}", "WR0105"),
        ("", "sse: {heartbeats: 1s}", "WR0103"),
        ("retry: {grpc: [not_found]}", "", "WR0114"),
        ("retry: {grpc: [14]}", "", "WR0114"),
        ("timeouts: {stream_idle: 0s}", "", "WR0105"),
        ("health: {active: {grpc: false}}", "", "WR0206"),
        ("health: {active: {grpc: true, path: /}}", "", "WR0205"),
        ("health: {active: {grpc: true, tcp: true}}", "", "WR0205"),
        ("health: {active: {path: /, service: a.B}}", "", "WR0205"),
        (
            "health: {active: {grpc: true, service: 'a b'}}",
            "",
            "WR0118",
        ),
        ("http2: false, health: {active: {grpc: true}}", "", "WR0205"),
    ] {
        let report = refused(&text(settings, route));
        assert_eq!(codes_of(&report), [code], "{settings} {route}\n{report}");
    }
    let redirect = format!(
        "{BASE}routes: [{{name: all, redirect: {{to: /}}, grpc: {{web: true}}, sse: {{}}}}]\n"
    );
    assert_eq!(codes_of(&refused(&redirect)), ["WR0205", "WR0205"]);
    let idle = loaded(&text("", "sse: {hints: false}"));
    let codes: Vec<_> = idle.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["WR0510"]);
}
