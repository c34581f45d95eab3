//! Servers, as the whole process knows them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytestring::ByteString;
use weir_config::model::{Reach, UpstreamHttp2, UpstreamTls};

use super::Connector;
use crate::metrics::{TargetCounters, per_worker};
use crate::tls::{self, TlsError};

/// One server; it outlives the revision that named it first.
#[derive(Debug)]
pub struct Target {
    /// Number that no other combination of address and protocol settings has in this process.
    pub identity: u64,
    /// Address, if one is stated rather than a name.
    pub address: Option<SocketAddr>,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `host:port`, as it stands in `Host` and in logs.
    pub authority: ByteString,
    /// Counters, one set per worker.
    pub counters: Arc<[TargetCounters]>,
    /// TLS and protocol towards it.
    pub(crate) connector: Connector,
    /// Where connections to it may lead.
    pub(crate) reach: Reach,
}

/// How the targets of an upstream are spoken to.
#[derive(Clone)]
pub(crate) struct Speech {
    pub(crate) http2: UpstreamHttp2,
    pub(crate) tls: Option<SpeechTls>,
    /// Where connections to them may lead.
    pub(crate) reach: Reach,
}

#[derive(Clone)]
pub(crate) struct SpeechTls {
    settings: Arc<UpstreamTls>,
    config: Arc<rustls::ClientConfig>,
    fingerprint: tls::Fingerprint,
}

impl Speech {
    pub(crate) fn compile(
        tls: Option<&UpstreamTls>,
        http2: UpstreamHttp2,
        reach: Reach,
    ) -> Result<Self, TlsError> {
        let tls = match tls {
            None => None,
            Some(settings) => Some(SpeechTls {
                config: tls::client_config(settings, http2)?,
                fingerprint: tls::fingerprint::upstream(settings, http2),
                settings: Arc::new(settings.clone()),
            }),
        };
        Ok(Self { http2, tls, reach })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn connector(&self, host: &str) -> Result<Connector, TlsError> {
        let tls = match &self.tls {
            None => None,
            Some(tls) => Some((
                Arc::clone(&tls.config),
                tls::server_name(&tls.settings, host)?,
            )),
        };
        Ok(Connector {
            tls,
            http2: self.http2,
        })
    }
}

/// What makes two targets one and the same, so that connections and counters survive a change.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    port: u16,
    http2: u8,
    tls: Option<tls::Fingerprint>,
    reach: Reach,
}

/// Every target in use.
pub(crate) struct Targets {
    workers: usize,
    identities: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    targets: HashMap<Key, Weak<Target>>,
    /// With so many, those that left are forgotten.
    most: usize,
}

/// Targets below which nobody looks who left.
const FEW: usize = 16;

impl Targets {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            identities: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// The target of that address that is spoken to in that way: the known one, if it is in use.
    pub(crate) fn get(
        &self,
        speech: &Speech,
        host: &str,
        port: u16,
    ) -> Result<Arc<Target>, TlsError> {
        let key = Key {
            host: host.to_owned(),
            port,
            http2: speech.http2 as u8,
            tls: speech.tls.as_ref().map(|tls| tls.fingerprint),
            reach: speech.reach.clone(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = known.targets.get(&key).and_then(Weak::upgrade) {
            return Ok(target);
        }
        let target = Arc::new(self.make(speech, host, port)?);
        // The table stays at most twice as large as what is in use, and ten thousand new targets are not
        // ten thousand looks at all of them.
        if known.targets.len() >= known.most {
            known.targets.retain(|_, target| target.strong_count() > 0);
            known.most = FEW.max(2 * known.targets.len());
        }
        known.targets.insert(key, Arc::downgrade(&target));
        Ok(target)
    }

    fn make(&self, speech: &Speech, host: &str, port: u16) -> Result<Target, TlsError> {
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Ok(Target {
            identity: self.identities.fetch_add(1, Ordering::Relaxed),
            address: host.parse().ok().map(|ip| SocketAddr::new(ip, port)),
            host: host.to_owned(),
            port,
            authority: ByteString::from(authority),
            counters: per_worker(self.workers),
            connector: speech.connector(host)?,
            reach: speech.reach.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Speech {
        Speech {
            http2: UpstreamHttp2::Never,
            tls: None,
            reach: Reach::Anywhere,
        }
    }

    #[test]
    fn a_target_in_use_is_one_and_the_same() {
        let targets = Targets::new(1);
        let first = targets.get(&plain(), "192.0.2.1", 80).expect("a target");
        let again = targets.get(&plain(), "192.0.2.1", 80).expect("a target");
        assert!(Arc::ptr_eq(&first, &again));
        let over_http2 = Speech {
            http2: UpstreamHttp2::Always,
            tls: None,
            reach: Reach::Anywhere,
        };
        let other = targets.get(&over_http2, "192.0.2.1", 80).expect("a target");
        assert_ne!(first.identity, other.identity, "another protocol");
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let targets = Targets::new(1);
        for port in 1..100 {
            drop(targets.get(&plain(), "192.0.2.1", port).expect("a target"));
        }
        let known = targets.known.lock().expect("the table");
        assert!(known.targets.len() <= FEW, "the last ones, until more come");
    }
}
