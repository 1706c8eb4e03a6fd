//! The cluster's history, a line each.

use had_core::status::EventLine;

use super::Moment;

/// "2026-11-22 11:00:00.123  takeover     web: h1 → h2, because …".
pub(crate) fn render(event: &EventLine, moment: &Moment) -> String {
    format!(
        "{}  {:<11}  {}\n",
        moment.millis(event.at),
        event.kind,
        event.text
    )
}
