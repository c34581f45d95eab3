//! What lets a client come back without a full handshake, kept across reloads.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
/// A configuration built while its predecessor is still in use takes over the predecessor's, if
/// certificates, keys and the rules for client certificates are the same. They must be the same:
/// rustls checks neither on resumption, so a ticket from a listener that asks for no client
/// certificate would otherwise open one that does, and a ticket signed off by an authority would
/// outlive the authority's removal.
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
