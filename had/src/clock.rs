//! The four clocks of this host.

use std::time::Duration;

use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
use nix::time::{ClockId, clock_gettime};

/// Readings of two clocks that may lie further apart than this are taken again: the thread was put aside between them, and
/// clocks that part look like a host that was suspended.
const APART: Duration = Duration::from_micros(100);
/// On a machine so busy that each of these is interrupted, the last one counts.
const READINGS: usize = 8;

/// What the clocks say now. `CLOCK_BOOTTIME` is read before the others, so that a stall between the readings only shortens
/// leases.
#[must_use]
pub fn now() -> Now {
    let (mut now, mut took) = read();
    for _ in 1..READINGS {
        if took <= APART {
            break;
        }
        (now, took) = read();
    }
    now
}

/// `CLOCK_BOOTTIME` alone.
#[must_use]
pub fn boot() -> BootTime {
    BootTime(nanos(ClockId::CLOCK_BOOTTIME))
}

/// One reading, and how long it took until `CLOCK_MONOTONIC` was read.
fn read() -> (Now, Duration) {
    let before = MonoTime(nanos(ClockId::CLOCK_MONOTONIC));
    let boot = boot();
    let mono = MonoTime(nanos(ClockId::CLOCK_MONOTONIC));
    let raw = RawTime(nanos(ClockId::CLOCK_MONOTONIC_RAW));
    let wall = WallTime(nanos(ClockId::CLOCK_REALTIME));
    let now = Now {
        boot,
        mono,
        raw,
        wall,
    };
    (now, mono.since(before))
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("Linux has had this clock for longer than BPF");
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}
