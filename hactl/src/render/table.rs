//! Tables: columns side by side, no lines, as wide as the terminal.

use std::io::{IsTerminal, stdout};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets};

/// Blanks between two columns.
const GAP: u16 = 2;
/// A word that takes more than this part of the width is broken: an address fits, a path need not.
const WORD_SHARE: u16 = 4;

/// The width of the terminal; in a pipe nothing is wrapped.
pub(crate) fn width() -> Option<u16> {
    if !stdout().is_terminal() {
        return None;
    }
    Table::new().width()
}

/// A header and rows; nothing where there are no rows.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: Vec<[String; N]>,
    width: Option<u16>,
) -> String {
    arranged(Some(Vec::from(header)), rows, width)
}

/// As [`table`], with columns that are there only where they say something.
pub(crate) fn loose_table(header: Vec<&str>, rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    arranged(Some(header), rows, width)
}

/// Rows without a header: what stands side by side explains itself.
pub(crate) fn lines<const N: usize>(rows: Vec<[String; N]>, width: Option<u16>) -> String {
    arranged(None, rows, width)
}

fn arranged(header: Option<Vec<&str>>, rows: Vec<impl Into<Row>>, width: Option<u16>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    if let Some(header) = header {
        table.set_header(header);
    }
    table
        .add_rows(rows)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        keep_words(&mut table, width);
        table.set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt() + "\n"
}

/// No column gets narrower than its longest word, unless that takes more than its share of the width.
fn keep_words(table: &mut Table, width: u16) {
    let mut longest = Vec::new();
    for row in table.header().into_iter().chain(table.row_iter()) {
        longest.resize(longest.len().max(row.cell_count()), 0);
        for (column, cell) in longest.iter_mut().zip(row.cell_iter()) {
            let text = cell.content();
            let words = text.split_whitespace().map(|word| word.chars().count());
            *column = words.max().unwrap_or(0).max(*column);
        }
    }
    for (column, word) in table.column_iter_mut().zip(longest) {
        let word = u16::try_from(word).unwrap_or(u16::MAX);
        let least = Width::Fixed(word.min(width / WORD_SHARE) + GAP);
        column.set_constraint(ColumnConstraint::LowerBoundary(least));
    }
}

/// "h1, h2", or "-" where there is nothing.
pub(crate) fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(", ")
    }
}
