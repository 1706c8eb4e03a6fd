//! What goes to stdout.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Cursor home, and everything below it gone.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Text for people, as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// The next picture of a watched thing: in place of the last one on a terminal, below it elsewhere.
pub(crate) fn picture(picture: &str) -> io::Result<()> {
    let before = if io::stdout().is_terminal() {
        CLEAR
    } else {
        ""
    };
    let after = if io::stdout().is_terminal() { "" } else { "\n" };
    text(&format!("{before}{picture}{after}"))
}

/// A document of the daemon, as it came, on one line.
pub(crate) fn passed_on(json: &[u8]) -> io::Result<()> {
    let mut line = json.to_vec();
    // Between tokens JSON may break lines anywhere; inside of texts it cannot.
    line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// A document of our own, on one line.
pub(crate) fn document(document: &impl Serialize) -> io::Result<()> {
    passed_on(&serde_json::to_vec(document)?)
}
