use std::path::{Path, PathBuf};

use super::{BASE, codes_of, options, refused};
use crate::{LoadOptions, Loaded, Report, load_text};

fn load_in(environment: &str, text: &str) -> Result<Loaded, Report> {
    let options = LoadOptions {
        environment: Some(environment.into()),
        ..options()
    };
    load_text(text, "weir.yaml", Path::new(""), &options)
}

const TEXT: &str = "\
listeners: [{address: 127.0.0.1:8080}]
upstreams:
  catalog: {targets: [127.0.0.1:9001], timeouts: {connect: 1s, idle: 5s}}
routes: [{name: all, upstream: catalog}]
limits: {body_bytes: 1MB}
environments:
  production:
    workers: 8
    listeners: [{address: 0.0.0.0:80}, {address: 0.0.0.0:81}]
    upstreams: {catalog: {timeouts: {connect: 9s}}}
    limits: {body_bytes: null}
  staging: {}
";

#[test]
fn the_overlay_merges_replaces_and_removes() {
    let config = load_in("production", TEXT).unwrap().config;
    assert_eq!(config.environment.as_deref(), Some("production"));
    assert_eq!(config.workers, 8);
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.upstreams[0].timeouts.connect.as_secs(), 9);
    assert_eq!(config.upstreams[0].timeouts.idle.as_secs(), 5);
    assert_eq!(config.limits.body_bytes, None);

    let staging = load_in("staging", TEXT).unwrap().config;
    assert_eq!(staging.limits.body_bytes, Some(1_000_000));
    assert_eq!(staging.listeners.len(), 1);
}

#[test]
fn an_unknown_environment_is_refused_and_the_known_ones_are_named() {
    let report = load_in("prodution", TEXT).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0209"]);
    assert!(
        report.diagnostics[0]
            .help
            .as_ref()
            .unwrap()
            .contains("`production`")
    );
    let report = load_in("qa", TEXT).unwrap_err();
    let help = report.diagnostics[0].help.clone().unwrap();
    assert!(
        help.contains("`production`") && help.contains("`staging`"),
        "{help}"
    );
}

#[test]
fn mistakes_are_shown_where_they_were_written() {
    let text = TEXT.replace("workers: 8", "workers: 8\n    drain_timeout: 9");
    let report = load_in("production", &text).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0105"]);
    assert_eq!(
        (report.diagnostics[0].line, report.diagnostics[0].column),
        (9, 20)
    );
}

#[test]
fn mistakes_of_environments_that_are_not_selected_are_reported_too() {
    let text = TEXT.replace(
        "workers: 8",
        "workers: 8\n    wrokers: 9\n    drain_timeout: 9",
    );
    let report = load_in("staging", &text).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0103", "WR0105"]);
    let report = refused(&text);
    assert_eq!(codes_of(&report), ["WR0103", "WR0105"]);
}

#[test]
fn references_of_environments_that_are_not_selected_need_not_lead_anywhere() {
    let text = format!(
        "{BASE}environments:\n  production:\n    listeners: [{{address: 0.0.0.0:443, tls: \
         {{certificate: file:/nowhere.crt, key: env:NOWHERE}}}}]\n    upstreams: {{a: {{targets: \
         [env:NOWHERE]}}}}\n  local: {{}}\n"
    );
    assert!(load_in("local", &text).is_ok());
    let report = load_in("production", &text).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0303", "WR0302", "WR0504", "WR0302"]);
}

#[test]
fn what_only_the_environment_completes_is_complete() {
    let text = "environments:\n  a:\n    listeners: [{address: 127.0.0.1:1}]\n";
    assert!(load_in("a", text).is_ok());
    assert_eq!(codes_of(&refused(text)), ["WR0102"]);
}

#[test]
fn environments_are_mappings_with_names_and_without_environments() {
    let text = format!("{BASE}environments: {{'a b': {{}}, c: 1, d: {{environments: {{}}}}}}\n");
    assert_eq!(codes_of(&refused(&text)), ["WR0118", "WR0101", "WR0103"]);
    assert_eq!(
        codes_of(&refused(&format!("{BASE}environments: []\n"))),
        ["WR0101"]
    );
}

#[test]
fn the_given_data_directory_wins() {
    let options = LoadOptions {
        data: Some(PathBuf::from("/srv/weir")),
        strict: true,
        ..options()
    };
    let loaded = load_text(BASE, "weir.yaml", Path::new(""), &options).unwrap();
    assert_eq!(loaded.config.data, Path::new("/srv/weir"));
    let options = LoadOptions {
        strict: true,
        ..super::options()
    };
    let report = load_text(BASE, "weir.yaml", Path::new(""), &options).unwrap_err();
    assert_eq!(codes_of(&report), ["WR0508"]);
}
