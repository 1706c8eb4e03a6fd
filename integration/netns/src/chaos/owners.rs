//! The committed history, as far as chaos judges by it: who owned which group under which epoch, and when a group had no owner for a
//! good reason.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use had_rig::Cluster;
use had_rig::wall::WallNs;

use super::sighting::{Owner, Owners};
use crate::history::{Event, events};

/// What is known of one group.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its owners.
    pub owners: Owners,
    /// When it began and ended to be displaced or stopped by an operator; the last may last.
    pub excused: Vec<(WallNs, Option<WallNs>)>,
}

/// What is known of all groups. Grows by what is decided, not by time.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    groups: BTreeMap<String, Known>,
    last: u64,
}

/// An epoch that is so much older than the newest is not asked for any more.
const KEPT: usize = 512;

impl Ledger {
    /// Asks a node for what was decided since the last time. Returns the new events.
    ///
    /// # Errors
    /// Where it does not say within a time.
    pub fn read(&mut self, cluster: &mut Cluster, asked: &str) -> Result<Vec<Event>> {
        let mut new = events(cluster, asked)?;
        new.retain(|event| event.number > self.last);
        for event in &new {
            self.note(event)?;
        }
        for known in self.groups.values_mut() {
            while known.owners.len() > KEPT {
                known.owners.pop_first();
            }
            let excess = known.excused.len().saturating_sub(KEPT);
            known.excused.drain(..excess);
        }
        Ok(new)
    }

    /// What is known of a group.
    #[must_use]
    pub fn of(&self, group: &str) -> Known {
        self.groups.get(group).cloned().unwrap_or_default()
    }

    fn note(&mut self, event: &Event) -> Result<()> {
        self.last = event.number;
        let (Some(group), Some(epoch)) = (&event.group, epoch_of(&event.text)) else {
            return Ok(());
        };
        let at: jiff::Timestamp = event.at.parse().context("the time of an event")?;
        let at = u64::try_from(at.as_nanosecond()).unwrap_or(0);
        let known = self.groups.entry(group.clone()).or_default();
        let host = event
            .node
            .as_deref()
            .and_then(|node| node.strip_prefix('h')?.parse().ok());
        match (event.kind.as_str(), host) {
            ("placed" | "restarted" | "takeover" | "switchover", Some(host)) => {
                known.owners.insert(epoch, Owner { host, at });
                known.excuse_ends(at);
            }
            ("displaced" | "stopped", _) => {
                known.excuse_ends(at);
                known.excused.push((at, None));
            }
            _ => known.excuse_ends(at),
        }
        Ok(())
    }
}

impl Known {
    fn excuse_ends(&mut self, at: WallNs) {
        if let Some((_, end @ None)) = self.excused.last_mut() {
            *end = Some(at);
        }
    }

    /// Whether somebody decided that the group should have no owner at some time of a silence.
    #[must_use]
    pub fn is_excused(&self, from: WallNs, to: WallNs) -> bool {
        let meets = |(begins, ends): &(WallNs, Option<WallNs>)| {
            *begins <= to && ends.is_none_or(|ends| ends >= from)
        };
        self.excused.iter().any(meets)
    }

    /// From when on a silence that ended at `end` was the cluster's to end: from `due`, or from the end of an excuse.
    /// Nothing where it is excused to its end.
    #[must_use]
    pub fn due(&self, due: WallNs, end: WallNs) -> Option<WallNs> {
        let mut due = due;
        for (from, to) in &self.excused {
            match to {
                Some(to) if *from < end => due = due.max(*to),
                None if *from < end => return None,
                _ => {}
            }
        }
        Some(due)
    }
}

/// The number in "… (epoch 7): …".
fn epoch_of(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("(epoch ")?;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64, kind: &str, node: &str, text: &str) -> Event {
        Event {
            number,
            at: format!("1970-01-01T00:00:0{number}Z"),
            node: Some(node.to_owned()),
            group: Some("web".to_owned()),
            kind: kind.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn owners_and_excuses_follow_from_events() {
        let mut ledger = Ledger::default();
        ledger
            .note(&event(
                1,
                "placed",
                "h1",
                "web placed on h1 (epoch 1): first",
            ))
            .unwrap();
        ledger
            .note(&event(
                2,
                "displaced",
                "h1",
                "web gave way on h1 (epoch 2): orders",
            ))
            .unwrap();
        ledger
            .note(&event(
                5,
                "placed",
                "h3",
                "web placed on h3 (epoch 3): again",
            ))
            .unwrap();
        let known = ledger.of("web");
        let second = 1_000_000_000;
        assert_eq!(
            known.owners[&3],
            Owner {
                host: 3,
                at: 5 * second
            }
        );
        assert_eq!(known.excused, [(2 * second, Some(5 * second))]);
        assert!(known.is_excused(second, 3 * second) && !known.is_excused(6 * second, 7 * second));
        assert_eq!(known.due(3 * second, 6 * second), Some(5 * second));
        assert_eq!(known.due(3 * second, second), Some(3 * second));
    }
}
