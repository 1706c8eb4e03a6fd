//! What keeps a busy host from holding a renewal up: memory that is not swapped, where permitted; and real-time priority, where
//! the file or the environment says `realtime = true`.

use std::io;

/// Above every ordinary task. Where interrupts have threads of their own, these are at 50: what brings the packets comes first.
/// The kernel leaves ordinary tasks a twentieth of each second in any case (`sched_rt_runtime_us`).
const PRIORITY: libc::c_int = 10;

/// Takes what is permitted, and says what is not.
pub fn take() {
    if let Err(error) = raise() {
        tracing::warn!(
            "no real-time priority: {error}; a busy host may cost a lease. It needs CAP_SYS_NICE \
             (examples/systemd/had.service)"
        );
    }
}

/// The same for the guard, whose daemon has said what is not permitted.
pub fn follow() {
    if let Err(error) = raise() {
        tracing::debug!("no real-time priority: {error}");
    }
}

/// Real-time priority for every thread of this process, those to come included, and for the guard.
///
/// # Errors
/// Where it is not permitted (`CAP_SYS_NICE`, or `LimitRTPRIO=` of a service), or the host gives the control group of this
/// process no real-time share.
fn raise() -> io::Result<()> {
    let mut refused = None;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let name = thread?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Err(error) = schedule(thread, libc::SCHED_RR, PRIORITY)
            // It ended meanwhile.
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            refused = Some(error);
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Ordinary priority for the calling thread, whose work strangers may cause.
pub fn stay_ordinary() {
    if let Err(error) = schedule(0, libc::SCHED_OTHER, 0) {
        tracing::debug!("a thread stays at real-time priority: {error}");
    }
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

/// A page that has to be fetched from a busy disk would hold a renewal up. Best effort.
pub fn lock_memory() {
    // SAFETY: mlockall takes flags only.
    let outcome =
        unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if outcome != 0 {
        tracing::debug!("memory is not locked: {}", io::Error::last_os_error());
    }
}
