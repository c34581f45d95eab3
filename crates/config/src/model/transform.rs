//! Programs that change bodies.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use weir_transform::Program;

/// Changes to the bodies of a route; at least one of the two.
#[derive(Clone, Debug)]
pub struct Transform {
    /// Of what is sent to the upstream.
    pub request: Option<Transformation>,
    /// Of what is sent to the client.
    pub response: Option<Transformation>,
    /// What a change may take.
    pub limits: TransformLimits,
}

/// A change of a body that is JSON.
#[derive(Clone, Debug)]
pub struct Transformation {
    /// What it does.
    pub program: Arc<Program>,
    /// The type of what it makes; `None` is what it was.
    pub content_type: Option<HeaderValue>,
    /// Whether bodies that are no JSON are refused. Otherwise they pass as they are.
    pub rejects_other: bool,
    /// Whether answers with an error are changed as well.
    pub every_status: bool,
}

/// What a change of a body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformLimits {
    /// Bytes of a body, as it comes and decompressed.
    pub body: usize,
    /// Bytes of what is made of it.
    pub output: usize,
    /// Bytes of all values on the way.
    pub memory: u64,
    /// Processor time.
    pub time: Duration,
}
