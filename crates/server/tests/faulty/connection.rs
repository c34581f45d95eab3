//! One connection, up to where a protocol is known.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Behaviour, State, http1, http2, lock};

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection, with or without TLS.
pub(super) struct Line {
    transport: Box<dyn Transport>,
    /// The same socket once more, to say how it ends.
    socket: OwnedFd,
}

impl Line {
    /// It ends with RST, and not with FIN, when it is dropped.
    pub(super) fn end_with_reset(&self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }

    /// Reads until the client closes.
    pub(super) async fn drain(&mut self) {
        let mut scrap = [0; 4096];
        while matches!(self.read(&mut scrap).await, Ok(count) if count > 0) {}
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    // Ends when the connection does; there is nobody to tell.
    let _ = serve_stream(stream, &state).await;
}

async fn serve_stream(stream: TcpStream, state: &Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = stream.as_fd().try_clone_to_owned()?;
    let behaviour = lock(&state.behaviour).clone();
    if behaviour == Behaviour::NeverRead {
        return std::future::pending().await;
    }
    if state.certificates.is_some() {
        return serve_tls(stream, socket, &behaviour, state).await;
    }
    let mut first = [0; 3];
    while stream.peek(&mut first).await? < first.len() {
        // Fewer bytes are there at once only if the client sends them one by one.
        tokio::task::yield_now().await;
        if stream.peek(&mut first).await? == 0 {
            return Ok(());
        }
    }
    let line = Line {
        transport: Box::new(stream),
        socket,
    };
    if first == *b"PRI" {
        http2::serve(line, state).await
    } else {
        http1::serve(line, state).await
    }
}

async fn serve_tls(
    mut stream: TcpStream,
    socket: OwnedFd,
    behaviour: &Behaviour,
    state: &Arc<State>,
) -> io::Result<()> {
    let mut hello = [0; 16 * 1024];
    match behaviour {
        Behaviour::TlsGarbage | Behaviour::TlsSilence => {
            if *behaviour == Behaviour::TlsGarbage {
                stream.write_all(b"220 mail.test ready\r\n").await?;
            }
            while stream.read(&mut hello).await? > 0 {}
            state.client_left();
            return Ok(());
        }
        Behaviour::TlsClose => {
            // What is not read would make the end a reset.
            let _ = stream.read(&mut hello).await?;
            return stream.shutdown().await;
        }
        _ => {}
    }
    let Some(certificates) = &state.certificates else {
        return Ok(());
    };
    let acceptor = TlsAcceptor::from(certificates.of(behaviour));
    let stream = acceptor.accept(stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let line = Line {
        transport: Box::new(stream),
        socket,
    };
    if is_http2 {
        http2::serve(line, state).await
    } else {
        http1::serve(line, state).await
    }
}
