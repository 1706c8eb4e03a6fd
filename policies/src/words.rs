//! How the planner says things to people.

use std::fmt;
use std::time::Duration;

use crate::between::Hindrance;
use crate::field::{Field, Judged};
use crate::names::{GroupName, NodeName};
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

/// "a, b, c".
pub(crate) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let text: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    text.join(", ")
}

/// "is lost and is drained".
pub(crate) fn vetoes(vetoes: &[Veto]) -> String {
    let text: Vec<String> = vetoes.iter().map(ToString::to_string).collect();
    text.join(" and ")
}

/// "h2 is drained; h3 is lost", for every vetoed node but `but`.
pub(crate) fn refused(field: &Field, but: Option<&NodeName>) -> String {
    let text: Vec<String> = field
        .all()
        .filter(|judged| !judged.eligible() && Some(judged.node()) != but)
        .map(|judged| format!("{} {}", judged.node(), vetoes(&judged.vetoes)))
        .collect();
    let text = text.join("; ");
    if text.is_empty() {
        "the group has no other node".to_owned()
    } else {
        text
    }
}

/// Why nobody has the group: whom it follows in vain, whom it gives way to, and what every node lacks.
pub(crate) fn nobody(field: &Field) -> String {
    match followed(field).as_slice() {
        [] => {}
        [(group, None), ..] => return format!("it follows {group}, which runs nowhere"),
        [(group, Some(owner))] => return format!("it follows {group} {}", unable(field, owner)),
        several @ [_, _, ..] => {
            let places = several.iter().map(|(group, owner)| match owner {
                Some(owner) => format!("{group} (on {owner})"),
                None => format!("{group} (nowhere)"),
            });
            let places: Vec<String> = places.collect();
            return format!("it follows {}, which are not together", and(&places));
        }
    }
    let displaced = list(field.all().filter_map(|judged| {
        let to = gives_way(judged)?;
        Some(format!("{} on {}", and(to), judged.node()))
    }));
    let others: Vec<String> = field
        .all()
        .filter(|judged| gives_way(judged).is_none())
        .map(|judged| format!("{} {}", judged.node(), vetoes(&judged.vetoes)))
        .collect();
    match (displaced.is_empty(), others.is_empty()) {
        (true, true) => "no node may own it".to_owned(),
        (true, false) => format!("no eligible node: {}", others.join("; ")),
        (false, true) => format!("it gives way to {displaced}"),
        (false, false) => format!("it gives way to {displaced}; {}", others.join("; ")),
    }
}

/// The displacers, where they alone forbid a node. A node that is silent just now is no other reason: it may be heard
/// again in a moment, and what rests because it gave way goes on resting for that.
pub(crate) fn gives_way(judged: &Judged) -> Option<&[GroupName]> {
    match judged.vetoes.as_slice() {
        [Veto::GivesWay { to }] | [Veto::Silent, Veto::GivesWay { to }] => Some(to),
        [] | [_, ..] => None,
    }
}

/// The followed groups that are not on every node of the field, and where they are: those that are nowhere first.
pub(crate) fn followed(field: &Field) -> Vec<(&GroupName, Option<&NodeName>)> {
    let vetoes = field.all().flat_map(|judged| &judged.vetoes);
    let mut found: Vec<(&GroupName, Option<&NodeName>)> = vetoes
        .filter_map(|veto| match veto {
            Veto::NotWith { group, owner, .. } => Some((group, owner.as_ref())),
            Veto::Lost
            | Veto::Silent
            | Veto::Drained
            | Veto::Leaving
            | Veto::NotReady(_)
            | Veto::ReadinessUnknown
            | Veto::Banned(_)
            | Veto::NotQueued
            | Veto::Full { .. }
            | Veto::GivesWay { .. }
            | Veto::Apart { .. } => None,
        })
        .collect();
    found.sort_by_key(|(group, owner)| (owner.is_some(), *group));
    found.dedup();
    found
}

/// Why a group cannot be where the one that it follows is.
fn unable(field: &Field, owner: &NodeName) -> String {
    match field.get(owner) {
        None => format!("to {owner}, which is not among its nodes"),
        Some(there) => format!("to {owner}, but {owner} {}", vetoes(&there.vetoes)),
    }
}

/// "logs, which goes with it, could not run there (h1 is not ready for logs: disk full)", said of a node.
pub(crate) fn hindered(hindrance: &Hindrance, node: &NodeName) -> String {
    let follower = &hindrance.follower;
    let why = match &hindrance.veto {
        Some(Veto::NotReady(why)) => format!("{node} is not ready for {follower}: {why}"),
        Some(Veto::ReadinessUnknown) => {
            format!("{node} has not said whether it is ready for {follower}")
        }
        Some(Veto::Banned(why)) => format!("{node} failed to start {follower}: {why}"),
        Some(veto) => format!("{node} {veto}"),
        None => format!("{node} is not among the nodes of {follower}"),
    };
    format!("{follower}, which goes with it, could not run there ({why})")
}

/// "1st", "2nd", "3rd", "4th", "11th".
pub(crate) fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
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
