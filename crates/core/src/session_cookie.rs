//! The cookie in which browsers keep a session: the sign-in pages set it, and the gateway reads it.

/// Where cookies cannot be `Secure`: in plain text on one machine, for development.
pub const PLAIN: &str = "weir_session";

/// Everywhere else. `__Host-` has browsers refuse it unless it is `Secure`, of one host alone and of all its paths
/// (RFC 6265bis §4.1.3.2), so that no neighbour of that host can put another one in its place.
pub const SECURE: &str = "__Host-weir_session";
