//! `/v1/requests`: what happened to the latest requests, one by one.
//!
//! Each is the object that the access log has of it, hidden parts and all.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;
use weir_console::Problem;
use weir_gateway::{AccessRecord, Watching};

use super::{Lasting, SharedState};
use crate::log::write_json;
use crate::requests::{Filter, FilterError, IdStart, Journal, Seen};

/// Requests of an answer, unless it is asked for more.
const LIMIT: usize = 100;
/// How many may look on at a time.
const ONLOOKERS: usize = 32;
/// A line without content, so that whoever went away is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes put together before they are sent.
const PIECE: usize = 16 * 1024;

/// How the list is wanted.
struct Wish {
    filter: Filter,
    limit: usize,
    follows: bool,
}

pub(super) async fn list(
    State(shared): SharedState,
    Extension(lasting): Extension<Lasting>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let wish = read(&query)?;
    let journal = &shared.telemetry.journal;
    if !wish.follows {
        let records = journal.latest(&wish.filter, wish.limit);
        return Ok(answer(journal, &records));
    }
    let told = journal.look_on(wish.filter, ONLOOKERS).ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_onlookers",
            "As many look on as may; try again when one of them has left.",
        )
    })?;
    lasting.begin();
    let onlooker = Onlooker {
        told,
        journal: Arc::clone(journal),
        lasting,
        _watching: shared.node.gateway.watch_requests(),
    };
    let lines = stream::unfold(onlooker, |mut onlooker| async {
        let lines = onlooker.next().await?;
        Some((Ok::<_, Infallible>(lines), onlooker))
    });
    let media_type = HeaderValue::from_static("application/x-ndjson");
    Ok(([(CONTENT_TYPE, media_type)], Body::from_stream(lines)).into_response())
}

pub(super) async fn show(
    State(shared): SharedState,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = IdStart::parse(&id).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_id",
            "The last segment of the path must be the id of a request or a trace, or at least its first 8 digits.",
        )
    })?;
    let journal = &shared.telemetry.journal;
    let records = journal.find(id);
    if records.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "request_not_kept",
            "No request of this id is kept. Only the latest are, as many as `admin.requests` says.",
        ));
    }
    Ok(answer(journal, &records))
}

fn read(query: &[(String, String)]) -> Result<Wish, Problem> {
    let mut wish = Wish {
        filter: Filter::default(),
        limit: LIMIT,
        follows: false,
    };
    for (key, value) in query {
        match &**key {
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=100_000).contains(limit));
                wish.limit =
                    limit.ok_or_else(|| bad("limit must be a number from 1 to 100000".into()))?;
            }
            "follow" => wish.follows = matches!(&**value, "" | "true"),
            "pretty" => {}
            _ => wish
                .filter
                .add(key, value)
                .map_err(|error: FilterError| bad(error.to_string()))?,
        }
    }
    Ok(wish)
}

fn bad(message: String) -> Problem {
    let detail = "The query does not say which requests are wanted.";
    Problem::new(StatusCode::BAD_REQUEST, "bad_filter", detail).with("message", message)
}

fn answer(journal: &Journal, records: &[Arc<AccessRecord>]) -> Response {
    let redactor = journal.redactor();
    let mut text = b"{\"requests\":[".to_vec();
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_json(&mut text, record, &redactor);
        text.pop(); // the line's end
    }
    text.extend_from_slice(b"]}");
    let media_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, media_type)], text).into_response()
}

/// One who looks on as requests end.
struct Onlooker {
    told: Receiver<Seen>,
    journal: Arc<Journal>,
    lasting: Lasting,
    /// Every request comes with a record until it leaves.
    _watching: Watching,
}

impl Onlooker {
    /// The next lines: those that are there, once there is one.
    async fn next(&mut self) -> Option<Bytes> {
        let first = tokio::select! {
            seen = self.told.recv() => seen,
            () = sleep(HEARTBEAT) => return Some(Bytes::from_static(b"\n")),
            () = self.lasting.end() => None,
        };
        let redactor = self.journal.redactor();
        let mut lines = Vec::new();
        let mut next = Some(first?);
        while let Some(seen) = next {
            match seen {
                Seen::Ended(record) => write_json(&mut lines, &record, &redactor),
                Seen::Missed(count) => lines.extend_from_slice(
                    format!("{{\"event.name\":\"weir.requests.missed\",\"count\":{count}}}\n")
                        .as_bytes(),
                ),
            }
            next = if lines.len() < PIECE {
                self.told.try_recv().ok()
            } else {
                None
            };
        }
        Some(lines.into())
    }
}
