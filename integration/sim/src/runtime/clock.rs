//! One clock of one node against true time: piecewise linear, never backwards.

/// Fraction bits of a rate: 2⁻³² is a deviation of 0.23 parts in a billion.
const RATE_BITS: u32 = 32;

/// How fast a clock runs against true time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(u64);

impl Rate {
    /// As fast as true time.
    pub const TRUE: Self = Self(1 << RATE_BITS);
    /// It stands still, as `CLOCK_MONOTONIC` does in suspend.
    pub const STOPPED: Self = Self(0);

    /// Faster (or slower) than true time by so many parts in a million.
    ///
    /// # Panics
    /// Below −1,000,000 ppm: a clock does not run backwards.
    #[must_use]
    pub fn ppm(deviation: i64) -> Self {
        let millionths =
            u64::try_from(1_000_000 + deviation).expect("a clock does not run backwards");
        Self((millionths << RATE_BITS) / 1_000_000)
    }
}

/// From `at` (true time) on, the clock shows `value` and runs at `rate`. Nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: u64,
    value: u64,
    rate: Rate,
}

/// A clock with its whole past, so that a reading can be traced back to the true time at which it was taken.
#[derive(Clone, Debug)]
pub struct Clock {
    anchors: Vec<Anchor>,
}

impl Clock {
    /// A clock that shows `value` at the true time `at`.
    #[must_use]
    pub fn new(at: u64, value: u64, rate: Rate) -> Self {
        Self {
            anchors: vec![Anchor { at, value, rate }],
        }
    }

    fn current(&self) -> Anchor {
        *self
            .anchors
            .last()
            .expect("a clock is made with an anchor, and none is ever removed")
    }

    /// What it shows at a true time not before its last change of rate.
    #[must_use]
    pub fn read(&self, at: u64) -> u64 {
        let anchor = self.current();
        anchor.value + scale(at.saturating_sub(anchor.at), anchor.rate)
    }

    /// Runs at another rate from the true time `at` on.
    pub fn set_rate(&mut self, at: u64, rate: Rate) {
        let anchor = Anchor {
            at,
            value: self.read(at),
            rate,
        };
        self.anchors.push(anchor);
    }

    /// The rate at which it runs now.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.current().rate
    }

    /// The first true time at which it shows `value` or more, if it goes on as now; `None` where it stands still.
    #[must_use]
    pub fn when(&self, value: u64) -> Option<u64> {
        reach(self.current(), value)
    }

    /// The first true time at which it showed `value` or more, also in its past.
    #[must_use]
    pub fn was(&self, value: u64) -> Option<u64> {
        let following = self.anchors.partition_point(|anchor| anchor.value < value);
        reach(self.anchors[following.saturating_sub(1)], value)
    }
}

/// How far a clock of this rate gets within a stretch of true time.
fn scale(elapsed: u64, rate: Rate) -> u64 {
    let scaled = (u128::from(elapsed) * u128::from(rate.0)) >> RATE_BITS;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// When a clock that goes on from this anchor shows `value` or more.
fn reach(anchor: Anchor, value: u64) -> Option<u64> {
    let distance = value.saturating_sub(anchor.value);
    if distance == 0 {
        return Some(anchor.at);
    }
    if anchor.rate == Rate::STOPPED {
        return None;
    }
    let elapsed = (u128::from(distance) << RATE_BITS).div_ceil(u128::from(anchor.rate.0));
    Some(
        anchor
            .at
            .saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_shows_less_and_is_found_again() {
        let clock = Clock::new(1_000, 50, Rate::ppm(-80_000));
        assert_eq!(clock.read(1_000_001_000), 50 + 919_999_999);
        let when = clock.when(920_000_050).expect("it runs");
        assert!(clock.read(when) >= 920_000_050 && clock.read(when - 1) < 920_000_050);
    }

    #[test]
    fn a_stopped_clock_reaches_nothing_and_goes_on_where_it_stood() {
        let mut clock = Clock::new(0, 0, Rate::TRUE);
        clock.set_rate(100, Rate::STOPPED);
        assert_eq!(clock.read(1_000), 100);
        assert_eq!(clock.when(101), None);
        clock.set_rate(1_000, Rate::TRUE);
        assert_eq!(clock.when(101), Some(1_001));
    }

    #[test]
    fn an_old_reading_is_traced_to_its_true_time() {
        let mut clock = Clock::new(0, 0, Rate::TRUE);
        clock.set_rate(100, Rate::ppm(-500_000));
        clock.set_rate(300, Rate::TRUE);
        assert_eq!(clock.was(40), Some(40));
        assert_eq!(clock.was(150), Some(200));
        assert_eq!(clock.was(210), Some(310));
    }
}
