//! Who answered, as a strip: one cell for some milliseconds.

use std::time::{Duration, Instant};

use had_rig::client::Answer;

use crate::screen::{Paint, Screen};

/// One cell.
pub(crate) const CELL: Duration = Duration::from_millis(20);
/// How many: with the margins less than 80 columns.
pub(crate) const CELLS: u32 = 60;
/// What is shown before the fault.
pub(crate) const LEAD: Duration = Duration::from_millis(200);

/// The strip from `start` up to now (or to its end).
pub(crate) fn draw(screen: Screen, answers: &[Answer], start: Instant) -> String {
    let now = Instant::now();
    let cells = (0..CELLS).map(|cell| (start + CELL * cell, start + CELL * (cell + 1)));
    let drawn = cells.take_while(|(_, end)| *end < now).map(|(from, to)| {
        let within = |answer: &&Answer| answer.asked >= from && answer.asked < to;
        cell(
            screen,
            answers.iter().rfind(within).map(|answer| &*answer.who),
        )
    });
    drawn.collect()
}

/// The line below the strip: where it happened, and how long a cell is.
pub(crate) fn mark(start: Instant, at: Instant) -> String {
    let cells = (at - start).as_millis() / CELL.as_millis();
    let indent = " ".repeat(usize::try_from(cells).unwrap_or_default());
    format!("{indent}▲ here; a cell is {} ms", CELL.as_millis())
}

/// One cell: the host's number and colour, or a dot where every ask went without an answer.
fn cell(screen: Screen, who: Option<&str>) -> String {
    let Some(who) = who else {
        return screen.paint(Paint::Bad, "·");
    };
    let number = number(who);
    if screen.is_live() {
        screen.paint(Paint::Host(number), "█")
    } else {
        number.to_string()
    }
}

/// The number in a host's name.
pub(crate) fn number(host: &str) -> u8 {
    host.trim_start_matches('h').parse().unwrap_or_default()
}
