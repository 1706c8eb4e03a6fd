//! How things look to people.

pub(crate) mod change;
pub(crate) mod events;
pub(crate) mod status;
pub(crate) mod table;

use had_core::time::WallTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// When and where somebody looks.
pub(crate) struct Moment {
    /// By this host's clock.
    pub(crate) now: Timestamp,
    /// Of the one who looks.
    pub(crate) zone: TimeZone,
}

impl Moment {
    /// "2026-11-22 11:00:00".
    pub(crate) fn seconds(&self, at: WallTime) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S")
    }

    /// "2026-11-22 11:00:00.123".
    pub(crate) fn millis(&self, at: WallTime) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S%.3f")
    }

    /// How long ago, by this host's clock: "41 ms", "12 s", "3 min", "5 h", "9 d". Nothing lies in the future.
    pub(crate) fn age(&self, at: WallTime) -> String {
        let at = i128::from(at.0 / 1_000_000);
        let ms = (i128::from(self.now.as_millisecond()) - at).max(0);
        length(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    fn format(&self, at: WallTime, format: &str) -> String {
        let ms = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

/// A length of time in the largest unit that still says something, rounded down.
pub(crate) fn length(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{} s", ms / 1_000),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        7_200_000..=172_799_999 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests;
