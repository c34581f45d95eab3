//! Whether discovery finds targets: whether each source can be reached, and what it says be used.

use std::path::PathBuf;
use std::time::Duration;

use weir_config::Config;
use weir_config::model::DiscoverySource;
use weir_discovery::{Discoverer, Options, Pod, Status};

use super::Check;
use crate::output::counted;

const NAME: &str = "discovery";
/// Longest wait for all sources together.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks each source as the running Weir would, and writes what it found into the configuration. Targets
/// that register cannot be asked for.
pub(super) fn check(config: &mut Config) -> Vec<Check> {
    let is_asked =
        |source: &DiscoverySource| !matches!(source, DiscoverySource::Registration { .. });
    let mut asked = config.clone();
    asked.upstreams.retain(|upstream| {
        let discovery = upstream.discovery.as_ref();
        discovery.is_some_and(|discovery| is_asked(&discovery.source))
    });
    if asked.upstreams.is_empty() {
        return Vec::new();
    }
    match ask(&asked) {
        Ok(discoverer) => {
            discoverer.fill(config);
            let status = discoverer.status();
            status
                .iter()
                .map(|(name, status)| judge(name, status))
                .collect()
        }
        Err(error) => vec![Check::fail(NAME, format!("cannot be tried: {error}"))],
    }
}

fn ask(config: &Config) -> std::io::Result<Discoverer> {
    let options = Options {
        // No file can be below it: what is found is not kept, and nothing is known from before.
        data: PathBuf::from("/dev/null"),
        pod: Pod::of_this_process(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (discoverer, _found) = Discoverer::run(options)?;
    discoverer.apply(config);
    runtime.block_on(discoverer.settled(WITHIN));
    Ok(discoverer)
}

fn judge(upstream: &str, status: &Status) -> Check {
    let source = status.source;
    let check = match (&status.lost, status.last_success) {
        (Some(lost), _) => Check::fail(
            NAME,
            format!("the source `{source}` is lost: {}", lost.error),
        )
        .fix("is it reachable from this machine, and does it know the service under this name?"),
        (None, None) => {
            let seconds = WITHIN.as_secs();
            Check::fail(
                NAME,
                format!("no answer of the source `{source}` within {seconds} s"),
            )
            .fix("is it reachable from this machine, and does a firewall let this machine in?")
        }
        (None, Some(_)) => {
            let found = format!(
                "the source `{source}` has {}",
                counted(status.targets, "target")
            );
            let reasons = status.left_out.reasons().into_iter();
            let left_out: Vec<String> = reasons
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            match (status.targets, left_out.as_slice()) {
                (_, [_, ..]) => {
                    Check::warn(NAME, format!("{found}, left out: {}", left_out.join(", ")))
                        .fix("docs/discovery.md says which targets are left out")
                }
                (0, []) => Check::warn(NAME, found)
                    .fix("requests are answered with 503 until there is one"),
                _ => Check::ok(NAME, found),
            }
        }
    };
    check.about(upstream)
}
