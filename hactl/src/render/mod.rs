//! How things look to people.

pub(crate) mod change;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod table;

use had_core::time::WallTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// When and where somebody looks.
pub(crate) struct Moment {
    /// By this host's clock.
    pub(crate) now: Timestamp,
    /// Of the one who looks.
    pub(crate) zone: TimeZone,
}

impl Moment {
    /// Now, on this host.
    pub(crate) fn here() -> Self {
        Self {
            now: Timestamp::now(),
            zone: TimeZone::system(),
        }
    }

    /// "11:00:00" of today, else "2026-11-21 11:00:00".
    pub(crate) fn clock(&self, at: WallTime) -> String {
        let today = self.now.to_zoned(self.zone.clone()).date().to_string();
        let at = self.seconds(at);
        match at.split_once(' ') {
            Some((day, time)) if day == today => time.to_owned(),
            _ => at,
        }
    }

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
fn length(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{} s", ms / 1_000),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        7_200_000..=172_799_999 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// "h1", "h1 and h2", "h1, h2 and h3".
fn and(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match items.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// One line a note.
fn render_notes(notes: &[String]) -> String {
    notes.iter().map(|note| format!("note: {note}\n")).collect()
}

/// A word as the documents spell it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests;
