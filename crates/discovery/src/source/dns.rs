//! Targets by DNS: asks again as answers run out (RFC 1035 §3.2.1).

mod answer;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weir_config::model::{DnsRecord, DnsSource};

use crate::feed::Feed;
use answer::{Addresses, Family, Memory, Service, clamp, services_in_use};
use weir_outbound::Backoff;

/// Longest that all questions of one round may take together.
const ROUND: Duration = Duration::from_secs(20);
/// Of one question to one server, where the system's configuration does not say.
const QUESTION: Duration = Duration::from_secs(2);
/// Names behind SRV records that are asked for at a time.
const AT_A_TIME: usize = 32;

pub(crate) async fn run(source: &DnsSource, feed: &Feed) {
    let mut memory = Memory::with(feed.known_before());
    let mut backoff = Backoff::default();
    loop {
        let round = timeout(ROUND, ask(source, feed, &mut memory)).await;
        let pause = match round.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(ttl) => {
                backoff.reset();
                clamp(ttl, source.least_ttl, source.most_ttl)
            }
            Err(error) => {
                feed.failed(format!("{}: {error}", source.name));
                backoff.pause()
            }
        };
        sleep(pause).await;
    }
}

/// Asks once, and tells the feed. Returns how long the answer may be believed.
async fn ask(source: &DnsSource, feed: &Feed, memory: &mut Memory) -> Result<Duration, String> {
    memory.begin();
    let resolver = resolver(&source.servers)?;
    let most = feed.bounds.most_targets;
    let services = match source.record {
        DnsRecord::Addresses { port } => vec![Service {
            name: source.name.clone(),
            port,
            weight: 1,
        }],
        DnsRecord::Service => {
            let (records, ttl) = services(&resolver, &source.name).await?;
            let services = services_in_use(records);
            if services.len() > most {
                let count = services.len();
                return Err(format!(
                    "the answer has {count} SRV records, {most} targets are allowed"
                ));
            }
            memory.limit_ttl(ttl);
            services
        }
    };
    let mut names: Vec<String> = services
        .iter()
        .map(|service| service.name.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    for (name, family, addresses) in addresses(&resolver, names).await {
        memory.note(&name, family, addresses);
    }
    let gathered = memory.gather(&services)?;
    let ttl = gathered.ttl;
    feed.answered(gathered.answer);
    Ok(ttl)
}

/// With the system's configuration as it is now: it may have changed since.
fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder(provider)
            .map_err(|error| format!("the system's resolver configuration is of no use: {error}"))?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, provider);
        builder.options_mut().timeout = QUESTION;
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    let options = builder.options_mut();
    // We keep answers ourselves, for as long as they may be kept.
    options.cache_size = 0;
    options.preserve_intermediates = true;
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    // TCP is for answers that do not fit (RFC 7766 §5).
    let connections = vec![
        with_port(ConnectionConfig::udp()),
        with_port(ConnectionConfig::tcp()),
    ];
    NameServerConfig::new(address.ip(), true, connections)
}

/// The SRV records of a name (RFC 2782) with their priorities.
async fn services(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(Vec<(u16, Service)>, Duration), String> {
    let lookup = resolver
        .lookup(name, RecordType::SRV)
        .await
        .map_err(|error| describe(&error, "SRV"))?;
    let mut ttl = u32::MAX;
    let mut records = Vec::new();
    for record in lookup.answers() {
        ttl = ttl.min(record.ttl);
        if let RData::SRV(srv) = &record.data {
            // A name alone is an unmistakable absence of the service (RFC 2782, "Target").
            if srv.target.is_root() {
                continue;
            }
            let service = Service {
                name: srv.target.to_ascii(),
                port: srv.port,
                weight: u32::from(srv.weight),
            };
            records.push((srv.priority, service));
        }
    }
    Ok((records, Duration::from_secs(u64::from(ttl))))
}

/// What A and AAAA records each name has.
async fn addresses(
    resolver: &TokioResolver,
    names: Vec<String>,
) -> Vec<(String, Family, Addresses)> {
    let families = [Family::V4, Family::V6];
    let mut questions = names
        .into_iter()
        .flat_map(|name| families.map(|family| (name.clone(), family)));
    let mut asked = JoinSet::new();
    let mut found = Vec::new();
    loop {
        while asked.len() < AT_A_TIME {
            let Some((name, family)) = questions.next() else {
                break;
            };
            let resolver = resolver.clone();
            asked.spawn(async move {
                let addresses = lookup(&resolver, &name, family).await;
                (name, family, addresses)
            });
        }
        match asked.join_next().await {
            None => return found,
            Some(Ok(one)) => found.push(one),
            Some(Err(error)) => tracing::error!(%error, "a question to DNS ended in a panic"),
        }
    }
}

async fn lookup(resolver: &TokioResolver, name: &str, family: Family) -> Addresses {
    let (kind, word) = match family {
        Family::V4 => (RecordType::A, "A"),
        Family::V6 => (RecordType::AAAA, "AAAA"),
    };
    let lookup = match resolver.lookup(name, kind).await {
        Ok(lookup) => lookup,
        Err(error) if is_negative(&error) => return Addresses::None,
        Err(error) => return Addresses::Failed(describe(&error, word)),
    };
    // The chain of aliases ends as its first link does.
    let ttl = lookup.answers().iter().map(|record| record.ttl).min();
    let addresses: Vec<IpAddr> = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .collect();
    if addresses.is_empty() {
        return Addresses::None;
    }
    let ttl = Duration::from_secs(u64::from(ttl.unwrap_or(0)));
    Addresses::Some { addresses, ttl }
}

/// Whether the name, or such a record of it, does not exist (RFC 2308 §2).
fn is_negative(error: &NetError) -> bool {
    use hickory_resolver::proto::op::ResponseCode;
    let NetError::Dns(DnsError::NoRecordsFound(none)) = error else {
        return false;
    };
    matches!(
        none.response_code,
        ResponseCode::NXDomain | ResponseCode::NoError
    )
}

fn describe(error: &NetError, record: &str) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let code = none.response_code;
            format!("no {record} records ({code})")
        }
        NetError::Dns(DnsError::ResponseCode(code)) => format!("refused to answer ({code})"),
        NetError::Timeout => "no answer in time".to_owned(),
        NetError::NoConnections => "no server can be reached".to_owned(),
        error => error.to_string(),
    }
}
