//! Why a connection ended before it brought a request.

/// Why a connection was refused or given up before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many connections are open as `limits.connections` allows.
    Connections,
    /// Its address has as many as `limits.connections_per_address` allows.
    AddressConnections,
    /// Its address is banned.
    Banned,
    /// The process holds far more memory than `overload.memory`.
    Memory,
    /// The PROXY header or the TLS handshake did not come in time.
    HandshakeTimeout,
    /// Nothing came in time.
    FirstByteTimeout,
}

impl Refusal {
    /// All of them, in the order of [`crate::metrics::WorkerCounters::refused`].
    pub const ALL: [Self; 6] = [
        Self::Connections,
        Self::AddressConnections,
        Self::Banned,
        Self::Memory,
        Self::HandshakeTimeout,
        Self::FirstByteTimeout,
    ];

    /// The stable word for log and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::AddressConnections => "connections_per_address",
            Self::Banned => "banned",
            Self::Memory => "memory_pressure",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
        }
    }
}
