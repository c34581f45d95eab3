//! Putting a changed configuration into effect.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde_json::json;
use weir_config::{LoadOptions, Loaded, Report};
use weir_console::LeftOut;

use super::descriptors;
use super::issuers;
use super::last_good::LastGood;
use super::resources::left_out;
use super::standings::routes_of_organizations;
use super::watch::Watch;
use super::{Beside, Node, Rejection, Reloaded, Revision};
use crate::configuration;
use crate::log::LogHandle;
use crate::otlp::Exporter;
use crate::panics::{self, Panicked};

/// Reads the configuration again, as it was read at the start.
pub(super) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) options: LoadOptions,
    /// Data directory in effect; it stays what it was at the start.
    pub(super) data: PathBuf,
    pub(super) log: LogHandle,
    pub(super) exporter: Exporter,
    next: AtomicU64,
}

impl Reloader {
    pub(super) fn new(
        file: PathBuf,
        options: LoadOptions,
        data: PathBuf,
        log: LogHandle,
        exporter: Exporter,
    ) -> Self {
        // The start was revision 1.
        Self {
            file,
            options,
            data,
            log,
            exporter,
            next: AtomicU64::new(2),
        }
    }

    /// Loads, compiles and applies; the running revision stays if any of it fails. Also tells which
    /// files the next change can come from.
    pub(super) fn reload(
        &mut self,
        node: &Node,
        watch: &Watch,
        beside: Beside,
    ) -> (Reloaded, Watch) {
        let before = watch.again();
        let (asked, attempts) = match beside {
            Beside::Same => (None, 0),
            Beside::All(resources) => (Some(resources), 0),
            Beside::WhatFits(resources) => (Some(resources), left_out::ATTEMPTS),
        };
        let former = self.options.resources.clone();
        if asked.is_some() {
            self.options.resources = asked.clone();
        }
        let (outcome, files, left_out) = self.try_without(node, watch, attempts);
        match (&outcome, asked) {
            (Reloaded::Rejected(rejection), Some(asked)) => {
                self.options.resources = former;
                node.note_refused(asked.revision(), rejection);
            }
            (_, Some(asked)) => {
                node.note(&outcome);
                node.note_running(|running| {
                    running.revision = asked.revision();
                    running.digest = asked.digest().into();
                    running.left_out = left_out.into();
                    running.refused = None;
                });
            }
            (_, None) => node.note(&outcome),
        }
        report(&outcome);
        (outcome, Watch::after(&before, &files))
    }

    /// How it goes without the resources that cannot be used, which are told as well. So many times what is at
    /// fault is left out.
    fn try_without(
        &mut self,
        node: &Node,
        watch: &Watch,
        attempts: usize,
    ) -> (Reloaded, Vec<PathBuf>, Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let (mut outcome, mut files) = self.try_now(node, watch);
        for _ in 0..attempts {
            let (Reloaded::Rejected(rejection), Some(resources)) =
                (&outcome, &self.options.resources)
            else {
                break;
            };
            if rejection.at_fault.is_empty() {
                break;
            }
            let rest = left_out::without(resources, &rejection.at_fault);
            left_out.extend(rejection.at_fault.iter().cloned());
            self.options.resources = Some(Arc::new(rest));
            (outcome, files) = self.try_now(node, watch);
        }
        left_out::sort(&mut left_out);
        (outcome, files, left_out)
    }

    /// How it goes, and the files that it depends on.
    fn try_now(&self, node: &Node, watch: &Watch) -> (Reloaded, Vec<PathBuf>) {
        // What makes Weir stumble must not end what runs.
        let stumbled = |panicked: Panicked| Reloaded::Rejected(unusable(&panicked));
        match panics::contain(|| configuration::load(&self.file, &self.options)) {
            Ok(Ok(loaded)) => {
                let files = loaded.files.clone();
                let applied = panics::contain(|| self.apply(node, loaded));
                (applied.unwrap_or_else(stumbled), files)
            }
            Ok(Err(report)) => (Reloaded::Rejected(rejected(&report)), report.files),
            Err(panicked) => (stumbled(panicked), watch.files()),
        }
    }

    fn apply(&self, node: &Node, loaded: Loaded) -> Reloaded {
        let running = node.revision();
        if loaded.digest == running.digest && !running.last_good {
            return Reloaded::Unchanged(running);
        }
        for warning in &loaded.warnings {
            tracing::warn!(
                code = warning.code,
                line = warning.line,
                resource = warning.resource.as_ref().map(tracing::field::display),
                "{}",
                warning.message
            );
        }
        let kept = LastGood::of(&self.file, &loaded);
        let of_file = Arc::new(loaded.file_resources());
        let of_organizations = Arc::new(routes_of_organizations(&loaded.config));
        let warnings = left_out::warnings(&loaded);
        warn_of_what_needs_a_restart(node, &loaded);
        let mut config = loaded.config;
        descriptors::fit(&mut config);
        // Whatever can fail comes before anything takes effect.
        let log = match self.log.prepare(&config.log) {
            Ok(log) => log,
            Err(error) => return Reloaded::Rejected(unusable(error.as_ref())),
        };
        let exporter = match Exporter::prepare(&config) {
            Ok(exporter) => exporter,
            Err(error) => return Reloaded::Rejected(unusable(error.as_ref())),
        };
        node.discoverer.fill(&mut config);
        issuers::fill(&mut config, &node.issuers, &node.own_issuer);
        let config = Arc::new(config);
        if let Err(error) = node.gateway.apply(Arc::clone(&config)) {
            return Reloaded::Rejected(unusable(&error));
        }
        // From here on it is in effect, whatever becomes of the rest.
        let rest = panics::contain(|| {
            // After the gateway, which would not take targets of an upstream that it does not know yet.
            node.discoverer.apply(&config);
            issuers::retain(&config, &node.issuers);
            self.exporter.commit(exporter);
            self.log.commit(log);
            self.log
                .journal()
                .configure(&config.admin.requests, self.log.redactor());
            if let Err(error) = kept.save(&self.data) {
                tracing::warn!("{error:#}");
            }
        });
        if rest.is_err() {
            tracing::error!(
                "the configuration is in effect but for discovery or telemetry: restart Weir"
            );
        }
        node.note_running(|running| {
            running.leaked_keys = Arc::new(config.leaked_keys.clone());
            running.file = of_file;
            running.of_organizations = of_organizations;
            running.warnings = warnings;
        });
        Reloaded::Applied(Revision {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            digest: kept.digest,
            since: SystemTime::now(),
            file: self.file.clone(),
            environment: kept.environment,
            last_good: false,
            resources: self
                .options
                .resources
                .as_ref()
                .map_or(0, |resources| resources.revision()),
        })
    }
}

fn warn_of_what_needs_a_restart(node: &Node, loaded: &Loaded) {
    let running = node.gateway.snapshot();
    let (running, wanted) = (&running.config, &loaded.config);
    let (admin, wanted_admin) = (&running.admin, &wanted.admin);
    let changes = [
        ("workers", running.workers != wanted.workers),
        ("admin.address", admin.address != wanted_admin.address),
        (
            "admin.public_url",
            admin.public_url != wanted_admin.public_url,
        ),
        ("data", running.data != wanted.data),
        ("records", running.records != wanted.records),
        ("identity.tokens", running.tokens != wanted.tokens),
        ("identity.sessions", running.sessions != wanted.sessions),
        (
            "identity.return_origins",
            running.return_origins != wanted.return_origins,
        ),
        (
            "identity.sign_in_hosts",
            running.sign_in_hosts != wanted.sign_in_hosts,
        ),
        ("mail", running.mail != wanted.mail),
    ];
    for (key, _) in changes.iter().filter(|(_, changed)| *changed) {
        tracing::warn!(
            key,
            "this change takes effect with the next start or `weir upgrade`"
        );
    }
}

/// What a refused load tells the operator.
pub(super) fn rejected(report: &Report) -> Rejection {
    Rejection {
        at: SystemTime::now(),
        text: report.render(false),
        diagnostics: report
            .diagnostics
            .iter()
            .map(|found| json!(found))
            .collect(),
        at_fault: left_out::at_fault(report),
    }
}

/// What a configuration without mistakes that this machine cannot run tells the operator: an address
/// is taken, say.
pub(super) fn unusable(error: &(dyn std::error::Error + 'static)) -> Rejection {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    let diagnostics = json!([{ "message": text }]);
    Rejection {
        at: SystemTime::now(),
        text,
        diagnostics,
        at_fault: Vec::new(),
    }
}

fn report(outcome: &Reloaded) {
    match outcome {
        Reloaded::Applied(revision) => {
            tracing::info!(
                revision = revision.number,
                digest = revision.digest,
                "configuration applied"
            );
        }
        Reloaded::Unchanged(revision) => {
            tracing::info!(revision = revision.number, "configuration unchanged");
        }
        Reloaded::Rejected(rejection) => {
            tracing::error!(
                "configuration refused, the running revision stays\n{}",
                rejection.text
            );
        }
    }
}
