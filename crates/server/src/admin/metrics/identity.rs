//! Who is calling: what workers remember, what was refused, and how issuers fare.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_gateway::identify::ReplayReport;
use weir_gateway::metrics::{
    CredentialKind, DURATION_BUCKETS, DenialCounters, IdentityCounters, LookupCounters,
};
use weir_gateway::{Gateway, Snapshot};
use weir_issuers::{Issuers, Status};

use super::exposition::{Exposition, Kind};

/// Nothing for a configuration that asks nobody who they are.
pub(super) fn collect(exposition: &mut Exposition, gateway: &Gateway, snapshot: &Snapshot) {
    if snapshot.denial_reports().next().is_none() {
        return;
    }
    let workers: Vec<&IdentityCounters> = gateway
        .worker_counters()
        .map(|worker| &worker.identity)
        .collect();
    denials(exposition, snapshot);
    replays(exposition, snapshot);
    remembered(exposition, &workers);
    lookups(exposition, &workers);
    turns(exposition, &workers);
}

fn denials(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mut family = exposition.family(
        "weir_denials",
        Kind::Counter,
        "Requests that a policy refused, by policy, its kind, and the answer's reason.",
    );
    for report in snapshot.denial_reports() {
        for (at, reason) in DenialCounters::REASONS.iter().enumerate() {
            let counters = report.counters.iter();
            let count: u64 = counters.map(|worker| worker.by_reason[at].get()).sum();
            let labels = [
                ("policy", report.policy),
                ("way", report.way),
                ("reason", *reason),
            ];
            family.sample(&labels, count);
        }
    }
}

/// Nothing for a configuration that takes no signatures.
fn replays(exposition: &mut Exposition, snapshot: &Snapshot) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let reports: Vec<ReplayReport<'_>> = snapshot.replay_reports(now).collect();
    if reports.is_empty() {
        return;
    }
    let mut family = exposition.family(
        "weir_signatures_remembered",
        Kind::Gauge,
        "Used signatures that are remembered of the key that has most of them, by policy.",
    );
    for report in &reports {
        family.sample(&[("policy", report.policy)], report.fullest);
    }
    let mut family = exposition.family(
        "weir_signatures_refused_full",
        Kind::Counter,
        "Signed requests that were refused since no more signatures of their key could be remembered.",
    );
    for report in &reports {
        family.sample(&[("policy", report.policy)], report.refused);
    }
}

fn remembered(exposition: &mut Exposition, workers: &[&IdentityCounters]) {
    let entries: u64 = workers.iter().map(|worker| worker.entries.get()).sum();
    exposition
        .family(
            "weir_credential_cache_entries",
            Kind::Gauge,
            "Credentials that workers remember.",
        )
        .sample(&[], entries);
    let bytes: u64 = workers.iter().map(|worker| worker.bytes.get()).sum();
    exposition
        .family(
            "weir_credential_cache_bytes",
            Kind::Gauge,
            "About how much memory they take.",
        )
        .sample(&[], bytes);
    let mut family = exposition.family(
        "weir_credential_cache_lookups",
        Kind::Counter,
        "Credentials that were looked for in a worker's memory, by kind and outcome.",
    );
    for (at, kind) in CredentialKind::ALL.iter().enumerate() {
        let known = workers.iter().map(|worker| &worker.remembered[at]);
        let hits: u64 = known.clone().map(|counters| counters.hits.get()).sum();
        let misses: u64 = known.map(|counters| counters.misses.get()).sum();
        for (outcome, count) in [("hit", hits), ("miss", misses)] {
            family.sample(&[("kind", kind.as_str()), ("outcome", outcome)], count);
        }
    }
    let mut family = exposition.family(
        "weir_credential_cache_evictions",
        Kind::Counter,
        "Credentials that went so that others had room, by kind.",
    );
    for (at, kind) in CredentialKind::ALL.iter().enumerate() {
        let known = workers.iter().map(|worker| &worker.remembered[at]);
        let count: u64 = known.map(|counters| counters.evictions.get()).sum();
        family.sample(&[("kind", kind.as_str())], count);
    }
}

fn turns(exposition: &mut Exposition, workers: &[&IdentityCounters]) {
    let turns: u64 = workers.iter().map(|worker| worker.turns.get()).sum();
    exposition
        .family(
            "weir_credential_turns",
            Kind::Counter,
            "Credentials that waited for their turn, for their connection had shown a bad one.",
        )
        .sample(&[], turns);
}

/// Those that somebody else is asked about; tokens if only their issuer understands them.
const ASKED: [CredentialKind; 4] = [
    CredentialKind::Key,
    CredentialKind::Session,
    CredentialKind::Password,
    CredentialKind::Token,
];

fn lookups(exposition: &mut Exposition, workers: &[&IdentityCounters]) {
    let of = |kind: CredentialKind| {
        workers
            .iter()
            .map(move |worker| &worker.lookups[kind as usize])
    };
    let mut family = exposition.family(
        "weir_credential_lookups",
        Kind::Counter,
        "Questions about credentials that no worker knew, by kind and outcome.",
    );
    for kind in ASKED {
        for (at, outcome) in LookupCounters::OUTCOMES.iter().enumerate() {
            let count: u64 = of(kind).map(|counters| counters.outcomes[at].get()).sum();
            family.sample(&[("kind", kind.as_str()), ("outcome", outcome)], count);
        }
    }
    let mut family = exposition.family(
        "weir_credential_lookups_waiting",
        Kind::Gauge,
        "Questions that wait for an answer now, by kind.",
    );
    for kind in ASKED {
        let count: u64 = of(kind).map(|counters| counters.waiting.get()).sum();
        family.sample(&[("kind", kind.as_str())], count);
    }
    let mut family = exposition.family(
        "weir_credential_lookup_duration_seconds",
        Kind::Histogram,
        "Time until such a question was answered.",
    );
    for kind in ASKED {
        let buckets: Vec<u64> = (0..=DURATION_BUCKETS.len())
            .map(|at| of(kind).map(|counters| counters.durations[at].get()).sum())
            .collect();
        let nanos: u64 = of(kind).map(|counters| counters.duration_nanos.get()).sum();
        let seconds = nanos as f64 / 1e9;
        family.histogram(
            &[("kind", kind.as_str())],
            &DURATION_BUCKETS,
            &buckets,
            seconds,
        );
    }
}

/// Nothing for a process that follows no issuer.
pub(super) fn issuers(exposition: &mut Exposition, issuers: &Issuers) {
    // Policies with different settings may follow the same place.
    let mut by_source: BTreeMap<String, Vec<Status>> = BTreeMap::new();
    for status in issuers.status() {
        let known = by_source.entry(status.source.clone()).or_default();
        known.push(status);
    }
    if by_source.is_empty() {
        return;
    }
    let mut family = exposition.family(
        "weir_issuer_up",
        Kind::Gauge,
        "1 unless the issuer could not be asked when it was asked last.",
    );
    for (source, all) in &by_source {
        let is_up = all.iter().all(|one| one.lost.is_none());
        family.sample(&[("source", source)], u8::from(is_up));
    }
    let mut family = exposition.family(
        "weir_issuer_keys",
        Kind::Gauge,
        "Keys of the issuer that are in use.",
    );
    for (source, all) in &by_source {
        let keys = all.iter().map(|one| one.keys).max();
        family.sample(&[("source", source)], keys.unwrap_or_default());
    }
    let mut family = exposition.family(
        "weir_issuer_keys_fetched_timestamp_seconds",
        Kind::Gauge,
        "When the keys were last found to be the issuer's; 0 before the first time.",
    );
    for (source, all) in &by_source {
        let oldest = all.iter().map(|one| one.fetched_at).min().flatten();
        let since = oldest.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        family.sample(&[("source", source)], since.unwrap_or_default().as_secs());
    }
    let mut counter = |name, help, counted: fn(&Status) -> u64| {
        let mut family = exposition.family(name, Kind::Counter, help);
        for (source, all) in &by_source {
            let count: u64 = all.iter().map(counted).sum();
            family.sample(&[("source", source)], count);
        }
    };
    counter(
        "weir_issuer_fetches",
        "How often the issuer was asked for its keys.",
        |one| one.fetches,
    );
    counter(
        "weir_issuer_fetches_failed",
        "How often that gave none.",
        |one| one.failures,
    );
    counter(
        "weir_issuer_unknown_keys_damped",
        "Tokens with a key that the issuer was not asked about, because it was asked only just now.",
        |one| one.damped,
    );
}
