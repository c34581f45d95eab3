//! Bounds of the process' open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_config::Config;

/// Descriptors that are not for clients and targets: the admin listener and its connections, logs,
/// listeners, configuration files.
const RESERVED: u64 = 512;

/// Raises the limit as far as the system lets us. Every connection is a descriptor, mostly two.
/// Distributions start services with a soft limit of 1,024 for the sake of programs that use
/// `select`, and leave the rest to those that do not.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Lowers `limits.connections` to what the limit of open files allows, so that clients alone can
/// neither shut out the admin listener nor keep Weir from reaching targets.
pub(super) fn fit(config: &mut Config) {
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let wanted = config.limits.connections;
    let most = most_connections(descriptors);
    if wanted > most {
        tracing::warn!(
            wanted,
            allowed = most,
            descriptors,
            "limits.connections is more than the limit of open files allows; raise LimitNOFILE"
        );
        config.limits.connections = most;
    }
}

/// Connections for which there are two descriptors each, beside the reserved ones.
fn most_connections(descriptors: u64) -> usize {
    // With very few, half of them is still for others.
    let reserved = RESERVED.min(descriptors / 2);
    usize::try_from(((descriptors - reserved) / 2).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_for_others_however_few_there_are() {
        assert_eq!(most_connections(20_000), 9_744);
        assert_eq!(most_connections(120), 30);
        assert_eq!(most_connections(1), 1);
    }
}
