//! The leader's side: until when each node may hold a lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{LeaderId, NodeName, ProcessId, VoterId};
use crate::message::{Outcome, Refusal};
use crate::ports::Permit;
use crate::time::{MonoTime, Now, RawTime, nanos};
use crate::timing::Timing;

/// What this leader granted to one node.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its lease may run until here: the greatest of its grants.
    pub until: RawTime,
    /// When it was last granted.
    pub last: RawTime,
    /// Since when it has renewed without a break, in one life of its daemon.
    pub unbroken_since: RawTime,
    /// The disk and the life that were granted last.
    pub voter: VoterId,
    /// See `voter`.
    pub process: ProcessId,
}

/// Everything that a leader notes about leases. It begins empty with each leadership, and holds every node for leased
/// until its own start + lease × 1.001: whatever an earlier leader granted has ended by then.
#[derive(Debug)]
pub struct Records {
    leader: LeaderId,
    timing: Timing,
    held_until: RawTime,
    records: BTreeMap<NodeName, Record>,
    /// The last entry of this leader that concerns each node.
    concerned: BTreeMap<NodeName, u64>,
    /// Planted: records end too early.
    short: bool,
    /// Planted: own proposals are left out of the index of a grant.
    forgets_concerns: bool,
}

impl Records {
    /// At the start of a leadership.
    #[must_use]
    pub fn new(leader: LeaderId, timing: Timing, now: RawTime) -> Self {
        Self {
            leader,
            timing,
            held_until: now + timing.record(),
            records: BTreeMap::new(),
            concerned: BTreeMap::new(),
            short: false,
            forgets_concerns: false,
        }
    }

    /// Plants the mistake of a leader that does not hold at its start.
    pub fn do_not_hold(&mut self) {
        self.held_until = RawTime::ZERO;
    }

    /// Plants the mistake of a hold that counts from when the candidate began to wait, not from its start as a leader.
    pub fn shorten_hold(&mut self, waited: Duration) {
        self.held_until = RawTime(self.held_until.0.saturating_sub(nanos(waited)));
    }

    /// Plants the mistake of an index without the leader's own proposals.
    pub fn forget_concerns(&mut self) {
        self.forgets_concerns = true;
    }

    /// Plants the mistake of records that end before the lease.
    pub fn end_too_early(&mut self) {
        self.short = true;
    }

    /// Holds every node for leased for another lease: this process stood still and has not heard them.
    pub fn hold_again(&mut self, now: RawTime) {
        self.held_until = self.held_until.max(now + self.timing.record());
    }

    /// The lease has another length from now on: held by the longer of both.
    pub fn set_timing(&mut self, timing: Timing, now: RawTime) {
        let longer = self.timing.record().max(timing.record());
        self.held_until = self.held_until.max(now + longer);
        self.timing = timing;
    }

    /// Whether the leader's start lies a lease back: before, nothing is taken from anybody.
    #[must_use]
    pub fn hold_is_over(&self, now: RawTime) -> bool {
        now >= self.held_until
    }

    /// The end of the hold.
    #[must_use]
    pub fn held_until(&self) -> RawTime {
        self.held_until
    }

    /// What was granted to a node.
    #[must_use]
    pub fn get(&self, node: &NodeName) -> Option<&Record> {
        self.records.get(node)
    }

    /// Whether a node's lease is surely over.
    #[must_use]
    pub fn has_ended(&self, node: &NodeName, now: RawTime) -> bool {
        self.hold_is_over(now)
            && self
                .records
                .get(node)
                .is_none_or(|record| now >= record.until)
    }

    /// When [`Records::has_ended`] may next become true for one of these nodes.
    pub fn next_end<'a>(
        &self,
        nodes: impl Iterator<Item = &'a NodeName>,
        now: RawTime,
    ) -> Option<RawTime> {
        nodes
            .map(|node| {
                self.records
                    .get(node)
                    .map_or(RawTime::ZERO, |record| record.until)
                    .max(self.held_until)
            })
            .filter(|end| *end > now)
            .min()
    }

    /// A decision that concerns these nodes was applied under this index: their leases count only once they have it too.
    pub fn concern(&mut self, nodes: &BTreeSet<NodeName>, index: u64) {
        for node in nodes {
            let last = self.concerned.entry(node.clone()).or_default();
            *last = (*last).max(index);
        }
    }

    /// Grants, and notes it before the answer leaves. `own_entry` is this leader's first entry, which is applied;
    /// `awake_since` the moment before which no acknowledgement counts (this host slept).
    pub fn grant(
        &mut self,
        node: &NodeName,
        (voter, process): (VoterId, ProcessId),
        permit: Permit,
        own_entry: u64,
        awake_since: MonoTime,
        now: Now,
    ) -> Outcome {
        if permit.leader != self.leader || permit.quorum_acked < awake_since {
            return Outcome::Refused(Refusal::NoQuorum);
        }
        let age = now.mono.since(permit.quorum_acked);
        let Some(duration) = self
            .timing
            .grant_max()
            .checked_sub(age)
            .filter(|left| !left.is_zero())
        else {
            return Outcome::Refused(Refusal::NoQuorum);
        };
        self.note(node, voter, process, now.raw);
        let index = self
            .concerned
            .get(node)
            .filter(|_| !self.forgets_concerns)
            .map_or(own_entry, |index| own_entry.max(*index));
        Outcome::Granted { duration, index }
    }

    fn note(&mut self, node: &NodeName, voter: VoterId, process: ProcessId, now: RawTime) {
        let length = if self.short {
            self.timing.lease / 2
        } else {
            self.timing.record()
        };
        let record = self.records.entry(node.clone()).or_insert(Record {
            until: RawTime::ZERO,
            last: now,
            unbroken_since: now,
            voter,
            process,
        });
        if record.process != process || record.until < now {
            record.unbroken_since = now;
        }
        (record.voter, record.process) = (voter, process);
        record.last = now;
        record.until = record.until.max(now + length);
    }

    /// Whether a node renews: its last grant is younger than a third of a lease.
    #[must_use]
    pub fn renews(&self, node: &NodeName, now: RawTime) -> Option<Duration> {
        let record = self.records.get(node)?;
        (now.since(record.last) < self.timing.lease / 3).then(|| now.since(record.unbroken_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BootTime, WallTime};

    const LEADER: LeaderId = LeaderId {
        term: 3,
        voter: VoterId(1),
    };
    const TIMING: Timing = Timing {
        lease: Duration::from_millis(300),
        heartbeat: Duration::from_millis(100),
    };

    fn at(ms: u64) -> Now {
        let ns = ms * 1_000_000;
        Now {
            boot: BootTime(ns),
            mono: MonoTime(ns),
            raw: RawTime(ns),
            wall: WallTime(ns),
        }
    }

    fn permit(ms: u64) -> Permit {
        Permit {
            leader: LEADER,
            quorum_acked: at(ms).mono,
        }
    }

    fn records() -> Records {
        Records::new(LEADER, TIMING, at(1_000).raw)
    }

    fn grant(records: &mut Records, acked: u64, now: u64) -> Outcome {
        records.grant(
            &"h1".into(),
            (VoterId(1), ProcessId(1)),
            permit(acked),
            5,
            MonoTime::ZERO,
            at(now),
        )
    }

    #[test]
    fn a_grant_ends_before_the_acknowledged_quorum_plus_the_lease() {
        let mut records = records();
        let Outcome::Granted { duration, index } = grant(&mut records, 1_990, 2_000) else {
            panic!("refused")
        };
        assert_eq!(duration, Duration::from_millis(258));
        assert_eq!(index, 5);
        assert_eq!(
            grant(&mut records, 1_700, 2_000),
            Outcome::Refused(Refusal::NoQuorum)
        );
    }

    #[test]
    fn a_record_ends_a_lease_after_the_answer_and_never_before_the_hold() {
        let mut records = records();
        let node = NodeName::from("h1");
        assert!(
            !records.has_ended(&node, at(1_300).raw),
            "the hold forbids taking away"
        );
        assert!(records.has_ended(&node, at(1_301).raw));
        grant(&mut records, 1_400, 1_400);
        assert!(!records.has_ended(&node, at(1_700).raw));
        assert!(records.has_ended(&node, at(1_701).raw));
    }

    #[test]
    fn a_decision_raises_the_index_of_the_nodes_that_it_concerns() {
        let mut records = records();
        records.concern(&[NodeName::from("h1")].into(), 9);
        let Outcome::Granted { index, .. } = grant(&mut records, 2_000, 2_000) else {
            panic!("refused")
        };
        assert_eq!(index, 9);
    }

    #[test]
    fn acknowledgements_from_before_a_sleep_are_void() {
        let mut records = records();
        let outcome = records.grant(
            &"h1".into(),
            (VoterId(1), ProcessId(1)),
            permit(1_990),
            5,
            at(1_995).mono,
            at(2_000),
        );
        assert_eq!(outcome, Outcome::Refused(Refusal::NoQuorum));
        assert!(
            records.get(&"h1".into()).is_none(),
            "what was not granted is not noted"
        );
    }

    #[test]
    fn a_permit_of_another_leadership_grants_nothing() {
        let mut records = records();
        let other = Permit {
            leader: LeaderId { term: 4, ..LEADER },
            quorum_acked: at(2_000).mono,
        };
        let outcome = records.grant(
            &"h1".into(),
            (VoterId(1), ProcessId(1)),
            other,
            5,
            MonoTime::ZERO,
            at(2_000),
        );
        assert_eq!(outcome, Outcome::Refused(Refusal::NoQuorum));
    }
}
