//! Targets by Consul's health endpoint, with blocking queries.

mod answer;

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use tokio::time::sleep;
use weir_config::model::ConsulSource;

use crate::feed::Feed;
use answer::{Instance, next_index, targets};
use weir_outbound::{self as client, Backoff, Endpoint, HttpError, Trust, encode};

/// How long Consul may hold a query while nothing changes; spread by a tenth, so that the queries
/// of a fleet do not come in step.
const WAIT: Duration = Duration::from_secs(120);
/// Beyond what it was asked to wait, to which Consul adds up to a sixteenth.
const BEYOND: Duration = Duration::from_secs(20);
/// Least time from one query to the next, whatever the answers say.
const LEAST: Duration = Duration::from_millis(200);
/// From one query to the next where answers do not tell their index.
const POLL: Duration = Duration::from_secs(5);

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

pub(crate) async fn run(source: &ConsulSource, feed: &Feed) {
    let mut backoff = Backoff::default();
    let mut index = 0;
    let mut api = None;
    loop {
        let began = Instant::now();
        match ask(source, &mut api, index, feed).await {
            Ok(Some(next)) => {
                index = next;
                backoff.reset();
                sleep(LEAST.saturating_sub(began.elapsed())).await;
            }
            Ok(None) => {
                index = 0;
                backoff.reset();
                sleep(POLL).await;
            }
            Err(error) => {
                // A Consul that comes back may have begun to count anew.
                (index, api) = (0, None);
                feed.failed(format!("consul at {}: {error}", source.address));
                sleep(backoff.pause()).await;
            }
        }
    }
}

/// Asks once, and tells the feed. Returns the index to go on from, if there is one.
async fn ask(
    source: &ConsulSource,
    api: &mut Option<(Endpoint, Trust)>,
    index: u64,
    feed: &Feed,
) -> Result<Option<u64>, HttpError> {
    // Kept over queries, since the system's authorities are many files.
    let (endpoint, trust) = match api {
        Some(api) => api,
        None => api.insert(reach(source)?),
    };
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    if let Some(token) = &source.token {
        headers.push((TOKEN, client::secret_value(token.expose())?));
    }
    let wait = WAIT.mul_f64(0.9 + fastrand::f64() / 5.0);
    let path = path(source, index, wait);
    let patience = wait + wait / 16 + BEYOND;
    let answer = client::get(endpoint, trust, &path, &headers, patience).await?;
    let told = answer
        .headers
        .get(INDEX)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let instances: Vec<Instance> = answer.json().await?;
    feed.answered(targets(instances));
    Ok(next_index(index, told))
}

fn reach(source: &ConsulSource) -> Result<(Endpoint, Trust), HttpError> {
    let endpoint = Endpoint::parse(&source.address)?;
    if !endpoint.is_tls {
        return Ok((endpoint, Trust::none()));
    }
    let authorities = source.authorities.as_ref();
    let trust = Trust::new(authorities.map(|material| &**material.bytes.expose()))?;
    Ok((endpoint, trust))
}

fn path(source: &ConsulSource, index: u64, wait: Duration) -> String {
    let mut path = format!(
        "/v1/health/service/{}?passing=true&index={index}&wait={}ms",
        encode(&source.service),
        wait.as_millis()
    );
    for (key, value) in [("tag", &source.tag), ("dc", &source.datacenter)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", encode(value)));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_wanted_and_cannot_be_bent() {
        let source = ConsulSource {
            address: "http://127.0.0.1:8500".into(),
            service: "a/b?c".into(),
            tag: Some("v1&passing=false".into()),
            datacenter: Some("eu".into()),
            token: None,
            authorities: None,
        };
        assert_eq!(
            path(&source, 7, Duration::from_secs(2)),
            "/v1/health/service/a%2Fb%3Fc?passing=true&index=7&wait=2000ms\
             &tag=v1%26passing%3Dfalse&dc=eu"
        );
    }
}
