//! Bodies: whole, or line by line, never more than was agreed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{Answer, BODY_BYTES, BODY_TIME, Connection, HEAD_BYTES, HttpError, describe};

impl Answer {
    /// The body as JSON; an answer other than 200 is an error.
    ///
    /// # Errors
    /// If the answer is another one, too large or too slow, or not the expected JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        if self.status != http::StatusCode::OK {
            return Err(HttpError::Status(self.status));
        }
        let body = self.whole(BODY_BYTES, BODY_TIME).await?;
        serde_json::from_slice(&body)
            .map_err(|error| HttpError::Exchange(format!("the answer is not as expected: {error}")))
    }

    /// The body of a refusal as JSON, if it is that.
    pub async fn error_body<T: DeserializeOwned>(self) -> Option<T> {
        let body = self.whole(HEAD_BYTES, BODY_TIME).await.ok()?;
        serde_json::from_slice(&body).ok()
    }

    /// The whole body, of at most `most` bytes, within `patience`.
    ///
    /// # Errors
    /// If it is longer, slower, or broken off.
    pub async fn whole(self, most: usize, patience: Duration) -> Result<Bytes, HttpError> {
        let Self {
            body, connection, ..
        } = self;
        let read = timeout(patience, collect(body, most))
            .await
            .map_err(|_| HttpError::Silent(patience))?;
        drop(connection);
        read
    }

    /// The body line by line, each of at most `most` bytes.
    pub fn lines(self, most: usize) -> Lines {
        Lines {
            body: self.body,
            _connection: self.connection,
            read: BytesMut::new(),
            searched: 0,
            most,
        }
    }
}

async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, HttpError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = piece(&mut body).await? {
        if whole.len() + piece.len() > most {
            return Err(HttpError::TooLarge(most));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next data of a body; trailers are passed over.
async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, HttpError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::Exchange(describe(&error)))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Lines of a body that has no end.
pub struct Lines {
    body: Incoming,
    _connection: Connection,
    read: BytesMut,
    /// Bytes of `read` that are known to hold no line feed.
    searched: usize,
    most: usize,
}

impl Lines {
    /// The next line that is not empty, without its end; `None` where the body ends. What is left
    /// over without a line feed then is the last line. Cancel safe.
    ///
    /// # Errors
    /// If a line is longer than agreed, or the body is broken off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            while let Some(line) = self.take() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.read.len() > self.most {
                return Err(HttpError::TooLarge(self.most));
            }
            match piece(&mut self.body).await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None if self.read.trim_ascii().is_empty() => return Ok(None),
                None => return Ok(Some(self.read.split().freeze())),
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let found = self.read[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(at) = found else {
            self.searched = self.read.len();
            return None;
        };
        let line = self.read.split_to(self.searched + at + 1).freeze();
        self.searched = 0;
        Some(line)
    }
}
