//! What happened in a run, as a person reads it, and as one number that two runs can be compared by.

use std::cell::{Cell, RefCell};
use std::fmt;

/// Where something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A fault, an operator, a check.
    World,
    /// A host, by its name.
    Host(String),
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// True time, nanoseconds.
    pub at: u64,
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::World => "--",
            Place::Host(name) => name,
        };
        let (ms, ns) = (self.at / 1_000_000, self.at % 1_000_000);
        write!(f, "{ms:>6}.{:03} ms  {place:<3} {}", ns / 1_000, self.text)
    }
}

/// All lines of a run, in order, and a hash over them and over every message.
#[derive(Debug)]
pub struct History {
    lines: RefCell<Vec<Line>>,
    hash: Cell<u64>,
}

/// FNV-1a: the start and the prime of its 64-bit form.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Default for History {
    fn default() -> Self {
        Self {
            lines: RefCell::default(),
            hash: Cell::new(OFFSET),
        }
    }
}

impl History {
    /// Notes a line.
    pub fn note(&self, at: u64, place: Place, text: String) {
        self.count(at);
        text.bytes().for_each(|byte| self.mix(u64::from(byte)));
        self.lines.borrow_mut().push(Line { at, place, text });
    }

    /// Lets something into the hash that is too frequent to be read: the arrival of a message.
    pub fn count(&self, what: u64) {
        self.mix(what & 0xffff_ffff);
        self.mix(what >> 32);
    }

    fn mix(&self, value: u64) {
        self.hash.set((self.hash.get() ^ value).wrapping_mul(PRIME));
    }

    /// Equal for equal histories.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// Every line.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_when_where_and_what_and_another_order_is_another_history() {
        let (first, second) = (History::default(), History::default());
        let note = |history: &History, at, text: &str| {
            history.note(at, Place::Host("h1".into()), text.into());
        };
        note(&first, 1_234_567, "gate open");
        note(&first, 2_000_000, "gate shut");
        note(&second, 2_000_000, "gate shut");
        note(&second, 1_234_567, "gate open");
        assert_eq!(first.lines()[0].to_string(), "     1.234 ms  h1  gate open");
        assert_ne!(first.hash(), second.hash());
    }
}
