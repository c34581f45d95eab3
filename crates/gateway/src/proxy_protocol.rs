//! The PROXY protocol, versions 1 and 2: who really connected, told by the balancer in front
//! (`proxy-protocol.txt` of HAProxy, 2020/03/05 and later).
//!
//! [`parse`] is pure and incremental; [`read_header`] takes exactly the header's bytes off a socket,
//! so that a TLS handshake or a request can follow on the bare socket without a wrapper.
//!
//! Whoever can reach a listener with the PROXY protocol can claim any address: the header is only as
//! trustworthy as the network in front.
//!
//! Own code, because the header decides whom access rules see and the crates read it generously:
//! `ppp` 2.3 takes `+80` for a port and datagram transports on a stream, `proxy-header` 0.1 takes
//! leading zeros, any byte after `PROXY` and any text after `UNKNOWN`; neither checks the CRC32C.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes of the longest header that is accepted, of either version.
pub const MAXIMUM_LENGTH: usize = v2::MAXIMUM_LENGTH;

/// Room for any version 1 header and for the usual version 2 header with a few extensions.
const INITIAL_BUFFER: usize = 256;

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The client. `None`: use the connection's own peer address. An IPv4 address that was mapped
    /// into IPv6 is given as IPv4, so that address rules cannot be passed by.
    pub source: Option<SocketAddr>,
    /// The address that the client connected to; there whenever `source` is.
    pub destination: Option<SocketAddr>,
    /// The balancer speaks for itself, for example to check our health (v2 `LOCAL`).
    pub local: bool,
    /// Name that the client asked the balancer for, as it was sent (v2 `PP2_TYPE_AUTHORITY`).
    pub authority: Option<String>,
    /// The client reached the balancer over TLS (v2 `PP2_TYPE_SSL`).
    pub tls: bool,
}

/// Outcome of looking at the first bytes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The bytes are the beginning of a header, and all of them belong to it.
    NeedMore,
    /// A whole header.
    Done {
        /// What it says.
        header: Header,
        /// How many bytes it took; what follows belongs to the connection.
        length: usize,
    },
}

/// Why a connection's first bytes are no acceptable header. The connection has to be closed.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The connection begins with something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    NotProxy,
    /// The header exceeds what its version or this implementation allows.
    #[error("the PROXY protocol header is longer than {0} bytes")]
    TooLong(usize),
    /// The header breaks a rule of its version.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
    /// The header is for a kind of connection that cannot have led here.
    #[error("the PROXY protocol header announces an unsupported {0}")]
    Unsupported(&'static str),
    /// The CRC32C extension does not match the header.
    #[error("the PROXY protocol header has a wrong checksum")]
    Checksum,
    /// The connection ended within the header.
    #[error("the connection ended within the PROXY protocol header")]
    Closed,
    /// The socket failed.
    #[error("the PROXY protocol header could not be read")]
    Io(#[from] io::Error),
}

/// Looks for a header at the start of `bytes`.
///
/// A wrong start is refused at its first wrong byte. A version 2 header may carry up to 4 KiB of
/// extensions, more is refused as soon as it is announced.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if agrees(bytes, v2::SIGNATURE) {
        return v2::parse(bytes);
    }
    if agrees(bytes, v1::PREFIX) {
        return v1::parse(bytes);
    }
    Err(ProxyError::NotProxy)
}

/// Whether `bytes` begin with `prefix`, or `prefix` with `bytes`.
fn agrees(bytes: &[u8], prefix: &[u8]) -> bool {
    let common = bytes.len().min(prefix.len());
    bytes[..common] == prefix[..common]
}

/// Reads the header that the connection must begin with and not one byte more.
///
/// There is no deadline inside: put the caller's handshake deadline around it.
pub async fn read_header(stream: &mut TcpStream) -> Result<Header, ProxyError> {
    let mut buffer = vec![0; INITIAL_BUFFER];
    let mut taken = 0;
    loop {
        let peeked = stream.peek(&mut buffer[taken..]).await?;
        if peeked == 0 {
            return Err(ProxyError::Closed);
        }
        // Without an end in sight all peeked bytes belong to the header: taking them off the
        // socket is what makes the next peek wait for new ones.
        let (end, header) = match parse(&buffer[..taken + peeked])? {
            Parsed::NeedMore => (taken + peeked, None),
            Parsed::Done { header, length } => (length, Some(header)),
        };
        stream.read_exact(&mut buffer[taken..end]).await?;
        if let Some(header) = header {
            return Ok(header);
        }
        taken = end;
        if taken == buffer.len() {
            buffer.resize(MAXIMUM_LENGTH, 0);
        }
    }
}
