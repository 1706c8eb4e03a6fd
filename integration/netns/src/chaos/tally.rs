//! Silences by the kind of fault, and what healed slowest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use had_rig::wall::WallNs;

/// What belongs to faults of one name.
#[derive(Clone, Debug, Default)]
struct Row {
    batches: usize,
    silences: Vec<WallNs>,
    slowest: WallNs,
}

/// The report's table. Holds a number for each silence.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rows: BTreeMap<String, Row>,
}

impl Tally {
    /// A batch of this name was played; its slowest group needed so long to heal.
    pub fn batch(&mut self, label: &str, healed: WallNs) {
        let row = self.rows.entry(label.to_owned()).or_default();
        row.batches += 1;
        row.slowest = row.slowest.max(healed);
    }

    /// An address was silent for so long.
    pub fn silence(&mut self, label: &str, length: WallNs) {
        self.rows
            .entry(label.to_owned())
            .or_default()
            .silences
            .push(length);
    }

    /// The table.
    #[must_use]
    pub fn table(&mut self) -> String {
        let mut text = format!(
            "{:<32}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}\n",
            "faults", "batches", "silences", "p50 ms", "95 % ms", "max ms", "healed ms"
        );
        for (label, row) in &mut self.rows {
            row.silences.sort_unstable();
            let rank = |hundredths: usize| {
                let place = (row.silences.len() * hundredths).div_ceil(100).max(1);
                row.silences
                    .get(place - 1)
                    .map_or_else(|| "-".to_owned(), |one| ms(*one))
            };
            let (batches, count) = (row.batches, row.silences.len());
            let _ = writeln!(
                text,
                "{label:<32}{batches:>8}{count:>10}{:>10}{:>10}{:>10}{:>12}",
                rank(50),
                rank(95),
                rank(100),
                ms(row.slowest)
            );
        }
        text
    }
}

/// Milliseconds with one digit.
#[must_use]
pub fn ms(length: WallNs) -> String {
    let tenths = length / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_the_nearest_ranks() {
        let mut tally = Tally::default();
        tally.batch("kill", 7_000_000);
        (1..=100).for_each(|ms| tally.silence("kill", ms * 1_000_000));
        let table = tally.table();
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["kill", "1", "100", "50.0", "95.0", "100.0", "7.0"]);
    }
}
