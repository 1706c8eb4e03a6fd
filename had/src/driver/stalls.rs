//! How long the driver's thread did not run, and why.
//!
//! The thread says for how long it will sleep at most. What it finds beyond that when it looks at the clock again, it did not
//! run, or its own work took so long. The kernel's counters tell why.

use std::fs;
use std::time::Duration;

use had_core::stall::{Cause, Stall};
use had_core::time::{MonoTime, Now};

/// The counters are read again this often, so that what they say of a stall is not of long before: of a hypervisor that always
/// takes a tenth, they count 20 ms then.
const COUNTERS_EVERY: Duration = Duration::from_millis(200);
/// Shorter ones are nobody's concern: the core looks closer at what is left. Half a renewal of the shortest lease.
const SHORTEST: Duration = Duration::from_millis(6);

/// What the kernel counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counters {
    /// How long this thread has run.
    pub(super) ran: Duration,
    /// How long it was ready to run and did not.
    pub(super) waited: Duration,
    /// How long a hypervisor had the processors of this host, by processor.
    pub(super) stolen: Duration,
}

impl Counters {
    /// Of the calling thread; what cannot be read counts as nothing.
    pub(super) fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let (ran, waited) = ran_and_waited(&text("/proc/thread-self/schedstat"));
        Self {
            ran,
            waited,
            stolen: stolen(&text("/proc/stat")),
        }
    }
}

/// The first two numbers of schedstat (Documentation/scheduler/sched-stats.rst), nanoseconds.
fn ran_and_waited(schedstat: &str) -> (Duration, Duration) {
    let mut numbers = schedstat.split_whitespace();
    let mut next = || numbers.next().and_then(|text| text.parse().ok());
    let mut next = || Duration::from_nanos(next().unwrap_or(0));
    (next(), next())
}

/// The eighth number of each `cpuN` line (proc(5)), hundredths of a second, shared by the processors.
fn stolen(stat: &str) -> Duration {
    let processors = stat
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    let steal = |line: &str| line.split_whitespace().nth(8)?.parse::<u64>().ok();
    let (count, ticks) = processors
        .filter_map(steal)
        .fold((0, 0), |(count, sum), ticks| (count + 1, sum + ticks));
    Duration::from_millis(ticks * 10 / u64::max(count, 1))
}

/// A time in which the thread did not look at the clock although it wanted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    /// While the host was awake.
    ran_not: Duration,
    /// While it was suspended.
    slept: Duration,
    /// When it looked again.
    pub(super) woke: MonoTime,
}

impl Gap {
    fn lasted(self) -> Duration {
        self.ran_not + self.slept
    }
}

/// Measures one thread.
pub(super) struct Stalls {
    last: Now,
    counters: Counters,
    counted: Now,
    /// The longest gap that was not explained yet.
    gap: Option<Gap>,
}

impl Stalls {
    /// Begins now.
    pub(super) fn new(now: Now, counters: Counters) -> Self {
        Self {
            last: now,
            counters,
            counted: now,
            gap: None,
        }
    }

    /// The thread looked at the clock again, and wanted to do so after `wait` at most. Costs nothing: what follows from a gap
    /// comes first.
    pub(super) fn look(&mut self, now: Now, wait: Duration) {
        let awake = now.mono.since(self.last.mono);
        let gap = Gap {
            ran_not: awake.saturating_sub(wait),
            slept: now.boot.since(self.last.boot).saturating_sub(awake),
            woke: now.mono,
        };
        self.last = now;
        let longest = self.gap.map_or(SHORTEST, Gap::lasted);
        if gap.lasted() >= longest {
            self.gap = Some(gap);
        }
    }

    /// What follows from the gap is done: why it was, where there was one. `read` reads the counters.
    pub(super) fn explain(
        &mut self,
        now: Now,
        read: impl FnOnce() -> Counters,
    ) -> Option<(Stall, MonoTime)> {
        let gap = self.gap.take();
        if gap.is_none() && now.mono.since(self.counted.mono) < COUNTERS_EVERY {
            return None;
        }
        let counters = read();
        let before = std::mem::replace(&mut self.counters, counters);
        self.counted = now;
        let gap = gap?;
        let stall = Stall {
            lasted: gap.lasted(),
            cause: cause(gap, before, counters),
        };
        Some((stall, gap.woke))
    }
}

/// Whatever explains at least half of it. Steal time must explain nearly all: a hypervisor may take its share also while this
/// process alone is frozen.
fn cause(gap: Gap, before: Counters, after: Counters) -> Cause {
    let part = |before: Duration, after: Duration, percent: u32| {
        let grown = after.saturating_sub(before);
        grown * 100 >= gap.ran_not * percent
    };
    let explains = |before, after| part(before, after, 50);
    if gap.slept > gap.ran_not {
        Cause::Suspended
    } else if part(before.stolen, after.stolen, 80) {
        Cause::Paused
    } else if explains(before.waited, after.waited) {
        Cause::Starved
    } else if explains(before.ran, after.ran) {
        Cause::Busy
    } else {
        Cause::Frozen
    }
}

#[cfg(test)]
mod tests {
    use had_core::time::BootTime;

    use super::*;

    const WAIT: Duration = Duration::from_millis(15);

    fn at(mono_ms: u64, boot_ms: u64) -> Now {
        Now {
            mono: MonoTime(mono_ms * 1_000_000),
            boot: BootTime(boot_ms * 1_000_000),
            ..Now::default()
        }
    }

    fn counted(ran: u64, waited: u64, stolen: u64) -> Counters {
        Counters {
            ran: Duration::from_millis(ran),
            waited: Duration::from_millis(waited),
            stolen: Duration::from_millis(stolen),
        }
    }

    fn after(now: Now, counters: Counters) -> Option<(u128, Cause)> {
        let mut stalls = Stalls::new(at(0, 0), Counters::default());
        stalls.look(now, WAIT);
        let (stall, woke) = stalls.explain(now, || counters)?;
        assert_eq!(woke, now.mono);
        Some((stall.lasted.as_millis(), stall.cause))
    }

    #[test]
    fn a_thread_that_sleeps_no_longer_than_it_wanted_has_no_stall() {
        assert_eq!(after(at(15, 15), counted(0, 0, 0)), None);
        assert_eq!(after(at(17, 17), counted(0, 0, 0)), None);
    }

    #[test]
    fn the_counters_tell_why() {
        let after_200_ms = |counters| after(at(215, 215), counters);
        assert_eq!(after_200_ms(counted(3, 0, 0)), Some((200, Cause::Frozen)));
        assert_eq!(after_200_ms(counted(180, 0, 0)), Some((200, Cause::Busy)));
        assert_eq!(
            after_200_ms(counted(3, 150, 0)),
            Some((200, Cause::Starved))
        );
        assert_eq!(
            after_200_ms(counted(3, 150, 190)),
            Some((200, Cause::Paused))
        );
        let slept = after(at(15, 9_015), counted(0, 0, 0));
        assert_eq!(slept, Some((9_000, Cause::Suspended)));
    }

    #[test]
    fn what_was_counted_long_before_explains_nothing() {
        let mut stalls = Stalls::new(at(0, 0), Counters::default());
        stalls.look(at(1_000, 1_000), Duration::from_secs(1));
        assert_eq!(
            stalls.explain(at(1_000, 1_000), || counted(0, 400, 0)),
            None
        );
        stalls.look(at(1_300, 1_300), WAIT);
        let stall = stalls.explain(at(1_300, 1_300), || counted(0, 400, 0));
        assert_eq!(stall.map(|(stall, _)| stall.cause), Some(Cause::Frozen));
    }

    #[test]
    fn of_two_gaps_the_longer_is_told() {
        let mut stalls = Stalls::new(at(0, 0), Counters::default());
        stalls.look(at(7, 7), Duration::ZERO);
        stalls.look(at(3_022, 3_022), WAIT);
        stalls.look(at(3_030, 3_030), Duration::ZERO);
        let told = stalls.explain(at(3_030, 3_030), Counters::default);
        let told = told.map(|(stall, woke)| (stall.lasted.as_secs(), woke));
        assert_eq!(told, Some((3, at(3_022, 3_022).mono)));
    }

    #[test]
    fn the_kernels_own_words_are_understood() {
        let ms = Duration::from_millis;
        assert_eq!(ran_and_waited("2000000 5000000 17\n"), (ms(2), ms(5)));
        let stat = "cpu  1 2 3 4 5 6 7 80 9 0\ncpu0 1 2 3 4 5 6 7 60 9 0\ncpu1 1 2 3 4 5 6 7 20 9 0\nintr 8\n";
        assert_eq!(stolen(stat), ms(400));
        assert_eq!(stolen(""), Duration::ZERO);
    }

    /// What this kernel writes is what is read.
    #[test]
    fn this_kernel_counts() {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        assert_eq!(text.split_whitespace().count(), 3, "{text}");
    }
}
