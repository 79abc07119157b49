//! Why a handshake with a backend came to nothing, in words for an operator.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::facts::Failed;

/// Why a handshake with a backend came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("its certificate is signed by nobody who is trusted here")]
    Untrusted,
    #[error("its certificate is for another name")]
    WrongName,
    #[error("its certificate has expired")]
    Expired,
    #[error("its certificate is not valid yet")]
    NotYetValid,
    #[error("its certificate is not accepted")]
    Certificate,
    /// It wants to know who we are, for one.
    #[error("it refused the handshake: {}", said(*.0))]
    Alert(AlertDescription),
    #[error("the TLS handshake was not made in time")]
    TimedOut,
    #[error("it closed the connection in the TLS handshake")]
    Closed,
    #[error("it speaks no TLS")]
    NotTls,
    #[error("it shares no version or cipher suite of TLS with us")]
    Incompatible,
    #[error("its TLS handshake is malformed")]
    Malformed,
    #[error("its address has no name that a certificate could be for")]
    NoName,
    #[error("the TLS handshake failed here")]
    Fairlead,
}

impl Trouble {
    pub(super) fn of_io(error: &io::Error) -> Self {
        error.get_ref().and_then(|inner| inner.downcast_ref()).map_or(Self::Closed, Self::of)
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer => Self::Untrusted,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                _ => Self::Certificate,
            },
            Error::AlertReceived(alert) => Self::Alert(*alert),
            error => match Failed::of_tls(error) {
                Failed::NotTls => Self::NotTls,
                Failed::Incompatible => Self::Incompatible,
                Failed::Certificate => Self::Certificate,
                Failed::Fairlead => Self::Fairlead,
                _ => Self::Malformed,
            },
        }
    }

    /// For `Proxy-Status`, the body and the access log.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Untrusted => "the backend's certificate is signed by nobody who is trusted",
            Self::WrongName => "the backend's certificate is for another name",
            Self::Expired => "the backend's certificate has expired",
            Self::NotYetValid => "the backend's certificate is not valid yet",
            Self::Certificate => "the backend's certificate is not accepted",
            Self::Alert(_) => "the backend refused the TLS handshake",
            Self::TimedOut => "the TLS handshake with the backend was not made in time",
            Self::Closed => "the backend closed the connection in the TLS handshake",
            Self::NotTls => "the backend speaks no TLS",
            Self::Incompatible => "the backend shares no version or cipher suite of TLS with us",
            Self::Malformed => "the TLS handshake of the backend is malformed",
            Self::NoName => "the backend has no name that a certificate could be for",
            Self::Fairlead => "the TLS handshake with the backend failed here",
        }
    }

    /// The error type of `Proxy-Status` (RFC 9209 2.3).
    pub(crate) const fn proxy_status(self) -> &'static str {
        match self {
            Self::Untrusted
            | Self::WrongName
            | Self::Expired
            | Self::NotYetValid
            | Self::Certificate
            | Self::NoName => "tls_certificate_error",
            Self::Alert(_) => "tls_alert_received",
            Self::TimedOut => "connection_timeout",
            Self::Closed | Self::NotTls | Self::Incompatible | Self::Malformed | Self::Fairlead => {
                "tls_protocol_error"
            }
        }
    }

    /// For an operator, who knows which name was asked for.
    pub(crate) fn told(self, server_name: &str) -> String {
        match self {
            Self::WrongName => format!("its certificate is not for {server_name}"),
            trouble => trouble.to_string(),
        }
    }

    /// As it is counted.
    pub(crate) fn failed(self) -> Failed {
        match self {
            Self::Untrusted | Self::WrongName | Self::Expired | Self::NotYetValid | Self::Certificate => {
                Failed::Certificate
            }
            Self::Alert(_) => Failed::Rejected,
            Self::TimedOut => Failed::Timeout,
            Self::Closed => Failed::Closed,
            Self::NotTls => Failed::NotTls,
            Self::Incompatible => Failed::Incompatible,
            Self::Malformed => Failed::Malformed,
            Self::NoName | Self::Fairlead => Failed::Fairlead,
        }
    }
}

/// As the registry writes it (RFC 8446 6).
fn said(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::InsufficientSecurity => "insufficient_security",
        AlertDescription::InternalError => "internal_error",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        alert => alert.as_str().unwrap_or("an alert that nobody knows"),
    }
}
