//! Which life of each disk was heard last.
//!
//! A data directory that was put back from a copy (a restored backup, a virtual machine's snapshot) votes as it once did: it has
//! forgotten what it acknowledged, and the consensus rests on that. Each start of a daemon is counted in its data directory and
//! told with every word, so a disk that counts backwards, or counts the same start twice, is known by whoever heard it before.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use had_core::ids::{ProcessId, VoterId};
use had_core::message::Sender;

use super::hello::Unfit;

/// The latest life of each disk that was heard.
#[derive(Debug, Default)]
pub(crate) struct Lives(Mutex<BTreeMap<VoterId, ProcessId>>);

impl Lives {
    /// Notes who speaks.
    ///
    /// # Errors
    /// Where another life of the same disk was heard that began later, or with the same start.
    pub(crate) fn admit(&self, theirs: &Sender) -> Result<(), Unfit> {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = lives.entry(theirs.voter).or_insert(theirs.process);
        if *latest == theirs.process || starts(*latest) < starts(theirs.process) {
            *latest = theirs.process;
            return Ok(());
        }
        Err(Unfit::Rewound(theirs.node.clone()))
    }
}

/// How often its data directory had been started.
fn starts(process: ProcessId) -> u64 {
    process.0 >> 32
}

#[cfg(test)]
mod tests {
    use had_core::ids::ClusterId;

    use super::*;

    fn life(voter: u64, starts: u64, chance: u64) -> Sender {
        Sender {
            node: "h1".into(),
            voter: VoterId(voter),
            process: ProcessId(starts << 32 | chance),
            cluster: ClusterId(7),
        }
    }

    #[test]
    fn a_disk_that_counts_backwards_or_twice_is_refused_and_another_one_is_not() {
        let lives = Lives::default();
        for (voter, starts, chance, fits) in [
            (1, 3, 9, true),
            (1, 3, 9, true),
            (1, 4, 2, true),
            (1, 4, 3, false),
            (1, 3, 9, false),
            (2, 1, 1, true),
            (1, 5, 0, true),
        ] {
            let admitted = lives.admit(&life(voter, starts, chance));
            assert_eq!(admitted.is_ok(), fits, "{voter} {starts} {chance}");
        }
    }
}
