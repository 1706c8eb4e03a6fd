//! What was shown, in one table.

use crate::scene::Shown;
use crate::screen::{Paint, Screen};

/// Prints it.
pub(crate) fn print(screen: &Screen, results: &[Shown]) {
    let head = format!(
        "{:<36}{:<12}{:>9}{:>10}   {}",
        "what happened", "answers", "silent", "promised", "two at once"
    );
    screen.line(Paint::Strong, &head);
    for shown in results {
        let moved = if shown.from == shown.to {
            shown.from.clone()
        } else {
            format!("{} → {}", shown.from, shown.to)
        };
        let silent = format!("{:.0} ms", shown.silence_ms);
        let promised = format!("{:.0} ms", shown.promised_ms);
        let text = format!("{:<36}{moved:<12}{silent:>9}{promised:>10}   ", shown.title);
        let overlap = if shown.overlap.is_none() {
            "never"
        } else {
            "YES"
        };
        let (paint, mark) = if shown.is_kept() {
            (Paint::Good, "✓")
        } else {
            (Paint::Bad, "✗")
        };
        screen.line(
            Paint::Plain,
            &format!("{text}{overlap:<8}{}", screen.paint(paint, mark)),
        );
    }
    screen.blank();
}
