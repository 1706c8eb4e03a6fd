//! What keeps the cluster itself in shape: leadership away from owners, lost disks replaced.

use std::time::Duration;

use super::{Leader, Seen};
use crate::ids::NodeName;
use crate::ports::Command;
use crate::spec::{NodeSpec, Role};
use crate::time::MonoTime;

/// At most one hand-over of leadership by one daemon in this time: each costs a hold.
const BETWEEN_TRANSFERS: Duration = Duration::from_secs(60);
/// Catching up and changing the membership take this long at most.
const REPLACEMENT: Duration = Duration::from_secs(12);
/// Between two attempts to replace a voter.
const BETWEEN_REPLACEMENTS: Duration = Duration::from_secs(1);

impl Leader {
    /// Looks after leadership and membership.
    pub(super) fn tend(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        self.replace_lost_disk(seen, out);
        self.keep_away_from_owners(seen, out);
    }

    /// A daemon with an empty disk, or one that was being taken in when the leader died, speaks under the name of a voter whose
    /// record has ended: it is a new voter.
    fn replace_lost_disk(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        let now = seen.now.mono;
        if pending(self.last_replacement, BETWEEN_REPLACEMENTS, now) {
            return;
        }
        let Some(spec) = seen.state.spec() else {
            return;
        };
        self.replacing
            .take_if(|(name, new, _)| seen.state.voters.get(name) == Some(new));
        let recent = self.timing.heard_lately();
        let stranger = seen.peers.strangers(recent, now).find(|sender| {
            let name = &sender.node;
            spec.node(name).is_some()
                && sender.cluster.may_be(seen.state.cluster)
                && seen.state.voters.get(name) != Some(&sender.voter)
                && (self.shares_names || self.records.has_ended(name, seen.now.raw))
                && !self.is_deciding_about(name)
        });
        if let Some(sender) = stranger {
            self.last_replacement = Some(now);
            self.replacing = Some((sender.node.clone(), sender.voter, now + REPLACEMENT));
            out.push(Command::ReplaceVoter {
                node: sender.node.clone(),
                old: seen.state.voters.get(&sender.node).copied(),
                new: sender.voter,
            });
        }
    }

    /// Leadership belongs on the node that owns least, on a witness before all, so that the loss of an owner costs no
    /// election. Only right after everybody was renewed, to a node that has just been heard, and not near a fault: a
    /// transfer to a node that has just died leaves nobody in charge for an election.
    fn keep_away_from_owners(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        let now = seen.now;
        let quiet = self.timing.lease * 2;
        if pending(self.last_transfer, BETWEEN_TRANSFERS, now.mono)
            || now.raw.since(self.last_fault) < quiet
            || !self.in_flight.is_empty()
            || !self.waiting.is_empty()
            || seen
                .state
                .groups
                .values()
                .any(|group| !group.unreleased.is_empty())
        {
            return;
        }
        if let Some(to) = self.better_leader(seen) {
            self.last_transfer = Some(now.mono);
            out.push(Command::Transfer { to });
        }
    }

    fn better_leader(&self, seen: Seen<'_>) -> Option<crate::ids::VoterId> {
        let spec = seen.state.spec()?;
        let burden = |node: &NodeSpec| {
            (
                node.role == Role::Member,
                seen.state.owned_by(&node.name).count(),
            )
        };
        let mine = burden(spec.node(&seen.me.node)?);
        if mine.1 == 0 {
            return None;
        }
        let fresh = |name: &NodeName| self.was_just_renewed(seen, name);
        if !spec.nodes.iter().all(|node| fresh(&node.name)) {
            return None;
        }
        let ending = |name: &NodeName| {
            seen.peers
                .get(name)
                .and_then(|peer| peer.report.as_ref())
                .is_none_or(|said| said.leaving)
        };
        let best = spec
            .nodes
            .iter()
            .filter(|node| node.name != seen.me.node && burden(node) < mine && !ending(&node.name))
            .min_by_key(|node| (burden(node), node.name.clone()))?;
        seen.state.voters.get(&best.name).copied()
    }

    fn was_just_renewed(&self, seen: Seen<'_>, name: &NodeName) -> bool {
        self.records
            .get(name)
            .is_some_and(|record| seen.now.raw.since(record.last) <= self.timing.renewal() * 2)
    }

    /// Hands leadership to anybody fresh, before this daemon ends.
    pub fn leave(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        if pending(self.last_transfer, self.timing.lease, seen.now.mono) {
            return;
        }
        let Some(spec) = seen.state.spec() else {
            return;
        };
        let next = spec
            .nodes
            .iter()
            .filter(|node| node.name != seen.me.node && self.was_just_renewed(seen, &node.name))
            .min_by_key(|node| (seen.state.owned_by(&node.name).count(), node.name.clone()));
        if let Some(to) = next.and_then(|node| seen.state.voters.get(&node.name)) {
            self.last_transfer = Some(seen.now.mono);
            out.push(Command::Transfer { to: *to });
        }
    }
}

fn pending(last: Option<MonoTime>, between: Duration, now: MonoTime) -> bool {
    last.is_some_and(|last| now.since(last) < between)
}
