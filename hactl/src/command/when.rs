//! Moments as the user writes them.

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use crate::failure::Failure;
use crate::render::Moment;

/// Milliseconds since 1970 of "2026-11-22T10:00:00Z", of the local "2026-11-22T10:00" or "10:00" of today, or of "30m" ago.
pub(super) fn millis(option: &str, text: &str, moment: &Moment) -> Result<u64, Failure> {
    let today = moment.now.to_zoned(moment.zone.clone()).date();
    let local = |date: DateTime| {
        date.to_zoned(moment.zone.clone())
            .ok()
            .map(|at| at.timestamp())
    };
    let ago = |length: SignedDuration| moment.now.checked_sub(length.abs()).ok();
    let timestamp = (text.parse::<Timestamp>().ok())
        .or_else(|| local(text.parse::<DateTime>().ok()?))
        .or_else(|| local(today.to_datetime(text.parse::<Time>().ok()?)))
        .or_else(|| ago(text.parse::<SignedDuration>().ok()?));
    let Some(timestamp) = timestamp else {
        return Err(Failure::Usage {
            text: format!("{option} {text} is no moment"),
            hint: "write \"2026-11-22T10:00\", \"10:00\" or \"30m\"".to_owned(),
        });
    };
    Ok(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn at(text: &str) -> Option<u64> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        millis("--since", text, &Moment { now, zone }).ok()
    }

    #[test]
    fn moments_are_read_in_local_time() {
        let ten = 1_795_341_600_000;
        assert_eq!(at("2026-11-22T10:00:00Z"), Some(ten));
        assert_eq!(at("2026-11-22T11:00:00"), Some(ten));
        assert_eq!(at("2026-11-22T11:00"), Some(ten));
        assert_eq!(at("2026-11-22 11:00"), Some(ten));
        assert_eq!(at("11:00"), Some(ten));
        assert_eq!(at("30m"), Some(ten - 30 * 60_000));
        assert_eq!(at("1h 30m"), Some(ten - 90 * 60_000));
        assert_eq!(at("2026-11-22"), Some(ten - 11 * 3_600_000));
        assert_eq!(at("yesterday"), None);
    }
}
