use std::fmt;

/// Why a message was refused: the status that answers it, in a few lower-case words what was wrong, and the
/// clause that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with: 4xx or 5xx for a client's request, 502 for a backend's answer.
    pub status: u16,
    /// Lower-case words for `Proxy-Status` and the access log; never holds bytes of the message.
    pub reason: &'static str,
    /// The clause that was broken, such as `RFC 9112 5.1`.
    pub clause: &'static str,
}

impl Refusal {
    /// A malformed message: 400.
    pub(crate) const fn malformed(reason: &'static str, clause: &'static str) -> Self {
        Self { status: 400, reason, clause }
    }

    /// A refusal with a more telling status than 400.
    pub(crate) const fn with_status(status: u16, reason: &'static str, clause: &'static str) -> Self {
        Self { status, reason, clause }
    }

    /// The same fault, found in what a backend sent: 502, whatever a client would have been answered.
    #[must_use]
    pub const fn of_backend(self) -> Self {
        Self { status: 502, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.clause)
    }
}

impl std::error::Error for Refusal {}
