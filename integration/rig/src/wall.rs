//! Moments on the clock that frames, answers and log lines share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 on `CLOCK_REALTIME`: what the kernel stamps frames with. Comparable among everything on this machine,
/// also while the clock is slewed, since nobody sets it.
pub type WallNs = u64;

/// Now.
#[must_use]
pub fn wall_ns() -> WallNs {
    ns_of(SystemTime::now())
}

/// A moment of the standard library's.
#[must_use]
pub fn ns_of(at: SystemTime) -> WallNs {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A length in nanoseconds.
#[must_use]
pub fn ns(length: Duration) -> WallNs {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
