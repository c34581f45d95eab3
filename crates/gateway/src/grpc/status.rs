//! Which status a call ends with that is answered or cut here.
//!
//! The mapping of HTTP statuses that gRPC gives clients (`doc/http-grpc-status-mapping.md`) is for those
//! who know no better. Here the reason is known: `docs/grpc.md` has the table.

use weir_core::GrpcStatus;

use crate::failure::Failure;

pub(super) fn of(failure: Failure) -> GrpcStatus {
    match failure {
        Failure::NoRoute
        | Failure::MethodNotAllowed
        | Failure::UndocumentedPath
        | Failure::UndocumentedMethod => GrpcStatus::Unimplemented,
        // As servers do with what is larger than they take, and with more calls than they take.
        Failure::BodyTooLarge
        | Failure::BodyTooLargeToCheck
        | Failure::HeadTooLarge
        | Failure::Banned(_)
        | Failure::Overloaded
        | Failure::MemoryPressure
        | Failure::UpstreamBusy
        | Failure::TransformBusy
        | Failure::QueueTimeout => GrpcStatus::ResourceExhausted,
        Failure::DeadlineExceeded(_)
        | Failure::UpstreamTimeout
        | Failure::UpstreamStalled
        | Failure::BodyTimeout
        | Failure::BodyTooSlow
        | Failure::WriteTimeout
        | Failure::WriteTooSlow => GrpcStatus::DeadlineExceeded,
        Failure::ClientClosed => GrpcStatus::Cancelled,
        // The call did not get far: it is safe to try again.
        Failure::ConnectTimeout => GrpcStatus::Unavailable,
        Failure::InvalidRequest(_)
        | Failure::UnsupportedMediaType(_)
        | Failure::UnsupportedBody(_) => GrpcStatus::InvalidArgument,
        Failure::Loop | Failure::UpstreamMalformed(_) | Failure::ResponseTransform(_) => {
            GrpcStatus::Internal
        }
        _ => GrpcStatus::of_http(failure.status().as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reason::{self, REASONS};

    const PAGE: &str = include_str!("../../../../docs/grpc.md");

    /// Failures that can end a call; those that are left out come before a request is known to be one,
    /// or cannot concern HTTP/2.
    const ALL: [Failure; 46] = [
        Failure::Malformed(""),
        Failure::BodyTooLarge,
        Failure::BadPath(""),
        Failure::Loop,
        Failure::BodyTimeout,
        Failure::BodyTooSlow,
        Failure::WriteTimeout,
        Failure::WriteTooSlow,
        Failure::ClientClosed,
        Failure::Banned(1),
        Failure::Overloaded,
        Failure::MemoryPressure,
        Failure::OrganizationSuspended,
        Failure::OrganizationMissing,
        Failure::CredentialMissing,
        Failure::CredentialRefused(""),
        Failure::Forbidden(""),
        Failure::IdentityUnavailable(""),
        Failure::NoRoute,
        Failure::MethodNotAllowed,
        Failure::InvalidRequest(""),
        Failure::UnsupportedMediaType(""),
        Failure::UndocumentedPath,
        Failure::UndocumentedMethod,
        Failure::BodyTooLargeToCheck,
        Failure::ValidationBusy,
        Failure::UnsupportedBody(""),
        Failure::ResponseTransform(""),
        Failure::TransformBusy,
        Failure::NoTarget,
        Failure::CircuitOpen(1),
        Failure::UpstreamBusy,
        Failure::QueueTimeout,
        Failure::DeadlineExceeded(""),
        Failure::Resolve,
        Failure::Connect(""),
        Failure::ConnectTimeout,
        Failure::UpstreamTls(""),
        Failure::UpstreamReset(""),
        Failure::UpstreamTimeout,
        Failure::UpstreamStalled,
        Failure::UpstreamMalformed(""),
        Failure::HeadTooLarge,
        Failure::UnknownCoding,
        Failure::UnknownVersion,
        Failure::MethodNotForwarded,
    ];

    /// The rows of the page: a reason and its status.
    fn rows() -> BTreeMap<&'static str, &'static str> {
        let cells = PAGE.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let reason = cells.next()?.strip_suffix('`')?;
            let status = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            reason::find(reason).map(|_| (reason, status))
        });
        cells.collect()
    }

    #[test]
    fn the_page_has_a_row_for_each_reason_and_tells_the_truth() {
        let rows = rows();
        let told: BTreeMap<_, _> = ALL
            .into_iter()
            .filter(|failure| rows.contains_key(failure.reason()))
            .map(|failure| (failure.reason(), of(failure).as_str()))
            .collect();
        assert_eq!(told, rows);
        let without: Vec<_> = REASONS
            .iter()
            .map(|reason| reason.word)
            .filter(|reason| !rows.contains_key(reason))
            .collect();
        let never = [
            "head_too_large",
            "unknown_transfer_coding",
            "unknown_version",
            "method_not_forwarded",
            "unknown_expectation",
            "head_timeout",
            "redirect",
            "preflight",
            "preflight_refused",
            "respond",
            "encoding_failed",
            // A request for a WebSocket is no call.
            "websocket_handshake",
            "websocket_version",
            "websocket_origin",
            "websocket_limit",
            "websocket_protocol",
            "websocket_too_big",
            "websocket_idle",
            "going_away",
            "upstream_without_websocket",
            // Calls are not JSON, and aggregates take none.
            "body_too_large_to_change",
            "request_transform_failed",
            "aggregate",
            "aggregate_partial",
            "aggregate_failed",
        ];
        assert_eq!(without, never);
    }
}
