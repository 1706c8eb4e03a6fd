//! The four clocks of this host.

use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
use nix::time::{ClockId, clock_gettime};

/// What the clocks say now. `CLOCK_BOOTTIME` is read first, so that a stall between the readings only shortens leases.
#[must_use]
pub fn now() -> Now {
    let boot = BootTime(nanos(ClockId::CLOCK_BOOTTIME));
    let mono = MonoTime(nanos(ClockId::CLOCK_MONOTONIC));
    let raw = RawTime(nanos(ClockId::CLOCK_MONOTONIC_RAW));
    let wall = WallTime(nanos(ClockId::CLOCK_REALTIME));
    Now {
        boot,
        mono,
        raw,
        wall,
    }
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("Linux has had this clock for longer than BPF");
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}
