//! When a group returns to a node that its scheme prefers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a group returns to a node that its scheme prefers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failback {
    /// Only when an operator says so, or the present owner is lost.
    #[default]
    Manual,
    /// As soon as the preferred node has held a lease and been ready for two leases.
    Auto,
    /// When it has been so for this long without a break.
    After(Duration),
}

impl Failback {
    /// How long the preferred node must have been online and ready without a break; `None` where time alone never
    /// brings the group back.
    #[must_use]
    pub fn wait(self, lease: Duration) -> Option<Duration> {
        match self {
            Self::Manual => None,
            Self::Auto => Some(lease * AUTO_LEASES),
            Self::After(stable) => Some(stable),
        }
    }
}

/// `failback = "auto"` waits for this many leases: one that was granted, and one in which it was renewed.
const AUTO_LEASES: u32 = 2;
