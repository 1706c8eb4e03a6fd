//! Leases: counted by the holder from its own send time, noted by the leader until they are surely over.

mod holder;
mod records;

use std::time::Duration;

pub use holder::Holder;
pub use records::{Record, Records};

use crate::time::BootTime;

/// Whether a life of a daemon goes on behind a gate that a killed life of it left open until `until`: while that lies ahead,
/// and no further than a lease, for nothing longer was ever granted. Not on an empty disk: that one is another voter, and
/// the cluster that granted may be gone with the disks.
#[must_use]
pub fn is_inherited(until: BootTime, now: BootTime, lease: Duration, empty_disk: bool) -> bool {
    !empty_disk && now < until && until <= now + lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_been_granted_and_still_runs_is_inherited() {
        let (now, lease) = (BootTime(1_000), Duration::from_nanos(300));
        let inherits = |until| is_inherited(BootTime(until), now, lease, false);
        assert!(!inherits(0) && !inherits(1_000), "shut, or lapsed");
        assert!(inherits(1_001) && inherits(1_300));
        assert!(!inherits(1_301), "nobody granted that");
        assert!(
            !is_inherited(BootTime(1_100), now, lease, true),
            "an empty disk"
        );
    }
}
