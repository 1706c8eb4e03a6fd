//! What was shown, in one table.

use crate::screen::{Paint, Screen};

/// What a scene showed.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What happened.
    pub(crate) title: String,
    /// Who answered, one after the other.
    pub(crate) path: Vec<String>,
    /// The longest silence that a client saw, milliseconds.
    pub(crate) silence_ms: f64,
    /// What is promised of it, milliseconds.
    pub(crate) promised_ms: f64,
    /// How late this machine ran a thread that wanted to run every millisecond, milliseconds: its own share.
    pub(crate) noise_ms: f64,
    /// How a former owner was heard beside the new one, where it was.
    pub(crate) overlap: Option<String>,
    /// What else was not as it should be, where something was.
    pub(crate) wrong: Option<String>,
}

impl Row {
    /// Whether everything was as promised. By how much the machine ran late is not the cluster's.
    pub(crate) fn is_kept(&self) -> bool {
        let in_time = self.silence_ms <= self.promised_ms + self.noise_ms;
        in_time && self.overlap.is_none() && self.wrong.is_none()
    }

    /// What has to be said of it where it was not as promised, or only just.
    pub(crate) fn remark(&self, screen: &Screen) {
        if self.silence_ms > self.promised_ms {
            let (promised, noise) = (self.promised_ms, self.noise_ms);
            screen.line(
                Paint::Faint,
                &format!(
                    "promised are {promised:.0} ms; this machine was late by {noise:.0} ms, being busy"
                ),
            );
        }
        for text in self.overlap.iter().chain(&self.wrong) {
            screen.line(Paint::Bad, text);
        }
    }
}

/// Prints it.
pub(crate) fn print(screen: &Screen, rows: &[Row]) {
    let head = format!(
        "{:<34}{:<16}{:>8}{:>10}  {}",
        "what happened", "answers", "silent", "promised", "two at once"
    );
    screen.line(Paint::Strong, &head);
    for row in rows {
        let path = row.path.join(" → ");
        let silent = format!("{:.0} ms", row.silence_ms);
        let promised = format!("{:.0} ms", row.promised_ms);
        let text = format!("{:<34}{path:<16}{silent:>8}{promised:>10}  ", row.title);
        let overlap = if row.overlap.is_none() {
            "never"
        } else {
            "YES"
        };
        let (paint, mark) = if row.is_kept() {
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
