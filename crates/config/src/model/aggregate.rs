//! Answers that are made of several upstream's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use weir_transform::Program;

use super::{HostHeader, Rewrite, TransformLimits};

/// An answer that is made of several upstream's.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// At least one, by unique names, in the order of the answer.
    pub parts: Vec<Part>,
    /// How many are asked for at a time; at least one.
    pub concurrency: usize,
    /// Whether the answer names parts that failed.
    pub shows_errors: bool,
    /// What makes the answer of the object of parts; `None` is that object.
    pub program: Option<Arc<Program>>,
    /// `body` bounds each part.
    pub limits: TransformLimits,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its key in the answer.
    pub name: String,
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Always [`Rewrite::Path`]: path and query to ask for.
    pub path: Rewrite,
    /// What to send as `Host`.
    pub host: HostHeader,
    /// Fields of the request that are passed on.
    pub headers: Vec<HeaderName>,
    /// Until the part's last byte.
    pub timeout: Duration,
    /// Whether there is no answer without it.
    pub is_required: bool,
    /// JSON that stands in its place if it fails.
    pub fallback: Option<Bytes>,
}
