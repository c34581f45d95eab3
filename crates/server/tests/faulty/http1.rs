//! Requests over HTTP/1.1.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::connection::Line;
use super::{Answer, Behaviour, State, malformed};

/// Enough to be slow with, and its body.
const SLOW: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Filler: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\nok";
const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

struct Request {
    method: String,
    path: String,
    body: Length,
    expects_continue: bool,
}

enum Length {
    Known(u64),
    Chunked,
}

/// What becomes of the connection behind an answer.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    End,
}

pub(super) async fn serve(line: Line, state: &Arc<State>) -> io::Result<()> {
    let mut line = BufReader::new(line);
    while let Some(request) = read_head(&mut line).await? {
        state.requested(&request.method);
        if request.expects_continue {
            line.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if read_body(&mut line, &request.body).await.is_err() {
            state.upload_was_aborted();
            return Ok(());
        }
        let behaviour = state.behaviour(&request.path);
        match respond(&mut line, &behaviour, &request.method).await {
            Ok(Next::Stay) => {}
            Ok(Next::End) => return Ok(()),
            Err(_) => {
                state.client_left();
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Fails when the client left before the end of what was to be sent.
async fn respond(
    line: &mut BufReader<Line>,
    behaviour: &Behaviour,
    method: &str,
) -> io::Result<Next> {
    match behaviour {
        Behaviour::CloseBeforeHead => {}
        Behaviour::ResetBeforeHead => line.get_ref().end_with_reset(),
        Behaviour::CloseInHead => line.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await?,
        Behaviour::SlowHead(pause) => {
            for byte in SLOW {
                line.write_all(&[*byte]).await?;
                tokio::time::sleep(*pause).await;
            }
        }
        Behaviour::NoHead => return hold(line).await,
        Behaviour::MalformedHead(at) => {
            line.write_all(malformed::HTTP1[*at]).await?;
            return hold(line).await;
        }
        Behaviour::EndlessHead => {
            line.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            return repeat(line, b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await;
        }
        Behaviour::EndlessInterims => {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
            return repeat(line, hints).await;
        }
        Behaviour::CloseInBody => line.write_all(BEGUN).await?,
        Behaviour::CutChunk => {
            line.write_all(CHUNKED).await?;
            line.write_all(b"a\r\nhello").await?;
        }
        Behaviour::ResetInBody => {
            line.write_all(BEGUN).await?;
            line.get_ref().end_with_reset();
        }
        Behaviour::MalformedBody => {
            line.write_all(CHUNKED).await?;
            line.write_all(b"5\r\nhello\r\nzz\r\n").await?;
            return hold(line).await;
        }
        Behaviour::SlowBody => {
            line.write_all(BEGUN).await?;
            return hold(line).await;
        }
        Behaviour::EndlessBody => {
            line.write_all(CHUNKED).await?;
            return repeat(line, b"10\r\n0123456789abcdef\r\n").await;
        }
        Behaviour::GoawayBefore
        | Behaviour::GoawayError
        | Behaviour::GoawayAfter
        | Behaviour::GoawayClose
        | Behaviour::RefusedStream
        | Behaviour::StreamError => {
            return answer(line, &Answer::status(501), method).await;
        }
        Behaviour::Answer(wanted) => return answer(line, wanted, method).await,
        // They concern the connection, which stands.
        _ => return answer(line, &Answer::default(), method).await,
    }
    line.flush().await?;
    Ok(Next::End)
}

async fn answer(line: &mut BufReader<Line>, answer: &Answer, method: &str) -> io::Result<Next> {
    tokio::time::sleep(answer.delay).await;
    let Answer { status, body, .. } = answer;
    let mut message = format!("HTTP/1.1 {status} As Told\r\n");
    if let Some(value) = &answer.retry_after {
        message.push_str(&format!("Retry-After: {value}\r\n"));
    }
    let has_body = ![204, 304].contains(status);
    if has_body {
        message.push_str(&format!("Content-Length: {body}\r\n"));
    }
    message.push_str("\r\n");
    if has_body && method != "HEAD" {
        message.push_str(&"o".repeat(*body));
    }
    line.write_all(message.as_bytes()).await?;
    line.flush().await?;
    Ok(Next::Stay)
}

/// Waits for the client to leave.
async fn hold(line: &mut BufReader<Line>) -> io::Result<Next> {
    line.flush().await?;
    line.get_mut().drain().await;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Sends the same until the client leaves.
async fn repeat(line: &mut BufReader<Line>, bytes: &[u8]) -> io::Result<Next> {
    let many = bytes.repeat(16 * 1024 / bytes.len());
    loop {
        line.write_all(&many).await?;
    }
}

/// `None` when the connection ended, or something else than a request came.
async fn read_head(line: &mut BufReader<Line>) -> io::Result<Option<Request>> {
    let mut text = String::new();
    line.read_line(&mut text).await?;
    let mut words = text.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut request = Request {
        method,
        path,
        body: Length::Known(0),
        expects_continue: false,
    };
    loop {
        text.clear();
        if line.read_line(&mut text).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = text.trim_end().split_once(':') else {
            return Ok(Some(request));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => request.body = Length::Known(value.parse().unwrap_or(0)),
            "transfer-encoding" => request.body = Length::Chunked,
            "expect" => request.expects_continue = true,
            _ => {}
        }
    }
}

async fn read_body(line: &mut BufReader<Line>, length: &Length) -> io::Result<()> {
    match length {
        Length::Known(length) => skip(line, *length).await,
        Length::Chunked => loop {
            let mut size = String::new();
            line.read_line(&mut size).await?;
            let size = u64::from_str_radix(size.trim_end(), 16)
                .map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            // With what ends the chunk; trailers are not sent here.
            skip(line, size + 2).await?;
            if size == 0 {
                return Ok(());
            }
        },
    }
}

async fn skip(line: &mut BufReader<Line>, length: u64) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut line.take(length), &mut tokio::io::sink()).await?;
    if skipped < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
