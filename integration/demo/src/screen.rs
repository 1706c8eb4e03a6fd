//! A terminal, or a pipe: colours and lines that change on the one, plain text on the other.

use std::io::{IsTerminal, Write};

/// What a text is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Paint {
    /// As it is.
    Plain,
    /// A title.
    Strong,
    /// Beside the point.
    Faint,
    /// As promised.
    Good,
    /// Not as promised.
    Bad,
    /// Said by this host.
    Host(u8),
}

/// Where the demo is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    live: bool,
    colour: bool,
}

impl Screen {
    /// Standard output as it is. `NO_COLOR` (no-color.org) is obeyed.
    pub(crate) fn new() -> Self {
        let live = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            live,
            colour: live && !plain,
        }
    }

    /// Whether a line may be drawn again and again.
    pub(crate) fn is_live(self) -> bool {
        self.live
    }

    /// A text in its colour, where there are any.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Strong => "1".to_owned(),
            Paint::Faint => "2".to_owned(),
            Paint::Good => "32".to_owned(),
            Paint::Bad => "1;31".to_owned(),
            // Cyan, magenta, yellow, blue: apart on light and on dark.
            Paint::Host(number) => ["36", "35", "33", "34"][usize::from(number) % 4].to_owned(),
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// One line.
    pub(crate) fn line(self, paint: Paint, text: &str) {
        self.put(&format!("  {}\n", self.paint(paint, text)));
    }

    /// An empty line.
    pub(crate) fn blank(self) {
        self.put("\n");
    }

    /// Draws the present lines again; nothing in a pipe.
    pub(crate) fn redraw(self, lines: &[String]) {
        if self.live {
            // Back to the first of them: whatever comes next is drawn over them.
            self.put(&format!("{}\x1b[{}A", self.over(lines), lines.len()));
        }
    }

    /// Draws the present lines for the last time.
    pub(crate) fn settle(self, lines: &[String]) {
        self.put(&self.over(lines));
    }

    fn over(self, lines: &[String]) -> String {
        let again = if self.live { "\r\x1b[K" } else { "" };
        lines
            .iter()
            .map(|line| format!("{again}  {line}\n"))
            .collect()
    }

    fn put(self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away (`| head`) is no reason to stop half-way with a lab standing.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
