//! How a session ends, in numbers and in words.

use super::counters::Ended;
use super::record::Blame;

/// One way in which a session ends. Whoever serves sessions has constants of it, beside their code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) ended: Ended,
    /// Lower-case words for the access log.
    pub(crate) reason: &'static str,
    pub(crate) blame: Blame,
}

impl End {
    pub(crate) const fn new(ended: Ended, reason: &'static str, blame: Blame) -> Self {
        Self { ended, reason, blame }
    }
}
