//! Heads that are too large, refused in the form of every other refusal. The engine would say the status and nothing else;
//! it does so only for heads far beyond.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_console::Problem;

/// Bytes of a request's head.
const BYTES: usize = 16 * 1024;
/// Fields of it.
const FIELDS: usize = 100;
/// What the engine reads before it refuses by itself.
pub(super) const MOST_BYTES: usize = 4 * BYTES;
pub(super) const MOST_FIELDS: usize = 4 * FIELDS;

/// How long is read what nobody wants any more.
const LINGER: Duration = Duration::from_secs(2);

pub(super) async fn bound(request: Request, next: Next) -> Response {
    match is_too_large(&request) {
        false => next.run(request).await,
        true => Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            format!(
                "The request's head, its path and query included, has more than {} KiB or {FIELDS} fields.",
                BYTES >> 10
            ),
        )
        .into_response(),
    }
}

fn is_too_large(request: &Request) -> bool {
    // What stands between a name and a value, and at the end of a line.
    const AROUND: usize = 4;
    let fields = request.headers();
    let lines = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + AROUND);
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    fields.len() > FIELDS || target + lines.sum::<usize>() > BYTES
}

/// Reads on after the last answer until the client has left. A socket that is closed with something unread resets the
/// connection, and the answer to a request that was refused before all of it came would be lost on its way.
pub(super) async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut discarded = vec![0; 16 * 1024];
    let read_on =
        async { while matches!(stream.read(&mut discarded).await, Ok(read) if read > 0) {} };
    let _ = timeout(LINGER, read_on).await;
}
