//! What is told about requests: logs, traces, and the receiver of either.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{Certificate, Material};
use crate::pattern::PathPattern;

/// A share of many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    millionths: u32,
}

impl Share {
    /// Every one.
    pub const ALL: Self = Self {
        millionths: 1_000_000,
    };

    /// `None` for more than all.
    pub const fn of_millionths(millionths: u32) -> Option<Self> {
        if millionths > Self::ALL.millionths {
            return None;
        }
        Some(Self { millionths })
    }

    /// `0.5` for half a percent.
    pub fn percent(self) -> f64 {
        f64::from(self.millionths) / 1e4
    }

    /// Of a million.
    pub fn millionths(self) -> u32 {
        self.millionths
    }

    /// Whether a request belongs to it, by a number that is uniformly random. Whoever belongs to a share
    /// belongs to each larger one, too.
    pub fn takes(self, random: u64) -> bool {
        // Both sides are below 2^64, as the number is cut to its upper 44 bits.
        (random >> 20) * 1_000_000 < u64::from(self.millionths) << 44
    }
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Log {
    /// Form of each line.
    pub format: LogFormat,
    /// Least severe application message that is written.
    pub level: LogLevel,
    /// Where lines go.
    pub output: LogOutput,
    /// Whether each request is logged.
    pub access: bool,
    /// Share of the requests that are logged even if they end well.
    pub sample: Share,
    /// When a log file is moved aside by Weir itself.
    pub rotate: Option<LogRotation>,
    /// Whether queries are logged.
    pub query: bool,
    /// Request headers that are logged.
    pub headers: Vec<HeaderName>,
    /// What is hidden in all of it.
    pub redact: Redaction,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, fields by OpenTelemetry names.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Severity of application messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// What happens: the default.
    Info,
    /// For finding a fault.
    Debug,
    /// Everything.
    Trace,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, opened for appending and opened anew on SIGUSR1.
    File(PathBuf),
    /// [`Otlp`], which is there then.
    Otlp,
}

/// When a log file is moved aside; at least one occasion is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRotation {
    /// At this many bytes.
    pub size: Option<u64>,
    /// After this time.
    pub every: Option<Duration>,
    /// Former files that are kept.
    pub keep: u32,
}

/// What is hidden beside what carries secrets by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Query parameters.
    pub query: Vec<String>,
    /// Header fields.
    pub headers: Vec<HeaderName>,
    /// Paths; what their captures and tails take is hidden.
    pub paths: Vec<PathPattern>,
}

/// Distributed tracing (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Share of the requests that are traced, where the caller has not decided.
    pub sample: Share,
    /// Whose trace context counts.
    pub parent: TrustedParent,
    /// Whether requests that end in an error are traced whatever the share.
    pub errors: bool,
    /// Requests whose answer begins later than this are traced whatever the share.
    pub slow: Option<Duration>,
}

/// Whose trace context counts. Everybody else's traces end here, and a new one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedParent {
    /// That of trusted proxies.
    Proxies,
    /// Everybody's.
    All,
    /// Nobody's.
    Nobody,
}

/// A receiver of telemetry, by the OpenTelemetry protocol.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// `scheme://host:port`
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Sent with each export; values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether exports are compressed with gzip.
    pub compression: bool,
    /// How long an export may take.
    pub timeout: Duration,
    /// PEM bundle to trust; the system's store when `None`.
    pub authorities: Option<Material>,
    /// Client certificate to present.
    pub certificate: Option<Certificate>,
    /// Attributes of this process, with `service.name`.
    pub resource: Vec<(String, String)>,
}

/// The two transports of OTLP that have one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    Http,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_its_part_and_a_larger_one_takes_the_same_and_more() {
        let share = |millionths| Share::of_millionths(millionths).unwrap();
        assert_eq!(Share::of_millionths(1_000_001), None);
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(Share::ALL.takes(random));
            assert!(!share(0).takes(random));
        }
        let step = u64::MAX / 100_000;
        let taken = |share: Share| {
            let numbers = (0..100_000).map(|at| at * step + step / 2);
            numbers.filter(|random| share.takes(*random)).count()
        };
        assert_eq!(taken(share(10_000)), 1_000);
        assert_eq!(taken(share(500)), 50);
        assert!((0..1000).all(|at| !share(10).takes(at * step) || share(20).takes(at * step)));
    }
}
