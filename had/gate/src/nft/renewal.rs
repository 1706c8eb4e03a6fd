//! Until when a renewal lets pass, so that it never outlives its deadline.
//!
//! nftables knows no `CLOCK_BOOTTIME`. Two clocks stand in for it, and a packet passes only while both allow it:
//!
//! - **The wall clock**, absolute: exact, whatever is held up, until somebody sets it back.
//! - **A timeout**, which no clock step moves, but which is relative and counted in ticks. Hence two steps: a stamp
//!   is *armed* with a timeout, which bounds its life whatever happens later; only if the clock, read after the
//!   kernel has answered, shows that it was armed in time is the stamp *granted* to the group. A grant that is held
//!   up passes nothing once the stamp has run out. A stamp that was armed late is never granted. The tick counter
//!   may lag ([`TICKS`]); where a hypervisor takes processors away in turn it may lag more, and the wall clock
//!   is what holds.
//!
//! ```text
//!        now          armed      answered                      stamp ends      until
//!  ───────┼─────────────┼───────────┼──────────────────────────────┼─────────────┼──▶
//!         ├──── ARMING_NS, at most ─┤                              ├ seven ticks ┤
//! ```

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_getres, clock_gettime};

/// What arming may take; it takes some 20 µs where nothing is in the way.
const ARMING_NS: u64 = 2_000_000;
/// Another processor brings the tick counter forward when it has seen it stand still at five of its own ticks
/// (`MAX_STALLED_JIFFIES` in `kernel/time/tick-sched.c`): up to six after the last change, which may itself
/// have come a tick late.
const TICKS: u64 = 7;

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

/// The present moment on two clocks. The wall clock is read first: a stall between the two only makes
/// [`Now::wall_at`] earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Now {
    wall_ns: u64,
    pub(super) boot_ns: u64,
}

impl Now {
    pub(super) fn read() -> io::Result<Self> {
        let wall_ns = nanoseconds(clock_gettime(ClockId::CLOCK_REALTIME)?.into());
        Ok(Self {
            wall_ns,
            boot_ns: boot_ns()?,
        })
    }

    /// What the wall clock will show at a moment of `CLOCK_BOOTTIME`, unless it is stepped.
    pub(super) fn wall_at(self, boot_ns: u64) -> u64 {
        self.wall_ns
            .saturating_add(boot_ns.saturating_sub(self.boot_ns))
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
        for until in [31 * MS, 32 * MS + 1, 268 * MS, 300 * MS] {
            let timeout = AT_250_HZ.timeout_ms(0, until).unwrap();
            let latest = ARMING_NS;
            assert!(AT_250_HZ.is_in_time(0, latest));
            assert!(latest + timeout * MS + TICKS * AT_250_HZ.tick_ns <= until);
        }
    }

    #[test]
    fn what_cannot_end_in_time_is_not_armed() {
        for until in [0, 5 * MS, 30 * MS, 31 * MS - 1] {
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

    #[test]
    fn a_deadline_is_carried_to_the_wall_clock() {
        let now = Now {
            wall_ns: 1_000 * MS,
            boot_ns: 7 * MS,
        };
        assert_eq!(now.wall_at(10 * MS), 1_003 * MS);
        assert_eq!(now.wall_at(5 * MS), 1_000 * MS, "past is no later than now");
    }
}
