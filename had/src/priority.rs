//! What keeps a busy host from holding a renewal up: memory that is not swapped, where permitted; and real-time priority, as
//! long as it is little that runs at it.
//!
//! A daemon needs a few hundredths of a processor. One that needs much more (a storm of elections, a flood of strangers'
//! handshakes, hundreds of groups on a small host) would take from the kernel the ordinary time in which it brings the very packets
//! that the daemon waits for: so it is lowered while it does, and raised when it is calm again.

use std::io;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Above every ordinary task. Where interrupts have threads of their own, these are at 50: what brings the packets comes first.
/// The kernel leaves ordinary tasks a twentieth of each second in any case (`sched_rt_runtime_us`).
const PRIORITY: libc::c_int = 10;

/// How often the daemon's own need is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Of one processor, in percent: from here on it is lowered. An election or a start takes less in a quarter of a second; eight groups on
/// five nodes take 12 to 20.
const MUCH: u32 = 60;
/// Below, it is calm: far above what quiet work takes, since whoever stays lowered on a busy host causes the elections that keep it
/// so.
const LITTLE: u32 = 40;
/// So many calm looks in a row raise it again: half a second.
const CALM_LOOKS: u32 = 2;

/// Takes what is permitted, and says what is not; from then on a thread of its own sees to it that it is little.
pub fn take() {
    if let Err(error) = raise() {
        tracing::warn!(
            "no real-time priority: {error}; a busy host may cost a lease. It needs CAP_SYS_NICE \
             (examples/systemd/had.service); `realtime = false` goes without"
        );
        return;
    }
    let watch = std::thread::Builder::new()
        .name("had-priority".into())
        .spawn(keep_little);
    if let Err(error) = watch {
        tracing::warn!("no thread to watch over real-time priority ({error}): going without");
        set_all(libc::SCHED_OTHER, 0).unwrap_or_else(|error| tracing::warn!("{error}"));
    }
}

/// For the guard: it has nothing to do but once, and its daemon has said what is not permitted.
pub fn follow() {
    if let Err(error) = raise() {
        tracing::debug!("no real-time priority: {error}");
    }
}

/// For a process that was started by a thread with real-time priority.
pub fn begin_ordinary() {
    if let Err(error) = schedule(0, libc::SCHED_OTHER, 0) {
        tracing::debug!("the priority stays: {error}");
    }
}

/// The calling thread's work is what strangers may cause: it is never raised.
pub fn stay_ordinary() {
    if let Err(error) = schedule(0, libc::SCHED_BATCH, 0) {
        tracing::debug!("a thread stays at real-time priority: {error}");
    }
}

fn keep_little() {
    let mut need = Need::default();
    let (mut looked, mut used) = (Instant::now(), processor_time());
    loop {
        std::thread::sleep(LOOK_EVERY);
        let (now, total) = (Instant::now(), processor_time());
        let change = need.judge(now.duration_since(looked), total.saturating_sub(used));
        (looked, used) = (now, total);
        let outcome = match change {
            Some(Change::Lower) => set_all(libc::SCHED_OTHER, 0),
            Some(Change::Raise) => raise(),
            None => continue,
        };
        match outcome {
            Ok(()) => tracing::debug!("real-time priority: {change:?}"),
            Err(error) => tracing::debug!("real-time priority: {change:?}: {error}"),
        }
    }
}

/// What this process has used of all processors.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// What is to be done with the priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Lower,
    Raise,
}

/// How much the daemon needs, look by look.
#[derive(Default)]
struct Need {
    lowered: bool,
    calm: u32,
}

impl Need {
    /// What follows from having `used` so much processor time since the last look, `elapsed` ago.
    fn judge(&mut self, elapsed: Duration, used: Duration) -> Option<Change> {
        // Late looks are as good as early ones: only the share counts.
        let of = |percent: u32| elapsed * percent / 100;
        if used > of(MUCH) {
            self.calm = 0;
            return (!std::mem::replace(&mut self.lowered, true)).then_some(Change::Lower);
        }
        self.calm = if used < of(LITTLE) { self.calm + 1 } else { 0 };
        if self.lowered && self.calm >= CALM_LOOKS {
            self.lowered = false;
            return Some(Change::Raise);
        }
        None
    }
}

/// Real-time priority for every thread of this process that may have it, those to come included.
///
/// # Errors
/// Where it is not permitted (`CAP_SYS_NICE`, or `LimitRTPRIO=` of a service), or the host gives the control group of this
/// process no real-time share.
fn raise() -> io::Result<()> {
    set_all(libc::SCHED_RR, PRIORITY)
}

fn set_all(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let mut refused = None;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let name = thread?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if stays_ordinary(thread) {
            continue;
        }
        if let Err(error) = schedule(thread, policy, priority)
            // It ended meanwhile.
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            refused = Some(error);
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Whether a thread has said [`stay_ordinary`].
fn stays_ordinary(thread: libc::pid_t) -> bool {
    // SAFETY: it takes a number.
    unsafe { libc::sched_getscheduler(thread) == libc::SCHED_BATCH }
}

fn schedule(thread: libc::pid_t, policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters live through the call.
    if unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// One heap for all threads, before there are any: glibc gives each a heap of its own, and each keeps what its busiest moment took,
/// so that a daemon with a dozen threads grows for hours (mallopt(3), `M_ARENA_MAX`). None of its threads allocates so much that it
/// would have to wait.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// A page that has to be fetched from a busy disk would hold a renewal up. Best effort.
pub fn lock_memory() {
    // SAFETY: mlockall takes flags only.
    let outcome =
        unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if outcome != 0 {
        tracing::debug!("memory is not locked: {}", io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(need: &mut Need, percent: u32) -> Option<Change> {
        need.judge(LOOK_EVERY, LOOK_EVERY * percent / 100)
    }

    #[test]
    fn much_work_is_done_at_ordinary_priority_until_it_has_been_calm() {
        let mut need = Need::default();
        assert_eq!(look(&mut need, MUCH), None);
        assert_eq!(look(&mut need, MUCH + 1), Some(Change::Lower));
        assert_eq!(look(&mut need, 90), None, "it is lowered once");
        for _ in 1..CALM_LOOKS {
            assert_eq!(look(&mut need, LITTLE - 1), None);
        }
        assert_eq!(look(&mut need, LITTLE), None, "it begins anew");
        for _ in 1..CALM_LOOKS {
            assert_eq!(look(&mut need, 0), None);
        }
        assert_eq!(look(&mut need, 0), Some(Change::Raise));
        assert_eq!(look(&mut need, 0), None, "it is raised once");
    }

    #[test]
    fn a_late_look_counts_the_share() {
        let mut need = Need::default();
        let late = LOOK_EVERY * 20;
        assert_eq!(need.judge(late, late * MUCH / 100), None);
        assert_eq!(
            need.judge(late, late * (MUCH + 1) / 100),
            Some(Change::Lower)
        );
    }

    #[test]
    fn a_thread_that_stays_ordinary_is_left_out() {
        std::thread::spawn(|| {
            assert!(!stays_ordinary(0));
            stay_ordinary();
            assert!(stays_ordinary(0));
        })
        .join()
        .unwrap();
    }
}
