//! Handshakes in memory with certificates made on the spot.

mod client;
mod errors;
mod facts;
mod names;
pub(crate) mod pki;
mod resuming;
mod server;

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{FactsError, ServerTls, TlsFacts};

/// Handshakes in memory need no more of it.
impl std::ops::Deref for ServerTls {
    type Target = Arc<ServerConfig>;

    fn deref(&self) -> &Self::Target {
        &self.config
    }
}

/// Both ends of a connection.
struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn facts(&self) -> Result<TlsFacts, FactsError> {
        TlsFacts::of(&self.server, UnixTime::now())
    }

    fn server_certificate(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().unwrap()[0]
    }

    fn is_resumed(&self) -> bool {
        self.server.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// Which end broke the handshake off, and why.
#[derive(Debug)]
enum Failure {
    Client(rustls::Error),
    Server(rustls::Error),
}

impl Failure {
    fn of_client(self) -> rustls::Error {
        match self {
            Self::Client(error) => error,
            Self::Server(error) => panic!("the server failed instead: {error}"),
        }
    }

    fn of_server(self) -> rustls::Error {
        match self {
            Self::Server(error) => error,
            Self::Client(error) => panic!("the client failed instead: {error}"),
        }
    }
}

/// Runs a handshake to its end, tickets included.
fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Pair, Failure> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    handshake_with_name(client, server, name)
}

fn handshake_with_name(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: ServerName<'static>,
) -> Result<Pair, Failure> {
    let mut pair = Pair {
        client: ClientConnection::new(Arc::clone(client), name).unwrap(),
        server: ServerConnection::new(Arc::clone(server)).unwrap(),
    };
    while pair.client.wants_write() || pair.server.wants_write() {
        let mut wire = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            pair.server.read_tls(&mut rest).unwrap();
            pair.server.process_new_packets().map_err(Failure::Server)?;
        }
        wire.clear();
        while pair.server.wants_write() {
            pair.server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            pair.client.read_tls(&mut rest).unwrap();
            pair.client.process_new_packets().map_err(Failure::Client)?;
        }
    }
    assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
    Ok(pair)
}
