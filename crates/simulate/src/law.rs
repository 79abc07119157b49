//! How much work a request is.

use crate::random::Stream;
use crate::scenario::Law;

impl Law {
    /// One draw, in seconds.
    pub(crate) fn draw(&self, stream: &mut Stream) -> f64 {
        let milliseconds = match self {
            Self::Constant { ms } => *ms,
            Self::Exponential { mean_ms } => mean_ms * stream.exponential(),
            Self::Lognormal { median_ms, sigma } => median_ms * (sigma * stream.normal()).exp(),
            Self::Samples { ms } => pick(ms, stream),
        };
        milliseconds / 1_000.0
    }

    /// In seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let milliseconds = match self {
            Self::Constant { ms } => *ms,
            Self::Exponential { mean_ms } => *mean_ms,
            Self::Lognormal { median_ms, sigma } => median_ms * (sigma * sigma / 2.0).exp(),
            Self::Samples { ms } => ms.iter().sum::<f64>() / count(ms.len()),
        };
        milliseconds / 1_000.0
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let good = |value: f64| value.is_finite() && value >= 0.0;
        let fine = match self {
            Self::Constant { ms } => good(*ms),
            Self::Exponential { mean_ms } => good(*mean_ms),
            Self::Lognormal { median_ms, sigma } => good(*median_ms) && good(*sigma),
            Self::Samples { ms } => !ms.is_empty() && ms.iter().all(|&value| good(value)),
        };
        (!fine).then_some("a law of times needs numbers that are finite and not negative")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a list in memory has fewer than 2^52 items")]
fn count(items: usize) -> f64 {
    items as f64
}

#[expect(clippy::cast_sign_loss, reason = "the product is not negative")]
fn pick(values: &[f64], stream: &mut Stream) -> f64 {
    // A unit of 1 would be one beyond the last.
    let at = (stream.unit() * count(values.len())) as usize;
    values[at.min(values.len() - 1)]
}
