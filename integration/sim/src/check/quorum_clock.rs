//! What every lease rests on: the moment at which a permit says that a quorum was asked is not after the start of a later
//! leader. One voter is in that quorum and in the later leader's, and it acknowledged before it voted.

use std::collections::BTreeMap;

use had_core::ids::LeaderId;

use super::Violation;

/// When each leader was first seen to lead, in true time.
#[derive(Debug, Default)]
pub struct QuorumClock {
    started: BTreeMap<LeaderId, u64>,
}

impl QuorumClock {
    /// A process sees itself lead. Its true start is earlier, so what is checked here is less than what holds.
    pub fn leads(&mut self, leader: LeaderId, now: u64) {
        self.started.entry(leader).or_insert(now);
    }

    /// The consensus gave a permit; `acked` is its moment of the acknowledged quorum, in true time.
    ///
    /// # Errors
    /// Where a later leader had started before that moment.
    pub fn permitted(&self, leader: LeaderId, acked: u64) -> Result<(), Violation> {
        let next = LeaderId {
            term: leader.term,
            voter: had_core::ids::VoterId(leader.voter.0.saturating_add(1)),
        };
        let later = self
            .started
            .range(next..)
            .find(|(_, started)| **started < acked);
        match later {
            None => Ok(()),
            Some((later, started)) => Err(Violation {
                check: "quorum_clock",
                text: format!(
                    "{leader} is permitted on a quorum of {:.3} ms, but {later} leads since {:.3} ms",
                    ms(acked),
                    ms(*started)
                ),
            }),
        }
    }

    /// How many leaders were seen to start.
    #[must_use]
    pub fn count(&self) -> usize {
        self.started.len()
    }

    /// The last leader that was seen to start.
    #[must_use]
    pub fn newest(&self) -> Option<LeaderId> {
        self.started.last_key_value().map(|(leader, _)| *leader)
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use had_core::ids::VoterId;

    use super::*;

    #[test]
    fn an_acknowledgement_after_a_later_leaders_start_is_a_lie() {
        let mut check = QuorumClock::default();
        let [old, new] = [1, 2].map(|term| LeaderId {
            term,
            voter: VoterId(9),
        });
        check.leads(old, 10);
        assert_eq!(check.permitted(old, 100), Ok(()));
        check.leads(new, 50);
        assert_eq!(check.permitted(old, 50), Ok(()));
        assert!(check.permitted(old, 51).is_err());
        assert_eq!(check.permitted(new, 100), Ok(()));
    }
}
