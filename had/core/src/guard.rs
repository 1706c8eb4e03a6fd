//! When the guard ends what a node had up for a group.
//!
//! The guard is a process beside the daemon, and outlives it: killed, frozen or out of memory, the daemon cannot take its
//! addresses off, and the guard does. It watches the same deadlines as the gate and shares nothing else with the daemon.
//! The gate silences an address at its deadline; the guard takes it off within [`BOUND`] after.

use std::time::Duration;

use crate::time::BootTime;

/// A daemon that runs stands down by itself at the deadline, in a few milliseconds; the guard leaves it this long.
pub const GRACE: Duration = Duration::from_millis(10);

/// Everything that the guard ends is ended so long after the deadline: [`GRACE`], its own waking, and the kernel's work. Not
/// while the host itself stands still.
pub const BOUND: Duration = Duration::from_millis(100);

/// What the guard knows of the daemon: whether its end of the line is still held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Daemon {
    /// It runs, or is frozen.
    Lives,
    /// Its process has ended.
    Gone,
}

/// What becomes of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// End it now.
    End,
    /// Look again at this moment; it may have been renewed by then.
    Look(BootTime),
    /// Nothing to do before the daemon says that it opened the group, or ends.
    Rest,
}

/// What becomes of a group whose gate is open until then, [`BootTime::ZERO`] where it was shut.
///
/// A daemon that lives and has shut the group takes it down itself, or keeps it prepared behind the shut gate. One that is
/// gone does nothing any more.
#[must_use]
pub fn judge(until: BootTime, daemon: Daemon, now: BootTime) -> Verdict {
    if until == BootTime::ZERO {
        return match daemon {
            Daemon::Lives => Verdict::Rest,
            Daemon::Gone => Verdict::End,
        };
    }
    let due = until + GRACE;
    if now < due {
        Verdict::Look(due)
    } else {
        Verdict::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: BootTime = BootTime(1_000_000_000);

    #[test]
    fn an_open_group_is_left_alone_until_a_moment_after_its_deadline() {
        for daemon in [Daemon::Lives, Daemon::Gone] {
            let due = UNTIL + GRACE;
            assert_eq!(judge(UNTIL, daemon, UNTIL), Verdict::Look(due));
            assert_eq!(
                judge(UNTIL, daemon, BootTime(due.0 - 1)),
                Verdict::Look(due)
            );
            assert_eq!(judge(UNTIL, daemon, due), Verdict::End);
        }
    }

    #[test]
    fn what_a_living_daemon_has_shut_is_its_own_care_and_nobodys_after_it() {
        assert_eq!(judge(BootTime::ZERO, Daemon::Lives, UNTIL), Verdict::Rest);
        assert_eq!(judge(BootTime::ZERO, Daemon::Gone, UNTIL), Verdict::End);
    }
}
