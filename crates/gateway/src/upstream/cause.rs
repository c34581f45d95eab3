//! Words for the operator: why a connection to a target failed. They are fixed texts, so that
//! they cost nothing to keep and can be searched for; they never reach a client.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError, Error};

/// Too many open files, of the system and of the process: the library has no kind for them. The
/// numbers are the same on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Why no TCP connection was made.
pub(super) fn of_connecting(error: &io::Error) -> &'static str {
    if matches!(error.raw_os_error(), Some(ENFILE | EMFILE)) {
        return "too many open files here";
    }
    match error.kind() {
        ErrorKind::AddrNotAvailable => "no free local port",
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::NetworkUnreachable => "network unreachable",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::TimedOut => "no answer within the system's own limit",
        ErrorKind::PermissionDenied => "forbidden by the system here",
        _ => "connecting failed",
    }
}

/// Why a TLS handshake failed.
pub(super) fn of_handshake(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(error)) => of_certificate(error),
        Some(Error::AlertReceived(alert)) => of_alert(*alert),
        Some(Error::InvalidMessage(_)) => "the answer is not TLS",
        Some(Error::PeerIncompatible(_)) => "no TLS version or cipher in common",
        Some(Error::NoApplicationProtocol) => "no protocol in common",
        Some(_) => "handshake failed",
        None => match error.kind() {
            ErrorKind::UnexpectedEof => "connection closed in the handshake",
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "connection reset in the handshake"
            }
            _ => "handshake failed",
        },
    }
}

fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate for another name"
        }
        CertificateError::UnknownIssuer => "certificate of an unknown authority",
        CertificateError::Revoked => "certificate revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate not for servers"
        }
        CertificateError::BadSignature => "certificate with a bad signature",
        _ => "certificate not valid",
    }
}

/// What the target said before it hung up.
fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure => "alert handshake_failure",
        AlertDescription::BadCertificate => "alert bad_certificate",
        AlertDescription::UnsupportedCertificate => "alert unsupported_certificate",
        AlertDescription::CertificateRevoked => "alert certificate_revoked",
        AlertDescription::CertificateExpired => "alert certificate_expired",
        AlertDescription::CertificateUnknown => "alert certificate_unknown",
        AlertDescription::UnknownCA => "alert unknown_ca",
        AlertDescription::AccessDenied => "alert access_denied",
        AlertDescription::ProtocolVersion => "alert protocol_version",
        AlertDescription::InternalError => "alert internal_error",
        AlertDescription::UnrecognisedName => "alert unrecognized_name",
        AlertDescription::CertificateRequired => "alert certificate_required",
        AlertDescription::NoApplicationProtocol => "alert no_application_protocol",
        _ => "alert",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_words() {
        assert_eq!(
            of_connecting(&ErrorKind::ConnectionRefused.into()),
            "connection refused"
        );
        assert_eq!(
            of_connecting(&io::Error::from_raw_os_error(EMFILE)),
            "too many open files here"
        );
        assert_eq!(of_connecting(&ErrorKind::Other.into()), "connecting failed");
    }

    #[test]
    fn what_tls_says_is_found_inside_of_the_error() {
        let said = |error: Error| of_handshake(&io::Error::new(ErrorKind::InvalidData, error));
        let certificate = CertificateError::UnknownIssuer;
        assert_eq!(
            said(Error::InvalidCertificate(certificate)),
            "certificate of an unknown authority"
        );
        assert_eq!(
            said(Error::AlertReceived(AlertDescription::UnknownCA)),
            "alert unknown_ca"
        );
        assert_eq!(
            of_handshake(&ErrorKind::UnexpectedEof.into()),
            "connection closed in the handshake"
        );
    }
}
