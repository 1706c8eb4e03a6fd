//! What is wrong with a file, or worth a word, with its place.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of the file.
pub(crate) type Span = Range<usize>;

/// Columns of one line that are shown; a longer line is cut.
const WIDTH: usize = 160;

/// One error or warning, with the line that it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file as it was named.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The file can be used all the same.
    pub is_warning: bool,
    /// The text of the line.
    text: String,
    /// How many characters are underlined.
    width: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_warning { "warning" } else { "error" };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // A tab stays a tab, so that the marks stand where the terminal puts the text.
        let indent: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let shown: String = self.text.chars().take(WIDTH).collect();
        let marks = "^".repeat(self.width);
        writeln!(f, "{kind}: {}", self.message)?;
        writeln!(
            f,
            "{margin}--> {}:{}:{}",
            self.path.display(),
            self.line,
            self.column
        )?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {shown}")?;
        if self.column <= WIDTH {
            writeln!(f, "{margin} | {indent}{marks}")?;
        }
        write!(f, "{margin} = help: {}", self.help)
    }
}

/// Everything that is wrong in a file, in the order of its lines.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Errors {
    /// The file as it was named.
    pub path: PathBuf,
    /// At least one.
    pub errors: Vec<Finding>,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}\n")?;
        }
        let count = self.errors.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{}: {count} error{plural}", self.path.display())
    }
}

/// A file's text, to find lines in.
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    fn place(&self, found: Found) -> Finding {
        let start = floor(self.text, found.span.start);
        let line_start = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |end| start + end);
        let end = floor(self.text, found.span.end).clamp(start, line_end);
        let text = self.text[line_start..line_end].trim_end();
        let column = self.text[line_start..start].chars().count() + 1;
        let room = WIDTH.saturating_sub(column - 1).max(1);
        Finding {
            path: self.path.to_owned(),
            line: self.text[..line_start].matches('\n').count() + 1,
            column,
            message: found.message,
            help: found.help,
            is_warning: found.is_warning,
            text: text.to_owned(),
            width: self.text[start..end]
                .trim_end()
                .chars()
                .count()
                .clamp(1, room),
        }
    }
}

/// The nearest boundary of a character at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A finding before its line is looked up.
struct Found {
    span: Span,
    message: String,
    help: String,
    is_warning: bool,
}

/// Collects what is found.
#[derive(Default)]
pub(crate) struct Findings(Vec<Found>);

impl Findings {
    /// The file is refused.
    pub(crate) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), help.into());
        self.0.push(Found {
            span,
            message,
            help,
            is_warning: false,
        });
    }

    /// The file is used.
    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let (message, help) = (message.into(), help.into());
        self.0.push(Found {
            span,
            message,
            help,
            is_warning: true,
        });
    }

    /// The text is no TOML.
    pub(crate) fn syntax(&mut self, message: &str, span: Span) {
        let help = if message.contains("duplicate key") {
            "keep one of the two"
        } else {
            "the file is TOML: key = value under [table] or [[list of tables]], text in quotes"
        };
        self.error(span, message, help);
    }

    /// Nothing was found so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    /// Errors and warnings, each in the order of the file.
    pub(crate) fn finish(mut self, source: &Source<'_>) -> (Vec<Finding>, Vec<Finding>) {
        self.0.sort_by_key(|found| found.span.start);
        let placed = self.0.into_iter().map(|found| source.place(found));
        placed.partition(|finding| !finding.is_warning)
    }
}
