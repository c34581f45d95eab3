//! A client's handshake.

use std::io;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::server::ServerTls;

/// A fatal alert, `unrecognized_name` (RFC 6066 §3), in a record of its own (RFC 8446 §5.1, §6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Does a handshake. Where a listener has no certificate of its own, who asks for a name that no other is
/// for is told so; rustls by itself would say `access_denied`.
pub(crate) async fn accept<S>(tls: ServerTls, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(config) = tls.for_all() {
        return TlsAcceptor::from(config).accept(stream).await;
    }
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    let name = hello.server_name();
    let is_answered = tls.certificates.answers_all()
        || tls
            .certificates
            .pick(name, hello.signature_schemes())
            .is_some();
    if is_answered {
        let config = tls.for_name(name);
        return start.into_stream(config).await;
    }
    start.io.write_all(&UNRECOGNIZED_NAME).await?;
    start.io.shutdown().await?;
    let message = "no certificate is for the name that the client asks for";
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
