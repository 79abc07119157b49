//! What a handshake came to.

use fairlead_wire::client_hello::ServerName;
use rustls::{CommonState, Error, HandshakeKind, InvalidMessage, ProtocolVersion};

/// What is known of a connection once its handshake is over.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// The cipher suite, by its name in the registry.
    pub(crate) cipher: &'static str,
    /// The protocol that was agreed on, if one was.
    pub(crate) protocol: Option<Box<[u8]>>,
    /// The name that the client asked for.
    pub(crate) server_name: Option<ServerName>,
}

/// The kinds of handshakes that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tls12,
    Tls12Resumed,
    Tls13,
    Tls13Resumed,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Tls12, Self::Tls12Resumed, Self::Tls13, Self::Tls13Resumed];

    /// As the configuration writes it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Tls12 | Self::Tls12Resumed => "1.2",
            Self::Tls13 | Self::Tls13Resumed => "1.3",
        }
    }

    pub(crate) fn is_resumed(self) -> bool {
        matches!(self, Self::Tls12Resumed | Self::Tls13Resumed)
    }
}

/// Why a handshake failed, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It took too long.
    Timeout,
    /// The client went away.
    Closed,
    /// What it sent is no TLS.
    NotTls,
    /// There is no version, cipher suite, key exchange or protocol that both know.
    Incompatible,
    /// The client didn't like ours: it doesn't know who signed our certificate, for one.
    Rejected,
    /// What it sent breaks the protocol.
    Malformed,
    /// The client's certificate isn't accepted.
    Certificate,
    /// Ours.
    Fairlead,
}

impl Failed {
    pub(crate) const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::Incompatible,
        Self::Rejected,
        Self::Malformed,
        Self::Certificate,
        Self::Fairlead,
    ];

    /// As metrics write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::Certificate => "certificate",
            Self::Fairlead => "fairlead",
        }
    }

    pub(super) fn of(error: &std::io::Error) -> Self {
        error.get_ref().and_then(|inner| inner.downcast_ref()).map_or(Self::Closed, Self::of_tls)
    }

    pub(super) fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::AlertReceived(_) => Self::Rejected,
            Error::NoCertificatesPresented
            | Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_) => Self::Certificate,
            Error::General(_) | Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes => {
                Self::Fairlead
            }
            _ => Self::Malformed,
        }
    }
}

impl Facts {
    /// Of a connection whose handshake is over.
    pub(super) fn of(state: &CommonState, server_name: Option<ServerName>) -> Self {
        let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
        let kind = match (state.protocol_version() == Some(ProtocolVersion::TLSv1_2), resumed) {
            (true, false) => Kind::Tls12,
            (true, true) => Kind::Tls12Resumed,
            (false, false) => Kind::Tls13,
            (false, true) => Kind::Tls13Resumed,
        };
        Self {
            kind,
            cipher: state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or(""),
            protocol: state.alpn_protocol().map(Into::into),
            server_name,
        }
    }
}
