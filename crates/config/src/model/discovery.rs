//! Where an upstream's targets come from when the file does not list them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use weir_core::Secret;

use super::Material;

/// A source of targets and what is accepted from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Who is asked.
    pub source: DiscoverySource,
    /// Networks that targets may be in; empty allows every one. A target outside is left out.
    pub networks: Vec<IpNet>,
    /// An answer with more targets than this is refused as a whole.
    pub most_targets: usize,
}

/// Who is asked for targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoverySource {
    /// DNS.
    Dns(DnsSource),
    /// A YAML or JSON file that something else writes.
    File {
        /// The file: a list as under `targets`, or a mapping with that key.
        path: PathBuf,
    },
    /// Consul's health endpoint, by blocking queries.
    Consul(ConsulSource),
    /// Kubernetes' EndpointSlices, by list and watch.
    Kubernetes(KubernetesSource),
    /// Targets announce themselves through the admin API.
    Registration {
        /// A target that was not heard of for this long is gone.
        expiry: Duration,
        /// What a target must present as bearer token; without it every client of the admin
        /// listener may register.
        token: Option<Secret<String>>,
    },
}

impl DiscoverySource {
    /// The key under which the file declares it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::File { .. } => "file",
            Self::Consul(_) => "consul",
            Self::Kubernetes(_) => "kubernetes",
            Self::Registration { .. } => "registration",
        }
    }
}

/// Targets by DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSource {
    /// The name.
    pub name: String,
    /// What is asked for.
    pub record: DnsRecord,
    /// Servers to ask; those of `/etc/resolv.conf` if empty.
    pub servers: Vec<SocketAddr>,
    /// Answers are believed for their TTL, but at least this long …
    pub least_ttl: Duration,
    /// … and at most this long.
    pub most_ttl: Duration,
}

/// What DNS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// A and AAAA; the port is the same for all.
    Addresses {
        /// Port of every target.
        port: u16,
    },
    /// SRV (RFC 2782): ports and weights come with the answer; only the lowest priority is used.
    Service,
}

/// Targets by Consul's HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulSource {
    /// `http://host:port` or `https://host:port`.
    pub address: String,
    /// Name of the service.
    pub service: String,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Another datacenter than the agent's own.
    pub datacenter: Option<String>,
    /// Sent as `X-Consul-Token`.
    pub token: Option<Secret<String>>,
    /// PEM bundle to trust; the system's store when `None`.
    pub authorities: Option<Material>,
}

/// Targets by Kubernetes' API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSource {
    /// `https://host:port` of the API server; the one of the pod's environment when `None`.
    pub api: Option<String>,
    /// Namespace of the service; the pod's own when `None`.
    pub namespace: Option<String>,
    /// Name of the service.
    pub service: String,
    /// Name or number of the slice's port; needed if it has several.
    pub port: Option<String>,
    /// File with the bearer token, read anew as it changes; the pod's own when `None`.
    pub token: Option<PathBuf>,
    /// PEM bundle to trust; the pod's own when `None`.
    pub authorities: Option<Material>,
}
