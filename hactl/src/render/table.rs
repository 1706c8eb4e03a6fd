//! Tables: columns side by side, no lines, as wide as the terminal.

use std::io::{IsTerminal, stdout};

use comfy_table::{ContentArrangement, Table, presets};

/// Blanks between two columns.
const GAP: u16 = 2;

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
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .force_no_tty()
        .set_header(header)
        .add_rows(rows);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt() + "\n"
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
