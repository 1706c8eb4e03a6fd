//! Wakes the guard at a moment on the clock of the leases, which goes on while the host sleeps (timerfd_create(2)).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use had_core::time::BootTime;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

/// One alarm.
pub(super) struct Alarm {
    timer: TimerFd,
    readable: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// One that never rings, yet.
    ///
    /// # Errors
    /// Where the kernel has no timer to spare.
    pub(super) fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK)?;
        // SAFETY: the descriptor is its own, and closed with it alone.
        let readable = unsafe { AsyncFd::register(timer.as_fd().try_clone_to_owned()?) }?;
        Ok(Self { timer, readable })
    }

    /// Rings at this moment, at once where it has passed; never where there is none.
    ///
    /// # Errors
    /// Where the kernel refuses the time.
    pub(super) fn set(&self, at: Option<BootTime>) -> io::Result<()> {
        let Some(at) = at else {
            return Ok(self.timer.unset()?);
        };
        // Zero would mean never.
        let at = TimeSpec::from(Duration::from_nanos(at.0.max(1)));
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        Ok(self.timer.set(Expiration::OneShot(at), absolute)?)
    }

    /// Waits until it rings.
    pub(super) async fn rings(&self) {
        // Only a reactor that is gone answers with an error, and then nobody waits.
        if let Ok(mut ready) = self.readable.readable().await {
            ready.clear_ready();
        }
    }
}
