//! The four clocks of a node, as values that cannot be mixed up.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! clock {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl $type {
            /// The start of this clock.
            pub const ZERO: Self = Self(0);

            /// The time from `earlier` to here; zero where `earlier` is later.
            #[must_use]
            pub fn since(self, earlier: Self) -> Duration {
                Duration::from_nanos(self.0.saturating_sub(earlier.0))
            }
        }

        impl Add<Duration> for $type {
            type Output = Self;
            fn add(self, duration: Duration) -> Self {
                Self(self.0.saturating_add(nanos(duration)))
            }
        }

        impl Sub<Duration> for $type {
            type Output = Self;
            fn sub(self, duration: Duration) -> Self {
                Self(self.0.saturating_sub(nanos(duration)))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{:06} ms", self.0 / 1_000_000, self.0 % 1_000_000)
            }
        }
    };
}

clock!(
    /// Nanoseconds on `CLOCK_BOOTTIME`: goes on in suspend. A holder's lease ends on it, and the gate compares it.
    BootTime
);
clock!(
    /// Nanoseconds on `CLOCK_MONOTONIC`: stops in suspend. The consensus counts on it.
    MonoTime
);
clock!(
    /// Nanoseconds on `CLOCK_MONOTONIC_RAW`: not slewed, stops in suspend. A leader's records count on it.
    RawTime
);
clock!(
    /// Nanoseconds since 1970 on `CLOCK_REALTIME`. For people only: no decision rests on it.
    WallTime
);

/// Whole nanoseconds of a duration, saturating (584 years).
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a node's clocks say at one moment. `boot` is read first, so that a stall between the reads only shortens leases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// `CLOCK_BOOTTIME`.
    pub boot: BootTime,
    /// `CLOCK_MONOTONIC`.
    pub mono: MonoTime,
    /// `CLOCK_MONOTONIC_RAW`.
    pub raw: RawTime,
    /// `CLOCK_REALTIME`.
    pub wall: WallTime,
}

/// Wall-clock times in documents: RFC 3339 in UTC, to the millisecond.
pub mod utc {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::WallTime;

    /// As `2026-11-22T10:00:00.123Z`.
    #[must_use]
    pub fn text(time: WallTime) -> String {
        let millis = i64::try_from(time.0 / 1_000_000).unwrap_or(i64::MAX);
        let stamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        format!("{stamp:.3}")
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(time: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*time))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Where the text is no time since 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WallTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stamp: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let nanos = u64::try_from(stamp.as_nanosecond()).map_err(D::Error::custom)?;
        Ok(WallTime(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_times_are_written_in_utc_to_the_millisecond() {
        assert_eq!(
            utc::text(WallTime(1_795_341_600_123_456_789)),
            "2026-11-22T10:00:00.123Z"
        );
        assert_eq!(utc::text(WallTime(0)), "1970-01-01T00:00:00.000Z");
    }
}
