//! Requests over HTTP/2 (RFC 9113). The library reads, answers and counts windows; what it would
//! never send is written past it, between its frames.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::JoinSet;

use super::connection::Line;
use super::{Answer, Behaviour, State, lock, malformed};

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// `:status: 200` (RFC 7541, appendix A).
const OK: &[u8] = b"\x88";
/// The same and `content-length: 10`; `content-length: 2`.
const OK_10: &[u8] = b"\x88\x0f\x0d\x0210";
const OK_2: &[u8] = b"\x88\x0f\x0d\x012";
/// `:status: 103`.
const EARLY_HINTS: &[u8] = b"\x08\x03103";
/// A field that is not remembered, of 32 bytes.
const FILLER: &[u8] = b"\x00\x08x-filler\x15aaaaaaaaaaaaaaaaaaaaa";

/// The line, written to by the library and past it.
#[derive(Clone)]
struct Tap(Arc<Mutex<Line>>);

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_shutdown(context)
    }
}

impl Tap {
    async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }
}

type Exchange = (Request<RecvStream>, SendResponse<Bytes>);

pub(super) async fn serve(line: Line, state: &Arc<State>) -> io::Result<()> {
    let mut tap = Tap(Arc::new(Mutex::new(line)));
    let mut connection = h2::server::handshake(tap.clone())
        .await
        .map_err(io::Error::other)?;
    let mut exchanges = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let Ok((request, mut respond)) = accepted else {
            break;
        };
        state.requested(request.method().as_str());
        let behaviour = state.behaviour(request.uri().path());
        let id = respond.stream_id().as_u32();
        match &behaviour {
            Behaviour::RefusedStream => respond.send_reset(Reason::REFUSED_STREAM),
            Behaviour::StreamError => respond.send_reset(Reason::INTERNAL_ERROR),
            Behaviour::ResetBeforeHead => {
                lock(&tap.0).end_with_reset();
                return Ok(());
            }
            Behaviour::SlowHead(pause) => {
                let head = frame(1, END_HEADERS | END_STREAM, id, &FILLER.repeat(8));
                for byte in head {
                    if tap.put(&[byte]).await.is_err() {
                        state.client_left();
                        return Ok(());
                    }
                    tokio::time::sleep(*pause).await;
                }
            }
            Behaviour::Freeze => {
                // Read past the library, which would answer.
                let mut scrap = [0; 4096];
                while matches!(tap.read(&mut scrap).await, Ok(count) if count > 0) {}
                state.client_left();
                return Ok(());
            }
            Behaviour::EndlessHead | Behaviour::EndlessInterims => {
                flood(&mut tap, &behaviour, id).await;
                state.client_left();
                return Ok(());
            }
            _ => {
                if let Some(frames) = written(&behaviour, id)
                    && tap.put(&frames).await.is_err()
                {
                    break;
                }
                if ends_connection(&behaviour) {
                    return Ok(());
                }
                let exchange = exchange((request, respond), behaviour, Arc::clone(state));
                exchanges.spawn(exchange);
            }
        }
    }
    // Those whose client is gone notice.
    while exchanges.join_next().await.is_some() {}
    Ok(())
}

/// What is written past the library.
fn written(behaviour: &Behaviour, id: u32) -> Option<Vec<u8>> {
    let begun = |head, body| [frame(1, END_HEADERS, id, head), frame(0, 0, id, body)].concat();
    Some(match behaviour {
        Behaviour::MalformedHead(at) => frame(1, END_HEADERS, id, malformed::HTTP2[*at]),
        Behaviour::CloseInHead => frame(1, END_HEADERS, id, FILLER)[..12].to_vec(),
        Behaviour::CloseInBody | Behaviour::SlowBody => begun(OK_10, b"hello"),
        Behaviour::CutChunk => begun(OK, b"hello"),
        Behaviour::MalformedBody => begun(OK_2, b"hello"),
        Behaviour::ResetInBody => {
            let reset = frame(3, 0, id, &u32::from(Reason::INTERNAL_ERROR).to_be_bytes());
            [begun(OK_10, b"hello"), reset].concat()
        }
        Behaviour::GoawayBefore => goaway(id.saturating_sub(2), Reason::NO_ERROR),
        Behaviour::GoawayError => goaway(id.saturating_sub(2), Reason::ENHANCE_YOUR_CALM),
        Behaviour::GoawayAfter | Behaviour::GoawayClose => goaway(id, Reason::NO_ERROR),
        _ => return None,
    })
}

fn ends_connection(behaviour: &Behaviour) -> bool {
    matches!(
        behaviour,
        Behaviour::CloseBeforeHead
            | Behaviour::CloseInHead
            | Behaviour::CloseInBody
            | Behaviour::CutChunk
            | Behaviour::GoawayClose
    )
}

/// Goes on until the client closes the connection.
async fn flood(tap: &mut Tap, behaviour: &Behaviour, id: u32) {
    let (first, next) = if *behaviour == Behaviour::EndlessHead {
        let fields = FILLER.repeat(256);
        (frame(1, 0, id, &fields), frame(9, 0, id, &fields))
    } else {
        let interim = frame(1, END_HEADERS, id, EARLY_HINTS);
        (interim.clone(), interim.repeat(256))
    };
    let mut sent = tap.put(&first).await;
    while sent.is_ok() {
        sent = tap.put(&next).await;
    }
}

/// Answers by the library, or waits for the client to give up.
async fn exchange((request, mut respond): Exchange, behaviour: Behaviour, state: Arc<State>) {
    let answer = match behaviour {
        Behaviour::Answer(answer) => answer,
        Behaviour::EndlessBody => return endless(respond, &state).await,
        behaviour if written(&behaviour, 1).is_some() || behaviour == Behaviour::NoHead => {
            if behaviour != Behaviour::GoawayAfter {
                let _ = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                return state.client_left();
            }
            Answer::default()
        }
        // They concern the connection, which stands.
        _ => Answer::default(),
    };
    let mut upload = request.into_body();
    while let Some(piece) = upload.data().await {
        let Ok(piece) = piece else {
            return state.upload_was_aborted();
        };
        let _ = upload.flow_control().release_capacity(piece.len());
    }
    tokio::time::sleep(answer.delay).await;
    let mut head = Response::builder().status(answer.status);
    if let Some(value) = answer.retry_after {
        head = head.header("retry-after", value);
    }
    let Ok(head) = head.body(()) else { return };
    let Ok(mut stream) = respond.send_response(head, answer.body == 0) else {
        return state.client_left();
    };
    if answer.body > 0 {
        let _ = stream.send_data(Bytes::from(vec![b'o'; answer.body]), true);
    }
}

async fn endless(mut respond: SendResponse<Bytes>, state: &State) {
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else {
        return state.client_left();
    };
    loop {
        stream.reserve_capacity(16 * 1024);
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(capacity)) = capacity else {
            return state.client_left();
        };
        if stream
            .send_data(Bytes::from(vec![b'x'; capacity]), false)
            .is_err()
        {
            return state.client_left();
        }
    }
}

/// A frame (§4.1).
fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A GOAWAY frame (§6.8).
fn goaway(last: u32, reason: Reason) -> Vec<u8> {
    let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
    frame(7, 0, 0, &payload)
}
