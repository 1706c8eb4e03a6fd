//! How the planner says things to people.

use std::fmt;
use std::time::Duration;

use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::veto::Veto;

/// "a", "a and b", "a, b and c".
pub(crate) fn and<T: fmt::Display>(items: &[T]) -> String {
    let text: Vec<String> = items.iter().map(ToString::to_string).collect();
    match text.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// "is drained and is lost".
pub(crate) fn vetoes(vetoes: &[Veto]) -> String {
    vetoes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

/// "h2 is drained, h3 is lost", for every vetoed node but `but`.
pub(crate) fn refused(field: &Field, but: Option<&NodeName>) -> String {
    let text: Vec<String> = field
        .all()
        .filter(|judged| !judged.eligible() && Some(&judged.node) != but)
        .map(|judged| format!("{} {}", judged.node, vetoes(&judged.vetoes)))
        .collect();
    if text.is_empty() {
        "the group has no other node".to_owned()
    } else {
        text.join(", ")
    }
}

/// Why a node comes first among the eligible; says so where only the name decided.
pub(crate) fn first(field: &Field, chosen: &Judged) -> String {
    if chosen.pinned {
        return "pinned by an operator".to_owned();
    }
    let others: Vec<&Judged> = field
        .eligible()
        .filter(|judged| judged.node != chosen.node)
        .collect();
    if others.is_empty() && field.all().count() > 1 {
        return "the only eligible node".to_owned();
    }
    let (tied, by_name) = ties(&others, chosen);
    match (tied.is_empty(), by_name) {
        (true, _) => "highest priority among the eligible".to_owned(),
        (false, true) => {
            format!("highest priority among the eligible, before {tied} by name alone")
        }
        (false, false) => format!("highest priority among the eligible, level with {tied}"),
    }
}

/// The names level with a node, and whether it is the first of them by name.
fn ties(others: &[&Judged], chosen: &Judged) -> (String, bool) {
    let tied: Vec<&str> = others
        .iter()
        .filter(|other| other.ties(chosen))
        .map(|other| other.node.as_str())
        .collect();
    let by_name = tied.iter().all(|other| chosen.node.as_str() < *other);
    (tied.join(" and "), by_name)
}

/// "600 ms", "30 s", "90 s", "2 min".
pub(crate) fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, millis) {
        (0, _) => format!("{millis} ms"),
        (_, 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (_, 0) => format!("{seconds} s"),
        _ => format!("{} ms", duration.as_millis()),
    }
}
