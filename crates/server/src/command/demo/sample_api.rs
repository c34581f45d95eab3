//! The service behind the demo: a catalogue in memory and a few endpoints that behave oddly on
//! purpose.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long the slow endpoint takes.
const SLOW: Duration = Duration::from_secs(2);
/// Events of the stream, and the time between two of them.
const EVENTS: u32 = 5;
const PACE: Duration = Duration::from_millis(400);
/// The catalogue is kept in memory: it does not grow without end.
const MOST_ITEMS: usize = 1000;

#[derive(Clone, Debug, Serialize)]
struct Item {
    id: usize,
    #[serde(flatten)]
    details: Details,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Details {
    name: String,
    /// In cents.
    price: u32,
}

type Catalogue = Arc<Mutex<Vec<Item>>>;

/// Starts the service on a free port of the loopback; it runs until the process ends.
pub(super) fn start() -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("weir-demo-api".to_owned())
        .spawn(move || {
            // Only fails if the listener does, which the requests to it will show.
            let _ = runtime.block_on(async { axum::serve(listener, router()).await });
        })?;
    Ok(address)
}

fn router() -> Router {
    let items = [("kettle", 3900), ("teapot", 4500), ("cup", 900)];
    let items = items.iter().enumerate().map(|(index, (name, price))| Item {
        id: index + 1,
        details: Details {
            name: (*name).to_owned(),
            price: *price,
        },
    });
    Router::new()
        .route("/items", get(list).post(create))
        .route("/items/{id}", get(read))
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/slow", get(slow))
        .route("/stream", get(events))
        .with_state(Arc::new(Mutex::new(items.collect())))
}

async fn list(State(catalogue): State<Catalogue>) -> Json<Vec<Item>> {
    Json(
        catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
}

async fn read(State(catalogue): State<Catalogue>, Path(id): Path<usize>) -> Response {
    let catalogue = catalogue.lock().unwrap_or_else(PoisonError::into_inner);
    match catalogue.iter().find(|item| item.id == id) {
        Some(item) => Json(item.clone()).into_response(),
        None => error(StatusCode::NOT_FOUND, "no such item"),
    }
}

async fn create(State(catalogue): State<Catalogue>, Json(details): Json<Details>) -> Response {
    let mut catalogue = catalogue.lock().unwrap_or_else(PoisonError::into_inner);
    if catalogue.len() >= MOST_ITEMS {
        return error(StatusCode::INSUFFICIENT_STORAGE, "the catalogue is full");
    }
    let item = Item {
        id: catalogue.len() + 1,
        details,
    };
    catalogue.push(item.clone());
    let location = [(LOCATION, format!("/items/{}", item.id))];
    (StatusCode::CREATED, location, Json(item)).into_response()
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: String) -> Json<Value> {
    let fields: Vec<Value> = headers
        .iter()
        .map(|(name, value)| {
            json!(format!(
                "{name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ))
        })
        .collect();
    Json(json!({
        "method": method.as_str(),
        "target": uri.to_string(),
        "headers": fields,
        "body": body,
    }))
}

async fn slow() -> Json<Value> {
    tokio::time::sleep(SLOW).await;
    Json(json!({ "waited_ms": SLOW.as_millis() as u64 }))
}

async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(1, |number| async move {
        if number > EVENTS {
            return None;
        }
        if number > 1 {
            tokio::time::sleep(PACE).await;
        }
        let event = Event::default()
            .id(number.to_string())
            .data(format!("tick {number}"));
        Some((Ok(event), number + 1))
    }))
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
