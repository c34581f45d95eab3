//! HTTP/2 as a client.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::PATIENCE;

/// Runs a client to its end, within a generous deadline.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(3 * PATIENCE, future)
            .await
            .expect("an end in time")
    })
}

/// A connection.
pub struct H2Client {
    pub sender: SendRequest<Bytes>,
}

/// A whole response.
#[derive(Debug)]
pub struct H2Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl H2Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl H2Client {
    /// With prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Over TLS, agreed on by ALPN.
    pub async fn connect_tls(
        address: SocketAddr,
        name: &'static str,
        config: Arc<ClientConfig>,
    ) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Self {
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        // Whoever has a stream on it sees its errors.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Self { sender }
    }

    pub async fn get(&self, url: &str) -> Result<H2Answer, h2::Error> {
        self.send(Request::get(url).body(()).unwrap(), Bytes::new(), None)
            .await
    }

    /// Sends a request and waits for all of its answer; both flow at the same time.
    pub async fn send(
        &self,
        request: Request<()>,
        body: Bytes,
        trailers: Option<HeaderMap>,
    ) -> Result<H2Answer, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let is_head_only = body.is_empty() && trailers.is_none();
        let (response, stream) = sender.send_request(request, is_head_only)?;
        if !is_head_only {
            tokio::task::spawn_local(upload(stream, body, trailers));
        }
        let (parts, mut receive) = response.await?.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = receive.data().await {
            let piece = piece?;
            receive.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        let trailers = receive.trailers().await?;
        Ok(H2Answer {
            status: parts.status.as_u16(),
            fields: parts.headers,
            body,
            trailers,
        })
    }
}

async fn upload(mut stream: h2::SendStream<Bytes>, mut body: Bytes, trailers: Option<HeaderMap>) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        // If there is none, the answer tells why.
        let Some(Ok(capacity)) = capacity else { return };
        let piece = body.split_to(capacity.min(body.len()));
        let is_last = body.is_empty() && trailers.is_none();
        if stream.send_data(piece, is_last).is_err() {
            return;
        }
    }
    if let Some(trailers) = trailers {
        let _ = stream.send_trailers(trailers);
    }
}
