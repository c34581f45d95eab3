//! What is shown: rates and latencies between samples, in the order and choice of whoever looks.

use std::cmp::Ordering;
use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::sample::{Requests, Sample, Served, Upstream};

/// Samples that latencies and shares of errors are of.
const WINDOW: usize = 10;
/// Samples that the course of the rate is of.
const COURSE: usize = 60;
/// Stands for requests that no route took.
pub(super) const UNROUTED: &str = "_unrouted";

/// What a key asks for beyond the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    End,
}

/// What routes are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Rate,
    Errors,
    Slowness,
    Name,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::Errors,
            Self::Errors => Self::Slowness,
            Self::Slowness => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::Slowness => "p99",
            Self::Name => "name",
        }
    }
}

/// A route, between samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RouteRow {
    pub(super) name: String,
    /// Requests a second.
    pub(super) rate: f64,
    /// Share of 4xx and of 5xx, in percent.
    pub(super) client_errors: f64,
    pub(super) server_errors: f64,
    /// Quantiles of durations in milliseconds; none without requests.
    pub(super) quantiles: Option<[f64; 3]>,
}

/// An upstream, between samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UpstreamRow {
    pub(super) name: String,
    pub(super) takes_traffic: usize,
    pub(super) targets: usize,
    pub(super) rate: f64,
    pub(super) failures: f64,
    pub(super) in_flight: u64,
    /// Mean of the targets that have answered, in milliseconds.
    pub(super) latency: Option<f64>,
    /// What is wrong, if something is.
    pub(super) trouble: Option<String>,
}

/// The process, between samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) rate: f64,
    pub(super) errors: f64,
    /// Share of one core in percent.
    pub(super) cpu: f64,
    pub(super) refused: f64,
}

/// Samples, and how they are looked at.
pub(super) struct View {
    samples: VecDeque<Sample>,
    pub(super) order: Order,
    pub(super) chosen: usize,
    /// Part of names; being written while `is_writing`.
    pub(super) filter: String,
    pub(super) is_writing: bool,
    pub(super) is_paused: bool,
    /// Why there is nothing new.
    pub(super) fault: Option<String>,
}

impl View {
    pub(super) fn new(first: Sample) -> Self {
        Self {
            samples: VecDeque::from([first]),
            order: Order::Rate,
            chosen: 0,
            filter: String::new(),
            is_writing: false,
            is_paused: false,
            fault: None,
        }
    }

    /// Takes up another sample.
    pub(super) fn add(&mut self, sample: Sample) {
        self.fault = None;
        if self.is_paused {
            return;
        }
        // Another process counts from zero.
        if total(&sample) < total(self.latest()) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() > COURSE {
            self.samples.pop_front();
        }
    }

    pub(super) fn latest(&self) -> &Sample {
        &self.samples[self.samples.len() - 1]
    }

    /// The sample so many before the latest, or the earliest.
    fn before(&self, count: usize) -> &Sample {
        &self.samples[self.samples.len().saturating_sub(count + 1)]
    }

    /// Takes up a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Wish::End;
        }
        if self.is_writing {
            match key.code {
                KeyCode::Enter => self.is_writing = false,
                KeyCode::Esc => {
                    self.is_writing = false;
                    self.filter.clear();
                }
                KeyCode::Backspace => {
                    self.filter.pop();
                }
                KeyCode::Char(character) => self.filter.push(character),
                _ => {}
            }
            self.chosen = 0;
            return Wish::GoOn;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::End,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char(' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_writing = true,
            KeyCode::Down | KeyCode::Char('j') => self.chosen += 1,
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Home => self.chosen = 0,
            _ => {}
        }
        // As many as there are is known best where they are counted.
        self.chosen = self.chosen.min(self.routes().len().saturating_sub(1));
        Wish::GoOn
    }

    pub(super) fn whole(&self) -> Whole {
        let (now, before) = (self.latest(), self.before(1));
        let seconds = between(before, now);
        let sum = |sample: &Sample, of: fn(&Requests) -> u64| -> u64 {
            each_route(sample)
                .map(|(_, served)| of(&served.requests))
                .sum()
        };
        let window = self.before(WINDOW);
        let failed = growth(
            sum(window, |requests| requests.server_error),
            sum(now, |requests| requests.server_error),
        );
        let requests = growth(total(window), total(now));
        let refused = (
            before.status.connections.refused,
            now.status.connections.refused,
        );
        Whole {
            rate: growth(total(before), total(now)) / seconds,
            errors: percent(failed, requests),
            cpu: (now.status.cpu_seconds - before.status.cpu_seconds).max(0.0) / seconds * 100.0,
            refused: growth(refused.0, refused.1) / seconds,
        }
    }

    /// Routes that pass the filter, in the order that was chosen.
    pub(super) fn routes(&self) -> Vec<RouteRow> {
        let now = self.latest();
        let mut rows: Vec<RouteRow> = each_route(now)
            .filter(|(name, served)| {
                // What nobody asked for need not be seen: there is no such route.
                let is_there = *name != UNROUTED || served.requests.total > 0;
                is_there && name.contains(&self.filter)
            })
            .map(|(name, served)| self.route(name, served))
            .collect();
        let descending = |one: f64, other: f64| other.total_cmp(&one);
        rows.sort_by(|one, other| {
            let by_choice = match self.order {
                Order::Rate => descending(one.rate, other.rate),
                Order::Errors => descending(one.server_errors, other.server_errors)
                    .then_with(|| descending(one.client_errors, other.client_errors)),
                Order::Slowness => descending(slowest(one), slowest(other)),
                Order::Name => Ordering::Equal,
            };
            by_choice.then_with(|| one.name.cmp(&other.name))
        });
        rows
    }

    fn route(&self, name: &str, now: &Served) -> RouteRow {
        let earlier = |count: usize| find(self.before(count), name);
        let last = earlier(1);
        let window = earlier(WINDOW);
        let of_window =
            |count: fn(&Requests) -> u64| growth(count(&window.requests), count(&now.requests));
        let requests = of_window(|requests| requests.total);
        let durations: Vec<f64> = now
            .durations
            .iter()
            .enumerate()
            .map(|(at, count)| growth(window.durations.get(at).copied().unwrap_or(0), *count))
            .collect();
        let bounds = &self.latest().routes.bounds;
        let seconds = between(self.before(1), self.latest());
        RouteRow {
            name: name.to_owned(),
            rate: growth(last.requests.total, now.requests.total) / seconds,
            client_errors: percent(of_window(|requests| requests.client_error), requests),
            server_errors: percent(of_window(|requests| requests.server_error), requests),
            quantiles: quantile(bounds, &durations, 0.5).map(|median| {
                let of = |share| quantile(bounds, &durations, share).unwrap_or(median);
                [median, of(0.95), of(0.99)]
            }),
        }
    }

    /// Requests a second of a route, or of all, from one sample to the next; the earliest first.
    pub(super) fn course(&self, name: Option<&str>) -> Vec<u64> {
        let count = |sample: &Sample| match name {
            Some(name) => find(sample, name).requests.total,
            None => total(sample),
        };
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs
            .map(|(one, next)| (growth(count(one), count(next)) / between(one, next)) as u64)
            .collect()
    }

    pub(super) fn upstreams(&self) -> Vec<UpstreamRow> {
        let (now, before) = (self.latest(), self.before(1));
        let seconds = between(before, now);
        let row = |upstream: &Upstream| {
            let mut same = before.upstreams.iter();
            let before = same.find(|earlier| earlier.name == upstream.name);
            upstream_row(upstream, before, seconds)
        };
        now.upstreams.iter().map(row).collect()
    }
}

fn upstream_row(now: &Upstream, before: Option<&Upstream>, seconds: f64) -> UpstreamRow {
    let sum = |upstream: &Upstream, of: fn(&super::sample::Target) -> u64| -> u64 {
        upstream.targets.iter().map(of).sum()
    };
    let rate = |of: fn(&super::sample::Target) -> u64| {
        let earlier = before.map_or_else(|| sum(now, of), |before| sum(before, of));
        growth(earlier, sum(now, of)) / seconds
    };
    let takes =
        |target: &&super::sample::Target| !matches!(&*target.health.state, "unhealthy" | "ejected");
    let latencies: Vec<f64> = now
        .targets
        .iter()
        .filter_map(|target| target.latency_ms)
        .collect();
    let takes_traffic = now.targets.iter().filter(takes).count();
    UpstreamRow {
        name: now.name.clone(),
        takes_traffic,
        targets: now.targets.len(),
        rate: rate(|target| target.requests),
        failures: rate(|target| target.failed),
        in_flight: sum(now, |target| target.in_flight),
        latency: (!latencies.is_empty())
            .then(|| latencies.iter().sum::<f64>() / latencies.len() as f64),
        trouble: trouble(now, takes_traffic),
    }
}

fn trouble(upstream: &Upstream, takes_traffic: usize) -> Option<String> {
    let breaker = upstream.breaker.as_ref().map(|breaker| &*breaker.state);
    if let Some(state @ ("open" | "half_open" | "half-open")) = breaker {
        return Some(format!("breaker {}", state.replace('_', "-")));
    }
    if upstream.targets.is_empty() {
        return Some("no targets".to_owned());
    }
    if upstream.panic {
        return Some("panic: health is ignored".to_owned());
    }
    let lost = upstream
        .discovery
        .as_ref()
        .and_then(|source| source.error.as_ref());
    if lost.is_some() {
        return Some("source lost".to_owned());
    }
    let out = upstream.targets.len() - takes_traffic;
    (out > 0).then(|| format!("{out} out"))
}

fn each_route(sample: &Sample) -> impl Iterator<Item = (&str, &Served)> {
    let routes = sample.routes.routes.iter();
    routes
        .map(|route| (&*route.name, &route.served))
        .chain([(UNROUTED, &sample.routes.unrouted)])
}

fn find(sample: &Sample, name: &str) -> Served {
    let mut routes = each_route(sample);
    let found = routes.find(|(known, _)| *known == name);
    found.map(|(_, served)| served.clone()).unwrap_or_default()
}

fn total(sample: &Sample) -> u64 {
    each_route(sample)
        .map(|(_, served)| served.requests.total)
        .sum()
}

fn between(before: &Sample, now: &Sample) -> f64 {
    now.at.duration_since(before.at).as_secs_f64().max(0.001)
}

fn growth(before: u64, now: u64) -> f64 {
    now.saturating_sub(before) as f64
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole * 100.0
    } else {
        0.0
    }
}

fn slowest(row: &RouteRow) -> f64 {
    row.quantiles.map_or(-1.0, |quantiles| quantiles[2])
}

/// The duration below which this share of the requests stayed, in milliseconds: a straight line within
/// its class. Of the last class, which has no end, the beginning.
fn quantile(bounds: &[f64], counts: &[f64], share: f64) -> Option<f64> {
    let all: f64 = counts.iter().sum();
    if all <= 0.0 {
        return None;
    }
    let wanted = all * share;
    let mut below = 0.0;
    for (at, count) in counts.iter().enumerate() {
        if below + count >= wanted && *count > 0.0 {
            let from = at.checked_sub(1).map_or(0.0, |at| bounds[at]);
            let Some(to) = bounds.get(at) else {
                return Some(from);
            };
            return Some(from + (to - from) * (wanted - below) / count);
        }
        below += count;
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests;
