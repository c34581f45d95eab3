//! The smallest reverse proxy that hyper allows: one thread, one upstream, a pool of connections.
//!
//! It shows what the library alone costs beside Weir, and does nothing that a gateway must do: no
//! routes, limits, deadlines, logs or forwarding headers. Not for use.
//!
//! `hyper-proxy PLAIN_ADDRESS TLS_ADDRESS UPSTREAM_ADDRESS CHAIN.pem KEY.pem`

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, version::TLS13};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;
/// The upstream and its idle connections, oldest first: the oldest is surely ready again.
struct Upstream {
    address: SocketAddr,
    idle: RefCell<VecDeque<SendRequest<Incoming>>>,
}

impl Upstream {
    async fn connection(&self) -> Result<SendRequest<Incoming>, Failure> {
        loop {
            let Some(mut sender) = self.idle.borrow_mut().pop_front() else {
                break;
            };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(sender)
    }

    async fn forward(
        self: Rc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<impl Body<Data = Bytes, Error = hyper::Error>>, Failure> {
        if let Some(authority) = request.uri().authority() {
            let host = HeaderValue::from_str(authority.as_str())?;
            let path = request.uri().path_and_query().cloned();
            request.headers_mut().insert(HOST, host);
            *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        }
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().remove(CONNECTION);

        let mut sender = self.connection().await?;
        let mut response = sender.send_request(request).await?;
        response.headers_mut().remove(CONNECTION);
        response.headers_mut().remove(TRANSFER_ENCODING);
        let lease = Lease {
            sender: Some(sender),
            upstream: self,
        };
        Ok(response.map(|body| {
            body.map_err(move |error| {
                let _held_until_the_bodys_end = &lease;
                error
            })
        }))
    }
}

/// Gives a connection back when the body that came over it is dropped. If that was before its end,
/// the connection closes and is never ready again.
struct Lease {
    sender: Option<SendRequest<Incoming>>,
    upstream: Rc<Upstream>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.upstream.idle.borrow_mut().extend(self.sender.take());
    }
}

/// Runs hyper's futures on this thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

async fn serve<S>(stream: S, is_http2: bool, upstream: Rc<Upstream>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| Rc::clone(&upstream).forward(request));
    // A client that goes away is no error here.
    let _ = if is_http2 {
        http2::Builder::new(Local)
            .serve_connection(stream, service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .await
    };
}

async fn accept(
    address: String,
    tls: Option<TlsAcceptor>,
    upstream: Rc<Upstream>,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, upstream) = (tls.clone(), Rc::clone(&upstream));
        spawn_local(async move {
            let Some(tls) = tls else {
                return serve(stream, false, upstream).await;
            };
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(stream, is_http2, upstream).await;
        });
    }
}

fn tls_acceptor(chain: &str, key: &str) -> Result<TlsAcceptor, Failure> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_protocol_versions(&[&TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [plain, tls, upstream, chain, key] = arguments.as_slice() else {
        return Err(
            "usage: hyper-proxy PLAIN_ADDRESS TLS_ADDRESS UPSTREAM_ADDRESS CHAIN.pem KEY.pem"
                .into(),
        );
    };
    let acceptor = tls_acceptor(chain, key)?;
    let upstream = Rc::new(Upstream {
        address: upstream.parse()?,
        idle: RefCell::default(),
    });
    let listeners = async {
        tokio::try_join!(
            accept(plain.clone(), None, Rc::clone(&upstream)),
            accept(tls.clone(), Some(acceptor), Rc::clone(&upstream)),
        )
    };
    LocalSet::new().run_until(listeners).await.map(|_| ())
}
