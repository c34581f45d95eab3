//! Requests and responses over HTTP/1.1 on both sides.

mod expect;
mod failures;
mod files;
mod framing;
mod httpbin;
mod pressure;
mod reuse;
