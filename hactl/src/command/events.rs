//! `hactl events`.

use had_core::status::EventLine;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::args::Target;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out;
use crate::render::Moment;
use crate::render::events::render;

/// Shows what is kept, then, if wanted, what comes.
pub(crate) async fn run(
    target: &Target,
    since: Option<&str>,
    follow: bool,
    json: bool,
) -> Result<(), Failure> {
    let moment = Moment {
        now: Timestamp::now(),
        zone: TimeZone::system(),
    };
    let since_ms = since.map_or(Ok(0), |text| since_ms(text, &moment))?;
    let mut daemon = Daemon::reach(target).await?;
    let mut stream = daemon.events(since_ms, follow).await?;
    let mut history = Vec::new();
    while let Some(document) = stream
        .message()
        .await
        .map_err(|status| daemon.failed(&status))?
    {
        match (json, follow) {
            (true, true) => out::passed_on(&document.json)?,
            (true, false) => history.push(document.json),
            (false, _) => {
                let event: EventLine = serde_json::from_slice(&document.json)
                    .map_err(|error| Failure::Answer(error.to_string()))?;
                out::text(&render(&event, &moment))?;
            }
        }
    }
    if json && !follow {
        out::passed_on(&[b"{\"events\":[".as_slice(), &history.join(&b','), b"]}"].concat())?;
    }
    if follow {
        return Err(Failure::NoDaemon {
            text: "the daemon ended".to_owned(),
            hint: "ask another node, or start again when it is back".to_owned(),
        });
    }
    Ok(())
}

/// Milliseconds since 1970 of "2026-11-22T10:00:00Z", of the local "2026-11-22T10:00" or "10:00" of today, or of "30m" ago.
fn since_ms(text: &str, moment: &Moment) -> Result<u64, Failure> {
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
            text: format!("--since {text} is no moment"),
            hint: "write \"2026-11-22T10:00\", \"10:00\" or \"30m\"".to_owned(),
        });
    };
    Ok(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<u64> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        since_ms(text, &Moment { now, zone }).ok()
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
