//! The health service of gRPC (`grpc.health.v1.Health/Check`, `doc/health-checking.md`).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};
use weir_core::GrpcStatus;

use super::{MOST_HEAD, Wrong, broken, uri};
use crate::upstream::Target;

const PATH: &str = "/grpc.health.v1.Health/Check";
/// Flags and length in front of a message.
const FRAME_HEAD: usize = 5;
/// The answer is two bytes; so many are read of one that says more.
const MOST_ANSWER: usize = 1024;

/// Asks whether a service serves; the empty one stands for all of the server.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    target: &Target,
    service: &str,
    host: Option<&str>,
    timeout: Duration,
) -> Result<(), Wrong> {
    let is_secure = target.connector.tls.is_some();
    let host = host.unwrap_or(&target.authority);
    let uri = uri(is_secure, host, PATH).ok_or(Wrong::Question)?;
    let request = Request::post(uri)
        .header(USER_AGENT, super::USER_AGENT)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(
            "grpc-timeout",
            format!("{}m", timeout.as_millis().clamp(1, 99_999_999)),
        )
        .body(())
        .map_err(|_| Wrong::Question)?;
    let (mut sender, connection) = h2::client::Builder::new()
        .max_header_list_size(MOST_HEAD)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| broken(&error))?;
    let exchange = async {
        std::future::poll_fn(|context| sender.poll_ready(context))
            .await
            .map_err(|error| broken(&error))?;
        let (response, mut upload) = sender
            .send_request(request, false)
            .map_err(|error| broken(&error))?;
        upload
            .send_data(question(service), true)
            .map_err(|error| broken(&error))?;
        verdict(response.await.map_err(|error| broken(&error))?).await
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        verdict = &mut exchange => verdict,
        // The answer may have come with the end.
        _ = &mut connection => exchange.await,
    }
}

/// `HealthCheckRequest`: field 1 is the service's name, of 128 bytes at most.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if let Ok(length @ 1..) = u8::try_from(service.len()) {
        message.put_slice(&[0x0a]);
        if length >= 0x80 {
            message.put_slice(&[length, 1]);
        } else {
            message.put_slice(&[length]);
        }
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

async fn verdict(response: http::Response<h2::RecvStream>) -> Result<(), Wrong> {
    let (head, mut body) = response.into_parts();
    let status = |map: &http::HeaderMap| {
        let value = map.get("grpc-status")?;
        Some(GrpcStatus::parse(value.as_bytes()))
    };
    if let Some(status) = status(&head.headers).filter(|status| *status != GrpcStatus::Ok) {
        return Err(Wrong::Grpc(status));
    }
    if !head.status.is_success() {
        return Err(Wrong::Status(head.status.as_u16()));
    }
    let mut answer = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| broken(&error))?;
        let _ = body.flow_control().release_capacity(piece.len());
        if answer.len() + piece.len() > MOST_ANSWER {
            return Err(Wrong::Malformed("the health service says too much"));
        }
        answer.put_slice(&piece);
    }
    let trailers = body.trailers().await.map_err(|error| broken(&error))?;
    let ended = status(&trailers.unwrap_or_default()).or_else(|| status(&head.headers));
    match ended {
        Some(GrpcStatus::Ok) => serving(&answer),
        Some(status) => Err(Wrong::Grpc(status)),
        None => Err(Wrong::Malformed("no gRPC status")),
    }
}

/// `HealthCheckResponse`: field 1 is the state; 0 is not written.
fn serving(answer: &[u8]) -> Result<(), Wrong> {
    let malformed = Wrong::Malformed("not an answer of a health service");
    let Some((&[0, a, b, c, d], message)) = answer.split_first_chunk() else {
        return Err(malformed);
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(malformed);
    }
    match message {
        [0x08, 1, ..] => Ok(()),
        [] | [0x08, 0, ..] => Err(Wrong::NotServing("UNKNOWN")),
        [0x08, 2, ..] => Err(Wrong::NotServing("NOT_SERVING")),
        [0x08, 3, ..] => Err(Wrong::NotServing("SERVICE_UNKNOWN")),
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_framed_message() {
        assert_eq!(&question("")[..], b"\0\0\0\0\0");
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = "a".repeat(128);
        assert_eq!(&question(&long)[..8], b"\0\0\0\0\x83\x0a\x80\x01");
    }

    #[test]
    fn only_serving_is_healthy() {
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x01"), Ok(()));
        for (answer, word) in [
            (&b"\0\0\0\0\0"[..], "UNKNOWN"),
            (b"\0\0\0\0\x02\x08\0", "UNKNOWN"),
            (b"\0\0\0\0\x02\x08\x02", "NOT_SERVING"),
            (b"\0\0\0\0\x02\x08\x03", "SERVICE_UNKNOWN"),
        ] {
            assert_eq!(serving(answer), Err(Wrong::NotServing(word)));
        }
        for garbage in [
            &b""[..],
            b"\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x09\x08\x01",
            b"\0\0\0\0\x02\x08\x7f",
        ] {
            assert!(
                matches!(serving(garbage), Err(Wrong::Malformed(_))),
                "{garbage:?}"
            );
        }
    }
}
