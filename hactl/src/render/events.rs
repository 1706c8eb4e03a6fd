//! The cluster's history, a line each.

use had_core::status::EventLine;

use super::Moment;

/// "2026-11-22 11:00:00.123  takeover     web: h1 → h2, because … (decided by h3)".
pub(crate) fn render(event: &EventLine, moment: &Moment) -> String {
    let by = match &event.by {
        Some(by) => format!(" (decided by {by})"),
        None => String::new(),
    };
    format!(
        "{}  {:<11}  {}{by}\n",
        moment.millis(event.at),
        event.kind,
        event.text
    )
}
