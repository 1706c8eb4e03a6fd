//! The machine's clock, made to run faster or slower, and put right again whatever happens.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{ForkResult, fork, setsid};

/// How the clock runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Microseconds a tick of 10 ms: 9 000 to 11 000.
    tick: libc::c_long,
    /// Beside it, 2⁻¹⁶ parts per million: up to 500 of them.
    frequency: libc::c_long,
}

const PPM: libc::c_long = 1 << 16;
/// What the table of [`Rate::of`] holds: from a crystal's error to all that the kernel permits.
const RATES: [Rate; 8] = [
    Rate {
        tick: 10_000,
        frequency: 300 * PPM,
    },
    Rate {
        tick: 10_000,
        frequency: -300 * PPM,
    },
    Rate {
        tick: 10_000,
        frequency: 500 * PPM,
    },
    Rate {
        tick: 10_000,
        frequency: -500 * PPM,
    },
    Rate {
        tick: 9_200,
        frequency: 0,
    },
    Rate {
        tick: 10_800,
        frequency: 0,
    },
    Rate {
        tick: 9_000,
        frequency: -500 * PPM,
    },
    Rate {
        tick: 11_000,
        frequency: 500 * PPM,
    },
];

impl Rate {
    /// One of some rates, by any number.
    #[must_use]
    pub fn of(number: u16) -> Self {
        RATES[usize::from(number) % RATES.len()]
    }

    /// How the clock runs now.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn now() -> Result<Self> {
        let mut request = request();
        adjust(&mut request)?;
        Ok(Self {
            tick: request.tick,
            frequency: request.freq,
        })
    }

    /// Lets it run so.
    ///
    /// # Errors
    /// Where that is not permitted.
    pub fn set(self) -> Result<()> {
        let mut request = request();
        request.modes = libc::ADJ_TICK | libc::ADJ_FREQUENCY;
        (request.tick, request.freq) = (self.tick, self.frequency);
        adjust(&mut request)
    }

    /// By how much it runs fast, per mille.
    #[must_use]
    pub fn per_mille(self) -> f64 {
        let whole = |number: libc::c_long| f64::from(i32::try_from(number).unwrap_or(0));
        whole(self.tick - 10_000) / 10.0 + whole(self.frequency) / whole(PPM) / 1e3
    }
}

fn request() -> libc::timex {
    // SAFETY: the structure is of integers alone.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn adjust(request: &mut libc::timex) -> Result<()> {
    // SAFETY: the kernel reads and writes the structure that it is given.
    let code = unsafe { libc::adjtimex(request) };
    Errno::result(code).context("adjtimex").map(drop)
}

/// A process of its own that puts the clock right when nobody holds this any more, however this program and its lab end.
pub struct Warden {
    _end: OwnedFd,
}

impl Warden {
    /// Starts it. To be called before the program has a second thread.
    ///
    /// # Errors
    /// Where a process cannot be made.
    pub fn start() -> Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")?.count();
        ensure!(
            threads == 1,
            "the clock's warden comes before the first thread"
        );
        let usual = Rate::now()?;
        let (mut ended, end) = std::io::pipe().context("making a pipe")?;
        // SAFETY: this process has one thread, so the child's memory is consistent.
        match unsafe { fork() }.context("starting the clock's warden")? {
            ForkResult::Parent { .. } => Ok(Self { _end: end.into() }),
            ForkResult::Child => {
                drop(end);
                // What ends the others from a terminal must not end it before its work.
                let _ = setsid();
                for ending in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
                    // SAFETY: ignoring a signal runs no code of ours.
                    let _ = unsafe { signal(ending, SigHandler::SigIgn) };
                }
                close_all_but(&ended);
                let _ = ended.read(&mut [0]);
                let code = i32::from(usual.set().is_err());
                std::process::exit(code)
            }
        }
    }
}

/// Nobody who waits for the end of our output is to wait for the warden.
fn close_all_but(kept: &impl AsRawFd) {
    let kept = kept.as_raw_fd().unsigned_abs();
    for (first, last) in [(0, kept.saturating_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last && !(kept == 0 && first == 0) {
            // SAFETY: this process uses none of these descriptors any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}
