//! How long a renewal may be armed for, so that it never outlives its deadline.
//!
//! nftables counts relative times, in ticks, from when the kernel reads them. Hence two steps: a stamp is *armed*
//! with a timeout, which bounds its life whatever happens later; only if the clock, read after the kernel has
//! answered, shows that it was armed in time is the stamp *granted* to the group. A grant that is held up passes
//! nothing once the stamp has run out. A stamp that was armed late is never granted.
//!
//! ```text
//!        now          armed      answered                      stamp ends      until
//!  ───────┼─────────────┼───────────┼──────────────────────────────┼─────────────┼──▶
//!         ├──── ARMING_NS, at most ─┤                              ├─ six ticks ─┤
//! ```

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_getres, clock_gettime};

/// What arming may take; it takes some 20 µs where nothing is in the way.
const ARMING_NS: u64 = 2_000_000;
/// The kernel lets its tick counter stand still for five ticks before another CPU mends it
/// (`MAX_STALLED_JIFFIES`), and the present tick may be nearly over.
const TICKS: u64 = 6;

/// The arithmetic, for one tick length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Renewal {
    tick_ns: u64,
}

impl Renewal {
    /// For this kernel: its coarse clocks move once a tick.
    pub(super) fn of_this_kernel() -> io::Result<Self> {
        let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)?;
        Ok(Self {
            tick_ns: nanoseconds(tick.into()),
        })
    }

    /// For how many milliseconds to arm a stamp now; `None` where too little is left.
    pub(super) fn timeout_ms(self, now_ns: u64, until_ns: u64) -> Option<u64> {
        let margin = TICKS * self.tick_ns + ARMING_NS;
        let left_ms = until_ns.checked_sub(now_ns)?.checked_sub(margin)? / 1_000_000;
        (left_ms > 0).then_some(left_ms)
    }

    /// Whether a stamp of `armed_ns` that the kernel acknowledged at `answered_ns` ends before its deadline.
    pub(super) fn is_in_time(self, armed_ns: u64, answered_ns: u64) -> bool {
        answered_ns.saturating_sub(armed_ns) <= ARMING_NS
    }
}

/// `CLOCK_BOOTTIME`
pub(super) fn boot_ns() -> io::Result<u64> {
    Ok(nanoseconds(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into()))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const AT_250_HZ: Renewal = Renewal { tick_ns: 4 * MS };

    #[test]
    fn a_stamp_armed_at_the_last_moment_still_ends_before_its_deadline() {
        for until in [27 * MS, 28 * MS + 1, 268 * MS, 300 * MS] {
            let timeout = AT_250_HZ.timeout_ms(0, until).unwrap();
            let latest = ARMING_NS;
            assert!(AT_250_HZ.is_in_time(0, latest));
            assert!(latest + timeout * MS + TICKS * AT_250_HZ.tick_ns <= until);
        }
    }

    #[test]
    fn what_cannot_end_in_time_is_not_armed() {
        for until in [0, 5 * MS, 26 * MS, 27 * MS - 1] {
            assert_eq!(AT_250_HZ.timeout_ms(0, until), None, "{until}");
        }
        assert_eq!(
            AT_250_HZ.timeout_ms(10 * MS, 9 * MS),
            None,
            "a past deadline"
        );
    }

    #[test]
    fn an_answer_that_was_held_up_is_not_granted() {
        assert!(!AT_250_HZ.is_in_time(MS, MS + ARMING_NS + 1));
    }
}
