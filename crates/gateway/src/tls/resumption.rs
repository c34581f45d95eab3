//! What lets a client come back without a full handshake, kept across reloads.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};
use weir_config::model::{ListenerTls, TlsVersion};

use super::fingerprint::{Fingerprint, session_scope};

/// Sessions remembered for TLS 1.2 clients without tickets; the oldest give way.
const SESSIONS: usize = 1024;

/// Ticket keys and session caches of all listeners; one for the life of the process.
///
/// A configuration built while its predecessor is still in use takes over the predecessor's, if the rules for
/// client certificates are the same. They must be the same: rustls does not look at them on resumption, so a
/// ticket from a listener that asks for no client certificate would otherwise open one that does, and a
/// ticket signed off by an authority would outlive the authority's removal.
///
/// Nor does it look at what the client was shown, other than the name that it asked for. So every session is
/// bound to the certificates that may answer that name ([`Resumption::bind`]): one that was replaced ends
/// the sessions that it began, and no others.
#[derive(Default)]
pub struct TlsContext {
    scopes: Mutex<HashMap<Fingerprint, Remembered>>,
}

/// Held weakly: what no configuration uses any more is forgotten, and its keys with it.
struct Remembered {
    ticketer: Weak<dyn ProducesTickets>,
    sessions: Weak<dyn StoresServerSessions>,
}

/// The two ways of resuming a session.
#[derive(Clone, Debug)]
pub(super) struct Resumption {
    pub(super) ticketer: Arc<dyn ProducesTickets>,
    pub(super) sessions: Arc<dyn StoresServerSessions>,
}

impl TlsContext {
    /// A context that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the configuration of these settings shares with others of the same settings.
    pub(super) fn resumption(&self, tls: &ListenerTls) -> Result<Resumption, rustls::Error> {
        let scope = session_scope(tls);
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.retain(|_, remembered| remembered.ticketer.strong_count() > 0);
        if let Some(kept) = scopes.get(&scope).and_then(Remembered::upgrade) {
            return Ok(kept);
        }
        // AES-256 and HMAC under random keys that change every six hours; a ticket is good for
        // twelve at most.
        let fresh = Resumption {
            ticketer: Ticketer::new()?,
            sessions: match tls.minimum_version {
                TlsVersion::Tls12 => ServerSessionMemoryCache::new(SESSIONS),
                // TLS 1.3 resumes by ticket alone.
                TlsVersion::Tls13 => Arc::new(NoServerSessionStorage {}),
            },
        };
        scopes.insert(
            scope,
            Remembered {
                ticketer: Arc::downgrade(&fresh.ticketer),
                sessions: Arc::downgrade(&fresh.sessions),
            },
        );
        Ok(fresh)
    }
}

impl Resumption {
    /// Has a configuration resume only those of the sessions that it began with this identity.
    pub(super) fn bind(&self, config: &mut ServerConfig, identity: Fingerprint) {
        config.ticketer = Arc::new(Bound {
            inner: Arc::clone(&self.ticketer),
            identity,
        });
        config.session_storage = Arc::new(Bound {
            inner: Arc::clone(&self.sessions),
            identity,
        });
    }
}

/// A part of all tickets or sessions: those with this identity.
#[derive(Debug)]
struct Bound<T: ?Sized> {
    identity: Fingerprint,
    inner: Arc<T>,
}

impl ProducesTickets for Bound<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.with(plain))
    }

    /// What was encrypted here is authentic, identity included.
    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.inner.decrypt(cipher)?;
        plain
            .strip_prefix(self.identity.bytes())
            .map(<[u8]>::to_vec)
    }
}

impl StoresServerSessions for Bound<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(self.with(&key), value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(&self.with(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.take(&self.with(key))
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl<T: ?Sized> Bound<T> {
    fn with(&self, bytes: &[u8]) -> Vec<u8> {
        [&self.identity.bytes()[..], bytes].concat()
    }
}

impl Remembered {
    fn upgrade(&self) -> Option<Resumption> {
        Some(Resumption {
            ticketer: self.ticketer.upgrade()?,
            sessions: self.sessions.upgrade()?,
        })
    }
}

impl fmt::Debug for TlsContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsContext").finish_non_exhaustive()
    }
}
