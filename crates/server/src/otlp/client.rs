//! Sends one export to the receiver and tells what came of it (OTLP specification, "OTLP/gRPC" and
//! "OTLP/HTTP").

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TE, USER_AGENT,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use weir_config::model::{Otlp, OtlpProtocol};

use super::attributes::text;
use super::lane::Signal;

/// Bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// A receiver.
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: String,
    protocol: OtlpProtocol,
    headers: HeaderMap,
    compression: bool,
    pub(super) timeout: Duration,
    pub(super) resource: Resource,
}

/// Why an export came to nothing.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) text: String,
    /// Whether the same export can succeed later, and how long the receiver asks to wait.
    pub(super) retry: Option<Option<Duration>>,
}

impl Fault {
    fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            retry: Some(None),
        }
    }

    fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            retry: None,
        }
    }
}

impl Client {
    pub(super) fn new(settings: &Otlp) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.timeout));
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings)?)
            .https_or_http();
        let is_grpc = settings.protocol == OtlpProtocol::Grpc;
        let connector = if is_grpc {
            tls.enable_http2().wrap_connector(connector)
        } else {
            tls.enable_http1().wrap_connector(connector)
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(is_grpc)
            .build(connector);
        let attributes = settings.resource.iter();
        Ok(Self {
            http,
            endpoint: settings.endpoint.clone(),
            protocol: settings.protocol,
            headers: headers(settings),
            compression: settings.compression,
            timeout: settings.timeout,
            resource: Resource {
                attributes: attributes.map(|(key, value)| text(key, value)).collect(),
                ..Resource::default()
            },
        })
    }

    /// How many items the receiver would not have of an export that it took.
    pub(super) async fn export<S: Signal>(&self, message: &Bytes) -> Result<u64, Fault> {
        let exchange = async {
            match self.protocol {
                OtlpProtocol::Grpc => self.call(S::GRPC, message).await,
                OtlpProtocol::Http => self.post(S::HTTP, message).await,
            }
        };
        let answer = tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| Fault::passing(format!("no answer within {:?}", self.timeout)))??;
        match S::rejected(&answer) {
            Some((rejected, why)) if rejected > 0 => {
                tracing::warn!(rejected, why, "the receiver of telemetry took only a part");
                Ok(rejected)
            }
            _ => Ok(0),
        }
    }

    fn request(&self, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::post(format!("{}{path}", self.endpoint))
            .body(Full::new(body))
            .map_err(|error| Fault::lasting(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// A unary call (gRPC over HTTP/2). The message's prefix says whether it is compressed.
    async fn call(&self, path: &str, message: &Bytes) -> Result<Bytes, Fault> {
        let message = self.compressed(message)?;
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_u8(u8::from(self.compression));
        let length = u32::try_from(message.len());
        body.put_u32(length.map_err(|_| Fault::lasting("the export is too large"))?);
        body.extend_from_slice(&message);
        let response = self
            .http
            .request(self.request(path, body.freeze())?)
            .await
            .map_err(|error| Fault::passing(describe(&error)))?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(by_status(head.status, &head.headers));
        }
        let body = Limited::new(body, ANSWER)
            .collect()
            .await
            .map_err(|error| Fault::passing(format!("the answer broke off: {error}")))?;
        // Without a body the status stands in the head.
        let trailers = body.trailers().unwrap_or(&head.headers).clone();
        let code = trailers.get("grpc-status").map(HeaderValue::as_bytes);
        if code == Some(b"0") {
            let answer = body.to_bytes();
            return Ok(answer.slice(answer.len().min(5)..));
        }
        Err(by_code(code, &trailers))
    }

    async fn post(&self, path: &str, message: &Bytes) -> Result<Bytes, Fault> {
        let message = self.compressed(message)?;
        let response = self
            .http
            .request(self.request(path, message)?)
            .await
            .map_err(|error| Fault::passing(describe(&error)))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(by_status(head.status, &head.headers));
        }
        let body = Limited::new(body, ANSWER).collect().await;
        let body =
            body.map_err(|error| Fault::passing(format!("the answer broke off: {error}")))?;
        Ok(body.to_bytes())
    }

    fn compressed(&self, message: &Bytes) -> Result<Bytes, Fault> {
        if !self.compression {
            return Ok(message.clone());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(message).and_then(|()| encoder.finish());
        written
            .map(Bytes::from)
            .map_err(|error| Fault::lasting(error.to_string()))
    }
}

fn headers(settings: &Otlp) -> HeaderMap {
    let mut headers: HeaderMap = settings.headers.iter().cloned().collect();
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    let gzip = HeaderValue::from_static("gzip");
    match settings.protocol {
        OtlpProtocol::Grpc => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if settings.compression {
                headers.insert("grpc-encoding", gzip);
            }
        }
        OtlpProtocol::Http => {
            let protobuf = HeaderValue::from_static("application/x-protobuf");
            headers.insert(CONTENT_TYPE, protobuf);
            if settings.compression {
                headers.insert(CONTENT_ENCODING, gzip);
            }
        }
    }
    headers
}

/// Which HTTP statuses are worth a repeat.
fn by_status(status: StatusCode, headers: &HeaderMap) -> Fault {
    let text = format!("answered {status}");
    if !matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Fault::lasting(text);
    }
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|seconds| seconds.trim().parse().ok());
    Fault {
        text,
        retry: Some(asked.map(Duration::from_secs)),
    }
}

/// Which codes of gRPC are worth a repeat. `RESOURCE_EXHAUSTED` is only if the receiver says so in
/// the details.
fn by_code(code: Option<&[u8]>, trailers: &HeaderMap) -> Fault {
    let shown = code.map_or("no status".into(), String::from_utf8_lossy);
    let message = trailers.get("grpc-message");
    let message = message.map_or("".into(), |text| String::from_utf8_lossy(text.as_bytes()));
    let text = format!("answered gRPC status {shown} {message}");
    let says_when = trailers.contains_key("grpc-status-details-bin");
    match code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; none at all.
        None | Some(b"1" | b"4" | b"10" | b"11" | b"14" | b"15") => Fault::passing(text),
        Some(b"8") if says_when => Fault::passing(text),
        Some(_) => Fault::lasting(text),
    }
}

fn tls(settings: &Otlp) -> anyhow::Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    match &settings.authorities {
        Some(bundle) => {
            for certificate in CertificateDer::pem_slice_iter(bundle.bytes.expose()) {
                store.add(certificate.context("the authorities cannot be read as PEM")?)?;
            }
        }
        // Not looked for where they are of no use: it takes a while.
        None if settings.endpoint.starts_with("https://") => {
            let system = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(system.certs);
        }
        None => {}
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store);
    let Some(own) = &settings.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(own.chain.bytes.expose());
    let chain = chain
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate cannot be read as PEM")?;
    let key = PrivateKeyDer::from_pem_slice(own.key.bytes.expose())
        .context("the key cannot be read as PEM")?;
    builder
        .with_client_auth_cert(chain, key)
        .context("certificate and key cannot be used")
}

/// The error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_repeat_can_mend_is_repeated() {
        let status = |code: u16| by_status(StatusCode::from_u16(code).unwrap(), &HeaderMap::new());
        let repeated = |code: &u16| status(*code).retry.is_some();
        let codes = [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504];
        let found: Vec<u16> = codes.into_iter().filter(repeated).collect();
        assert_eq!(found, [429, 502, 503, 504]);
        let code = |code: &str| by_code(Some(code.as_bytes()), &HeaderMap::new());
        let found: Vec<u32> = (1..=16)
            .filter(|number: &u32| code(&number.to_string()).retry.is_some())
            .collect();
        assert_eq!(found, [1, 4, 10, 11, 14, 15]);
        let mut details = HeaderMap::new();
        details.insert("grpc-status-details-bin", HeaderValue::from_static("CAg"));
        assert!(by_code(Some(b"8"), &details).retry.is_some());
        assert!(by_code(Some(b"3"), &details).retry.is_none());
    }

    #[test]
    fn the_receiver_says_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(" 7"));
        let fault = by_status(StatusCode::SERVICE_UNAVAILABLE, &headers);
        assert_eq!(fault.retry, Some(Some(Duration::from_secs(7))));
    }
}
