//! How the traffic of backends is judged, in a description.

use serde::{Deserialize, Serialize};

/// By what traffic is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassiveHealth {
    /// How far an error rate may be above that of the pool's other backends.
    pub error_rate_thousandths: u32,
    /// Failures in a row that eject; at least 1.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts.
    pub cooldown_ms: u64,
    /// The part of the pool that may be ejected at once for anything but refused connections.
    pub max_ejected_thousandths: u32,
}
