//! Who answered, as a strip: one cell for some milliseconds.

use std::time::{Duration, Instant};

use had_rig::client::Answer;

use crate::screen::{Paint, Screen};

/// How many cells: with the margins less than 80 columns.
pub(crate) const CELLS: u32 = 60;
/// What is shown before the fault.
pub(crate) const LEAD: Duration = Duration::from_millis(200);

/// The strip from `start` up to now (or to its end).
pub(crate) fn draw(screen: Screen, answers: &[Answer], start: Instant, cell: Duration) -> String {
    let now = Instant::now();
    let cells = (0..CELLS).map(|number| (start + cell * number, start + cell * (number + 1)));
    let drawn = cells.take_while(|(_, end)| *end < now).map(|(from, to)| {
        let within = |answer: &&Answer| answer.asked >= from && answer.asked < to;
        paint(
            screen,
            answers.iter().rfind(within).map(|answer| &*answer.who),
        )
    });
    drawn.collect()
}

/// The line below the strip: where it happened, and how long a cell is.
pub(crate) fn mark(start: Instant, at: &[Instant], cell: Duration) -> String {
    let mut line = String::new();
    for moment in at {
        let cells = (*moment - start).as_millis() / cell.as_millis();
        let column = usize::try_from(cells).unwrap_or_default();
        let gap = column.saturating_sub(line.chars().count());
        line += &" ".repeat(gap);
        line.push('▲');
    }
    format!("{line} here; a cell is {} ms", cell.as_millis())
}

/// One cell: the host's number and colour, or a dot where every ask went without an answer.
fn paint(screen: Screen, who: Option<&str>) -> String {
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
