//! The status of a gRPC call.

/// A status code of gRPC (`doc/statuscodes.md` of the gRPC project).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GrpcStatus {
    /// It went well.
    Ok,
    /// Given up, most often by the client.
    Cancelled,
    /// An error nobody has a word for.
    Unknown,
    /// The client's mistake, whatever state the service is in.
    InvalidArgument,
    /// The deadline passed first.
    DeadlineExceeded,
    /// What was asked for is not there.
    NotFound,
    /// What was to be made is there already.
    AlreadyExists,
    /// The caller is known, and may not.
    PermissionDenied,
    /// A quota, or room, is used up.
    ResourceExhausted,
    /// The service is not in the state that this needs.
    FailedPrecondition,
    /// Another call came in between.
    Aborted,
    /// Beyond the valid range.
    OutOfRange,
    /// There is no such method here.
    Unimplemented,
    /// Something is broken.
    Internal,
    /// Not now; perhaps soon.
    Unavailable,
    /// Data is lost for good.
    DataLoss,
    /// The caller is not known.
    Unauthenticated,
}

impl GrpcStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The number that stands in `grpc-status`.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status of a number. One that nobody has defined counts as `UNKNOWN`, as clients have it; so
    /// does what is no number.
    pub fn parse(text: &[u8]) -> Self {
        let number = std::str::from_utf8(text).ok();
        let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .and_then(|text| text.parse::<usize>().ok())
            .and_then(|number| Self::ALL.get(number).copied())
            .unwrap_or(Self::Unknown)
    }

    /// The name that the gRPC project gave it: `UNAVAILABLE`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The HTTP status that says the same (`google/rpc/code.proto`): what is judged by HTTP statuses
    /// judges calls by this one.
    pub const fn http(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// What an answer without `grpc-status` means (`doc/http-grpc-status-mapping.md`).
    pub const fn of_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_what_is_none_is_unknown() {
        for (number, status) in GrpcStatus::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(status.code()), number);
            assert_eq!(GrpcStatus::parse(number.to_string().as_bytes()), status);
        }
        for text in [
            "",
            "17",
            "-1",
            "+1",
            "1 ",
            "99999999999999999999999",
            "OK",
            "\u{661}",
        ] {
            assert_eq!(
                GrpcStatus::parse(text.as_bytes()),
                GrpcStatus::Unknown,
                "{text:?}"
            );
        }
    }
}
