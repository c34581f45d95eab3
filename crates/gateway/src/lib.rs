//! The data plane: accepts connections, reads requests, routes and forwards them.
//!
//! Thread per core; nothing is shared on the hot path but one immutable [`Snapshot`] of the
//! compiled configuration. This crate does not read files, does not know the command line and never
//! waits for anything but the client and the upstream. Start reading at `request.rs`.

mod accept;
mod admission;
mod affinity;
mod aggregate;
mod altered;
mod appetite;
mod backoff;
mod body;
mod buffers;
mod client;
mod control;
mod cookies;
mod deny;
mod failure;
pub mod fields;
mod forward;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod grpc;
pub mod header_rules;
mod health;
mod hedge;
pub mod hop;
mod http1;
mod http2;
pub mod identify;
mod intake;
mod listen;
mod message;
pub mod metrics;
pub mod organization;
mod output;
mod overload;
mod path;
pub mod proxy_protocol;
pub mod reason;
mod record;
pub mod render;
mod request;
mod reshape;
mod retry;
pub mod rewrite;
pub mod router;
mod shaping;
mod snapshot;
mod sse;
mod stream;
mod timer;
pub mod tls;
mod trace;
pub mod traffic;
mod transform;
mod trial;
mod upstream;
mod validate;
pub mod websocket;
mod whole;
mod worker;

pub use failure::Failure;
pub use fields::Fields;
pub use shaping::preflight;

pub use altered::{Alteration, Altered};
pub use gateway::{Gateway, GatewayError, Remembered, Rings, Socket, Watching};
pub use health::{CheckAnswer, ChecksReport, HealthReport, HealthState, Standing};
pub use message::Version;
pub use overload::{Ban, Refusal, Source};
pub use record::AccessRecord;
pub use snapshot::{RouteReport, Snapshot, UpstreamReport};
pub use trace::{AttemptOutcome, AttemptRecord, TraceIds, TraceRecord};
pub use upstream::{BreakerReport, Load, Member, MemberState, Phase, Target};
