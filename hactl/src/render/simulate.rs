//! What a loss or a split would lead to.

use std::path::Path;
use std::time::Duration;

use had_policies::{Fate, FateState, Forecast, Outage, Scenario};

use super::table::{list, table};
use super::{and, render_notes};

/// The question with its answer, and what becomes of each group.
pub(crate) fn render(
    forecast: &Forecast,
    scenario: &Scenario,
    file: Option<&Path>,
    width: Option<u16>,
) -> String {
    let mut parts = vec![
        answer(forecast, scenario, file),
        fates(&forecast.groups, width),
        notes(forecast),
    ];
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// "If h1 and h2 are lost: web moves to h3."
fn answer(forecast: &Forecast, scenario: &Scenario, file: Option<&Path>) -> String {
    let what = match scenario {
        Scenario::Lose(nodes) => {
            let are = if nodes.len() == 1 { "is" } else { "are" };
            format!("{} {are} lost", and(nodes))
        }
        Scenario::Split(parts) => {
            let parts: Vec<String> = parts.iter().map(list).collect();
            format!("the network falls into {}", parts.join(" | "))
        }
    };
    // "h1 lost: web moves to h2": the question is asked above already.
    let summary = &forecast.summary;
    let comes = summary
        .split_once(": ")
        .map_or(&**summary, |(_, rest)| rest);
    let before = match file {
        Some(file) => format!(
            "By {}, with every node there and every group in its place.\n",
            file.display()
        ),
        None => String::new(),
    };
    format!("{before}If {what}: {}.\n", comes.trim_end_matches('.'))
}

fn fates(fates: &[Fate], width: Option<u16>) -> String {
    let row = |fate: &Fate| {
        [
            fate.group.to_string(),
            list(&fate.before),
            then(fate),
            outage(fate),
            fate.why.clone(),
        ]
    };
    let header = ["GROUP", "NOW", "THEN", "OUTAGE", "WHY"];
    table(header, fates.iter().map(row).collect(), width)
}

fn then(fate: &Fate) -> String {
    match fate.state {
        FateState::Runs => list(&fate.after),
        FateState::Keeps => format!("{}, kept", list(&fate.after)),
        FateState::Displaced => "displaced".to_owned(),
        FateState::Stopped => "stopped".to_owned(),
        FateState::Maintenance => "down: in maintenance".to_owned(),
        FateState::NoQuorum => "stopped: no quorum".to_owned(),
    }
}

/// "about 310 ms, at most 350 ms", or until when it lasts.
fn outage(fate: &Fate) -> String {
    match (&fate.outage, fate.state) {
        (Outage::None, _) => "none".to_owned(),
        (Outage::Lasting, _) if fate.before.is_none() => "down already".to_owned(),
        (Outage::UpTo { typical, most }, _) => {
            format!("about {}, at most {}", length(*typical), length(*most))
        }
        (Outage::Lasting, FateState::NoQuorum) => "until a majority is back".to_owned(),
        (Outage::Lasting, FateState::Keeps) => {
            format!("for all who cannot reach {}", list(&fate.after))
        }
        (Outage::Lasting, FateState::Maintenance) => "until maintenance ends".to_owned(),
        (Outage::Lasting, FateState::Displaced) => "as long as it gives way".to_owned(),
        (Outage::Lasting, FateState::Stopped | FateState::Runs) => {
            "until a node can take it".to_owned()
        }
    }
}

/// "310 ms", "1250 ms", "21 s": exact where outages are compared, and never less than it is.
fn length(length: Duration) -> String {
    match length.as_millis() {
        ms @ ..10_000 => format!("{ms} ms"),
        ms => format!("{} s", ms.div_ceil(1_000)),
    }
}

fn notes(forecast: &Forecast) -> String {
    let degraded = forecast.degraded.iter().map(|degraded| {
        format!(
            "{} would be degraded ({}): {}",
            degraded.node,
            list(&degraded.groups),
            degraded.reason
        )
    });
    let notes: Vec<String> = degraded.chain(forecast.notes.iter().cloned()).collect();
    render_notes(&notes)
}
