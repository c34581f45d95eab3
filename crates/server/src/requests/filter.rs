//! Which requests are wanted, as a query says it: `route=items&status=5xx&slower=250ms`.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;
use thiserror::Error;
use weir_config::{parse_duration, suggestion};
use weir_gateway::reason::REASONS;
use weir_gateway::{AccessRecord, Refusal};

/// What a filter can ask for.
pub(crate) const KEYS: [&str; 9] = [
    "route", "upstream", "status", "reason", "method", "host", "path", "client", "slower",
];

/// Stands for requests that no route took, as in metrics.
const UNROUTED: &str = "_unrouted";

/// What is stated must hold; of several values of one key, one must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    routes: Vec<String>,
    upstreams: Vec<String>,
    /// First and last.
    statuses: Vec<(u16, u16)>,
    reasons: Vec<&'static str>,
    methods: Vec<Method>,
    hosts: Vec<String>,
    /// Beginnings.
    paths: Vec<String>,
    clients: Vec<IpNet>,
    slower: Duration,
}

/// A filter cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum FilterError {
    /// There is no such key.
    #[error("there is no filter `{key}`; {help}")]
    Key {
        /// What was asked for.
        key: String,
        /// What there is.
        help: String,
    },
    /// The value says nothing.
    #[error("`{value}` is no {key}; {help}")]
    Value {
        /// Of the filter.
        key: &'static str,
        /// What was written.
        value: String,
        /// What could be.
        help: String,
    },
}

impl Filter {
    /// Adds a condition.
    pub(crate) fn add(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        match key {
            "route" => self.routes.push(value.to_owned()),
            "upstream" => self.upstreams.push(value.to_owned()),
            "status" => self.statuses.push(status(value)?),
            "reason" => self.reasons.push(reason(value)?),
            "method" => self.methods.push(method(value)?),
            "host" => self.hosts.push(value.to_ascii_lowercase()),
            "path" => self.paths.push(value.to_owned()),
            "client" => self.clients.push(client(value)?),
            "slower" => self.slower = slower(value)?,
            _ => {
                return Err(FilterError::Key {
                    key: key.to_owned(),
                    help: suggestion(key, KEYS, "filters"),
                });
            }
        }
        Ok(())
    }

    /// Whether a request is wanted.
    pub(crate) fn takes(&self, record: &AccessRecord) -> bool {
        let status = record.status;
        let host = record.host.split(':').next().unwrap_or_default();
        is_any(&self.routes, |route| {
            record.route.as_deref().unwrap_or(UNROUTED) == route
        }) && is_any(&self.upstreams, |name| {
            record.upstream.as_deref() == Some(name)
        }) && is_any(&self.statuses, |(first, last)| {
            (*first..=*last).contains(&status)
        }) && is_any(&self.reasons, |reason| record.reason == Some(*reason))
            && is_any(&self.methods, |method| {
                record.method.as_ref() == Some(method)
            })
            && is_any(&self.hosts, |wanted| {
                record.host.eq_ignore_ascii_case(wanted) || host.eq_ignore_ascii_case(wanted)
            })
            && is_any(&self.paths, |start| record.path.starts_with(&**start))
            && is_any(&self.clients, |network| network.contains(&record.client))
            && record.duration >= self.slower
    }
}

/// Whether one of them will do; where none is stated, all do.
fn is_any<T>(wanted: &[T], is_it: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is_it)
}

fn wrong(key: &'static str, value: &str, help: impl Into<String>) -> FilterError {
    FilterError::Value {
        key,
        value: value.to_owned(),
        help: help.into(),
    }
}

/// `404`, or `5xx`. Refused connections have the status 0.
fn status(value: &str) -> Result<(u16, u16), FilterError> {
    let class = value
        .strip_suffix("xx")
        .and_then(|class| class.parse().ok());
    if let Some(class @ 1..=5) = class {
        return Ok((class * 100, class * 100 + 99));
    }
    match value.parse() {
        Ok(status @ (0 | 100..=599)) => Ok((status, status)),
        _ => Err(wrong(
            "status",
            value,
            "write a number, or a class such as `5xx`",
        )),
    }
}

/// Of answers, and of connections that were refused.
fn reason(value: &str) -> Result<&'static str, FilterError> {
    let all: Vec<&'static str> = REASONS
        .iter()
        .map(|reason| reason.word)
        .chain(Refusal::ALL.map(Refusal::reason))
        .collect();
    let known = all.iter().find(|reason| **reason == value);
    known
        .copied()
        .ok_or_else(|| wrong("reason", value, suggestion(value, all, "reasons")))
}

fn method(value: &str) -> Result<Method, FilterError> {
    let method = Method::from_bytes(value.to_ascii_uppercase().as_bytes());
    method.map_err(|_| wrong("method", value, "write one such as `GET`"))
}

fn client(value: &str) -> Result<IpNet, FilterError> {
    let network = value
        .parse()
        .or_else(|_| value.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| {
        wrong(
            "client",
            value,
            "write an address, or a network such as `10.0.0.0/8`",
        )
    })
}

fn slower(value: &str) -> Result<Duration, FilterError> {
    parse_duration(value).map_err(|fault| wrong("duration", value, fault))
}
