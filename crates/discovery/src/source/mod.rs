//! The sources. Each is a loop that asks, and tells its [`Feed`] what came of it.

pub(crate) mod consul;
pub(crate) mod dns;
pub(crate) mod file;
pub(crate) mod kubernetes;
pub(crate) mod registration;

use std::path::Path;
use std::sync::Arc;

use weir_config::model::{ConsulSource, Discovery, DiscoverySource, DnsSource, KubernetesSource};
use weir_files::Writer;

use crate::accept::Bounds;
use crate::feed::Feed;
use kubernetes::Pod;
use registration::Table;

/// A source with what it needs to run.
pub(crate) enum Source {
    Dns(DnsSource),
    File(std::path::PathBuf),
    Consul(ConsulSource),
    Kubernetes(KubernetesSource, Pod),
    Registration(Arc<Table>),
}

impl Source {
    /// Also hands out the table that targets register in, if that is the source.
    pub(crate) fn new(
        settings: &Discovery,
        data: &Path,
        writer: &Writer,
        upstream: &str,
        bounds: Bounds,
        pod: &Pod,
    ) -> (Self, Option<Arc<Table>>) {
        match &settings.source {
            DiscoverySource::Dns(dns) => (Self::Dns(dns.clone()), None),
            DiscoverySource::File { path } => (Self::File(path.clone()), None),
            DiscoverySource::Consul(consul) => (Self::Consul(consul.clone()), None),
            DiscoverySource::Kubernetes(kubernetes) => {
                (Self::Kubernetes(kubernetes.clone(), pod.clone()), None)
            }
            DiscoverySource::Registration { expiry, token } => {
                let path = Table::path(data, upstream);
                let table = Arc::new(Table::open(
                    path,
                    writer.clone(),
                    *expiry,
                    token.clone(),
                    bounds,
                ));
                (Self::Registration(Arc::clone(&table)), Some(table))
            }
        }
    }
}

/// Asks until the task is aborted.
pub(crate) async fn run(source: Source, feed: Arc<Feed>) {
    match source {
        Source::Dns(dns) => dns::run(&dns, &feed).await,
        Source::File(path) => file::run(&path, &feed).await,
        Source::Consul(consul) => consul::run(&consul, &feed).await,
        Source::Kubernetes(kubernetes, pod) => kubernetes::run(&kubernetes, &pod, &feed).await,
        Source::Registration(table) => registration::run(&table, &feed).await,
    }
}
