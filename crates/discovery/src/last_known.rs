//! Targets that outlive the process: `discovery/NAME.json` in the data directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_config::model::{DiscoverySource, DnsRecord, Target};
use weir_files::{Writer, Written};

/// Largest file that is read back.
const LARGEST: u64 = 64 << 20;

/// A target on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    host: String,
    port: u16,
    weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
}

impl From<&Target> for Kept {
    fn from(target: &Target) -> Self {
        Self {
            host: target.host.clone(),
            port: target.port,
            weight: target.weight,
            zone: target.zone.clone(),
        }
    }
}

impl From<Kept> for Target {
    fn from(kept: Kept) -> Self {
        Self {
            host: kept.host,
            port: kept.port,
            weight: kept.weight,
            zone: kept.zone,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct LastKnown {
    /// Who was asked for what: the targets of another service must not be taken for this one's.
    source: String,
    targets: Vec<Kept>,
}

/// Where an upstream's last known targets are. Names of upstreams are safe as names of files.
pub(crate) fn path(data: &Path, upstream: &str) -> PathBuf {
    data.join("discovery").join(format!("{upstream}.json"))
}

/// Has the writer keep them; returns at once.
pub(crate) fn save(
    writer: &Writer,
    path: &Path,
    source: &str,
    targets: &[Target],
) -> std::io::Result<Written> {
    let last_known = LastKnown {
        source: source.to_owned(),
        targets: targets.iter().map(Kept::from).collect(),
    };
    Ok(writer.replace(path, serde_json::to_vec(&last_known)?))
}

/// The targets that this source was last known to have; none if it never had any, or if the file
/// cannot be read, which the log is told.
pub(crate) fn load(path: &Path, source: &str) -> Vec<Target> {
    let read = weir_files::read(path, LARGEST).and_then(|content| match content {
        Some(content) => Ok(Some(serde_json::from_slice::<LastKnown>(&content)?)),
        None => Ok(None),
    });
    match read {
        Ok(Some(last_known)) if last_known.source == source => {
            last_known.targets.into_iter().map(Target::from).collect()
        }
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "last known targets cannot be used");
            Vec::new()
        }
    }
}

/// Who is asked for what, without what does not change the answer.
pub(crate) fn describe(source: &DiscoverySource) -> String {
    let or_default = |text: &Option<String>| text.clone().unwrap_or_default();
    match source {
        DiscoverySource::Dns(dns) => match dns.record {
            DnsRecord::Addresses { port } => format!("dns {} addresses {port}", dns.name),
            DnsRecord::Service => format!("dns {} srv", dns.name),
        },
        DiscoverySource::File { path } => format!("file {}", path.display()),
        DiscoverySource::Consul(consul) => format!(
            "consul {} {} tag={} datacenter={}",
            consul.address,
            consul.service,
            or_default(&consul.tag),
            or_default(&consul.datacenter)
        ),
        DiscoverySource::Kubernetes(kubernetes) => format!(
            "kubernetes {} {}/{} port={}",
            or_default(&kubernetes.api),
            or_default(&kubernetes.namespace),
            kubernetes.service,
            or_default(&kubernetes.port)
        ),
        DiscoverySource::Registration { .. } => "registration".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::target;

    #[test]
    fn targets_come_back_for_the_same_source_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path(), "catalog");
        assert_eq!(load(&path, "dns a srv"), []);
        let targets = [Target {
            weight: 7,
            zone: Some("a".into()),
            ..target("::1", 80)
        }];
        let writer = Writer::new("weir-files", |_, _| {});
        let written = save(&writer, &path, "dns a srv", &targets).unwrap();
        written.wait().unwrap();
        assert_eq!(load(&path, "dns a srv"), targets);
        assert_eq!(load(&path, "dns b srv"), []);
    }

    #[test]
    fn a_damaged_file_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path(), "catalog");
        weir_files::replace(&path, b"{\"source\":\"dns\",\"targets\":[{\"host\"").unwrap();
        assert_eq!(load(&path, "dns"), []);
    }
}
