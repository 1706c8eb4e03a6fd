//! A third of many groups moves at once. How fast is measured by the program `many`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use had_netns::many;

const GROUPS: u16 = 300;
/// Seldom enough that the asks are no load.
const INTERVAL: Duration = Duration::from_millis(20);
/// Far above the promise.
const TAKEOVER_MS: f64 = 5_000.0;

pub(crate) fn served_again() -> Result<()> {
    let outcome = many::measure(GROUPS, INTERVAL)?;
    let worst = outcome.silences_ms.iter().copied().reduce(f64::max);
    let worst = worst.context("groups were lost")?;
    println!(
        "{} groups, the slowest after {worst:.0} ms",
        outcome.silences_ms.len()
    );
    outcome.steps.iter().for_each(|step| println!("{step}"));
    ensure!(
        outcome.silences_ms.len() == usize::from(GROUPS) / 3 && worst < TAKEOVER_MS,
        "{outcome:?}"
    );
    Ok(())
}
