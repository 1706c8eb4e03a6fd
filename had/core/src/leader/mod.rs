//! What only the leader does: granting leases, declaring loss, planning, proposing, answering operators.
//!
//! All of it ends with the leadership, and begins empty with the next one.

mod moves;
mod requests;
mod tending;
mod view;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use had_policies::Decision;

use crate::ids::{CommandId, GroupName, LeaderId, NodeName, ProposalId, RequestId, VoterId};
use crate::lease::Records;
use crate::message::{Ask, Outcome, Refusal, Sender};
use crate::peers::Peers;
use crate::ports::{Command, Permit, ProposeError, Reply};
use crate::state::{Configuration, Entry, State, Step};
use crate::time::{MonoTime, Now, RawTime};
use crate::timing::Timing;

pub use waiting::Waiting;

/// A leadership of this process.
#[derive(Debug)]
pub struct Leader {
    id: LeaderId,
    timing: Timing,
    started: RawTime,
    /// This process has never held a lease: the whole cluster may just be starting.
    cold: bool,
    /// The index of this leader's first entry, once it is applied: before, nothing is granted.
    own_entry: Option<u64>,
    records: Records,
    in_flight: BTreeMap<ProposalId, InFlight>,
    decisions: Vec<Decision>,
    plan_again: Option<RawTime>,
    look_again: RawTime,
    waiting: Vec<Waiting>,
    last_fault: RawTime,
    last_transfer: Option<MonoTime>,
    last_replacement: Option<MonoTime>,
    /// When a stall of each node was last proposed for the history.
    stalls_told: BTreeMap<NodeName, MonoTime>,
    /// A name that is being given to another disk: nothing is granted under it until it is, or that time has passed.
    replacing: Option<(NodeName, VoterId, MonoTime)>,
    /// Planted: nobody's lease is revoked while a decision about him is on its way.
    revokes_later: bool,
    shares_names: bool,
}

/// A proposal on its way: nothing is granted to the nodes that it concerns, and nothing else is decided about its groups.
#[derive(Debug)]
struct InFlight {
    id: CommandId,
    concerns: BTreeSet<NodeName>,
    groups: BTreeSet<GroupName>,
    /// It decides something about every group.
    everything: bool,
}

/// What the leader reads: the applied state and what was heard.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// This node.
    pub me: &'a Sender,
    /// The applied state.
    pub state: &'a State,
    /// Its index.
    pub applied: u64,
    /// What was heard.
    pub peers: &'a Peers,
    /// This node's own file.
    pub own: &'a Configuration,
    /// The time.
    pub now: Now,
    /// Acknowledgements from before this moment are void: the host slept.
    pub awake_since: MonoTime,
}

/// Numbers of proposals and commands of this process.
#[derive(Debug, Default)]
pub struct Counter(u64);

impl Counter {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Leader {
    /// A new leadership. `own_entry` is the index of its first entry, where that is applied already; `last_transfer` is when
    /// this process last handed leadership over.
    #[must_use]
    pub fn new(
        id: LeaderId,
        timing: Timing,
        cold: bool,
        own_entry: Option<u64>,
        last_transfer: Option<MonoTime>,
        now: Now,
    ) -> Self {
        Self {
            id,
            timing,
            started: now.raw,
            cold,
            own_entry,
            records: Records::new(id, timing, now.raw),
            in_flight: BTreeMap::new(),
            decisions: Vec::new(),
            plan_again: None,
            look_again: now.raw,
            waiting: Vec::new(),
            last_fault: now.raw,
            last_transfer,
            last_replacement: None,
            stalls_told: BTreeMap::new(),
            replacing: None,
            revokes_later: false,
            shares_names: false,
        }
    }

    /// Its full id.
    #[must_use]
    pub fn id(&self) -> LeaderId {
        self.id
    }

    /// The records, for planting mistakes and for status.
    pub fn records_mut(&mut self) -> &mut Records {
        &mut self.records
    }

    /// Plants the mistake of deciding and revoking in two steps.
    pub fn revoke_later(&mut self) {
        self.revokes_later = true;
    }

    /// Plants the mistake of two hosts under one name.
    pub(crate) fn share_names(&mut self) {
        self.shares_names = true;
    }

    /// The committed configuration has other timings than this leader began with: it holds again, by the longer lease.
    pub fn set_timing(&mut self, timing: Timing, now: RawTime) {
        if timing != self.timing {
            self.records.set_timing(timing, now);
            self.timing = timing;
        }
    }

    /// What the planner last said about every group.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// When this process last handed leadership over, in this leadership or an earlier one.
    #[must_use]
    pub fn last_transfer(&self) -> Option<MonoTime> {
        self.last_transfer
    }

    /// Operators that still wait, when the leadership ends.
    pub fn into_waiting(self) -> impl Iterator<Item = RequestId> {
        self.waiting.into_iter().map(|waiting| waiting.request)
    }

    /// Something was applied: the leader's own first entry is recognised by its leader, its proposals by their ids.
    pub fn applied(&mut self, index: u64, leader: LeaderId, state: &State) {
        if leader == self.id {
            self.own_entry.get_or_insert(index);
        }
        let done: Vec<ProposalId> = self
            .in_flight
            .iter()
            .filter(|(_, proposal)| state.commands.contains(&proposal.id))
            .map(|(number, _)| *number)
            .collect();
        for number in done {
            if let Some(proposal) = self.in_flight.remove(&number) {
                self.records.concern(&proposal.concerns, index);
            }
        }
    }

    /// A proposal that certainly never enters a log is over; the leader looks again a renewal later, not at once: a leader
    /// that has lost its quorum is refused within microseconds. Of a proposal whose outcome is unknown the marks stay,
    /// until it is applied or the leadership ends.
    pub fn proposed(
        &mut self,
        proposal: ProposalId,
        outcome: Result<u64, ProposeError>,
        now: RawTime,
    ) {
        if outcome == Err(ProposeError::Refused) {
            self.in_flight.remove(&proposal);
            self.look_again = self.look_again.min(now + self.timing.renewal());
        }
    }

    /// Answers an ask.
    pub fn answer(
        &mut self,
        seen: Seen<'_>,
        from: &Sender,
        ask: &Ask,
        permit: Option<Permit>,
    ) -> Outcome {
        let refused = Outcome::Refused;
        if seen.state.voters.get(&from.node) != Some(&from.voter) {
            return refused(Refusal::NotAVoter);
        }
        if ask.lease != self.timing.lease {
            return refused(Refusal::OtherLease);
        }
        if self.is_name_taken(seen, from) {
            return refused(Refusal::NameTaken);
        }
        if self.is_deciding_about(&from.node) && !self.revokes_later {
            return refused(Refusal::Deciding);
        }
        if ask.unanswered > self.timing.unheard_after() {
            return refused(Refusal::Unheard);
        }
        let (Some(permit), Some(own_entry)) = (permit, self.own_entry) else {
            return refused(Refusal::NoQuorum);
        };
        self.records.grant(
            &from.node,
            (from.voter, from.process),
            permit,
            own_entry,
            seen.awake_since,
            seen.now,
        )
    }

    /// Whether a lease may still run under this name on another disk, or the name is being given away.
    fn is_name_taken(&self, seen: Seen<'_>, from: &Sender) -> bool {
        let other_disk = self
            .records
            .get(&from.node)
            .is_some_and(|record| record.voter != from.voter && seen.now.raw < record.until);
        let given_away = self
            .replacing
            .as_ref()
            .is_some_and(|(name, _, until)| *name == from.node && seen.now.mono < *until);
        (other_disk || given_away) && !self.shares_names
    }

    /// Everything that the present moment asks of a leader.
    pub fn lead(&mut self, seen: Seen<'_>, counter: &mut Counter, out: &mut Vec<Command>) {
        self.look_again = seen.now.raw + self.timing.heartbeat;
        if self.own_entry.is_none() {
            return;
        }
        if self.establish(seen, counter, out) {
            self.note_returns(seen, counter, out);
            self.note_stalls(seen, counter, out);
            self.plan(seen, counter, out);
            self.confirm_releases(seen, counter, out);
        }
        self.tend(seen, out);
        self.answer_waiting(seen, out);
        self.look_again = self.deadline(seen.state, seen.now.raw);
    }

    /// Notes a process that stood still: it has not heard its nodes for that long, so it must not declare them lost.
    pub fn stood_still(&mut self, now: RawTime) {
        self.records.hold_again(now);
        self.last_fault = now;
    }

    /// Whether the leader still waits for nodes that may be there any moment.
    #[must_use]
    pub fn is_unsettled(&self, now: RawTime) -> bool {
        self.cold && now.since(self.started) < self.timing.lease * 3
    }

    /// Whether a deadline has passed since the leader last looked.
    #[must_use]
    pub fn is_due(&self, now: RawTime) -> bool {
        now >= self.look_again
    }

    /// When [`Leader::lead`] must be called again, although nothing happens, on `CLOCK_MONOTONIC_RAW`.
    #[must_use]
    pub fn next_deadline(&self) -> RawTime {
        self.look_again
    }

    /// The next record's end, the next failback due, or another look at leadership and membership.
    fn deadline(&self, state: &State, now: RawTime) -> RawTime {
        let ends = self.records.next_end(state.nodes.keys(), now);
        let again = self.plan_again.filter(|again| *again > now);
        ends.into_iter()
            .chain(again)
            .fold(now + self.timing.heartbeat, RawTime::min)
    }

    /// Proposes: the mark and the decision are one step, before anything leaves.
    fn propose(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        id: Option<CommandId>,
        steps: Vec<Step>,
        out: &mut Vec<Command>,
    ) {
        if steps.is_empty() {
            return;
        }
        let number = counter.draw();
        let id = id.unwrap_or(CommandId {
            process: seen.me.process,
            number,
        });
        let entry = Entry {
            id,
            at: seen.now.wall,
            by: Some(seen.me.node.clone()),
            steps,
        };
        let groups = entry
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Move(change) => Some(change.group.clone()),
                Step::Confirm { group, .. }
                | Step::Pin { group, .. }
                | Step::Group { group, .. } => Some(group.clone()),
                Step::Maintenance { group, .. } => group.clone(),
                Step::Form { .. }
                | Step::Configure { .. }
                | Step::Lost { .. }
                | Step::Online { .. }
                | Step::Stalled { .. }
                | Step::Drain { .. } => None,
            })
            .collect();
        let of_all = |step: &Step| matches!(step, Step::Maintenance { group: None, .. });
        let everything = entry.steps.iter().any(of_all);
        let concerns = entry.concerns();
        let proposal = ProposalId(number);
        self.in_flight.insert(
            proposal,
            InFlight {
                id,
                concerns,
                groups,
                everything,
            },
        );
        out.push(Command::Propose {
            proposal,
            leader: self.id,
            entry,
        });
    }

    fn is_deciding(&self, group: &GroupName) -> bool {
        self.in_flight
            .values()
            .any(|proposal| proposal.everything || proposal.groups.contains(group))
    }

    fn is_deciding_about(&self, node: &NodeName) -> bool {
        self.in_flight
            .values()
            .any(|proposal| proposal.concerns.contains(node))
    }

    fn refuse(request: RequestId, why: String, out: &mut Vec<Command>) {
        out.push(Command::Reply {
            request,
            reply: Reply::Refused(why),
        });
    }
}
