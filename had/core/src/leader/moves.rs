//! From the planner's decisions to entries: who may be taken from, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use had_policies::{Cause, Decision, Verdict};

use super::{Counter, Leader, Seen};
use crate::explain::{CandidateLine, lines};
use crate::ids::{Epoch, GroupName, NodeName};
use crate::message::GroupReport;
use crate::ports::Command;
use crate::spec::{ClusterSpec, GroupSpec, ResourceKind, ResourceSpec, Role};
use crate::stall::is_news;
use crate::state::{FEATURE_LEVEL, GroupState, Move, Step};

/// A cold cluster waits this many leases for its missing nodes before it places anything, so that nothing starts twice.
const COLD_START_LEASES: u32 = 2;

/// Between two stalls of one node that cost it no lease in the history: what goes on for an hour makes a hundred lines. Its
/// metrics count each.
const BETWEEN_STALLS: Duration = Duration::from_secs(30);

/// Where a group should go, and why.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) to: Option<NodeName>,
    pub(super) cause: Cause,
    pub(super) reason: String,
    pub(super) pin: bool,
    pub(super) candidates: Vec<CandidateLine>,
}

impl Wish {
    fn of(decision: &Decision, to: Option<NodeName>, cause: Cause) -> Self {
        Self {
            to,
            cause,
            reason: decision.reason.clone(),
            pin: false,
            candidates: lines(decision),
        }
    }
}

impl Leader {
    /// Forms the cluster and replaces its configuration where every node agrees on another. Whether there is one to plan by.
    pub(super) fn establish(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        out: &mut Vec<Command>,
    ) -> bool {
        if !self.in_flight.is_empty() {
            return seen.state.config.is_some();
        }
        let mut steps = Vec::new();
        if seen.state.cluster.0 == 0 {
            // Drawn with the process id: no other process has it.
            steps.push(Step::Form {
                cluster: crate::ids::ClusterId(seen.me.process.0),
                level: FEATURE_LEVEL,
            });
        }
        if seen.state.config.is_none() || self.everybody_has_another_file(seen) {
            steps.push(Step::Configure {
                config: std::sync::Arc::new(seen.own.clone()),
            });
        }
        self.propose(seen, counter, None, steps, out);
        seen.state.config.is_some()
    }

    /// Until a configuration can be applied by command, a restart of all nodes with an equal new file replaces it.
    fn everybody_has_another_file(&self, seen: Seen<'_>) -> bool {
        let Some(spec) = seen.state.spec() else {
            return false;
        };
        let own = &seen.own.hash;
        let committed = seen.state.config.as_ref().map(|config| &config.hash);
        let same_nodes = |other: &ClusterSpec| {
            other.nodes.len() == spec.nodes.len()
                && other
                    .nodes
                    .iter()
                    .all(|node| spec.node(&node.name).is_some())
                && other.timing == spec.timing
        };
        Some(own) != committed
            && same_nodes(&seen.own.spec)
            && keeps_addresses_in_their_groups(spec, &seen.own.spec)
            && spec.nodes.iter().all(|node| {
                seen.peers
                    .heard_within(&node.name, self.timing.heard_lately(), seen.now.mono)
                    && seen
                        .peers
                        .get(&node.name)
                        .and_then(|peer| peer.report.as_ref())
                        .is_some_and(|said| said.config_hash == *own)
            })
    }

    /// Lost nodes that renew again.
    pub(super) fn note_returns(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        out: &mut Vec<Command>,
    ) {
        let steps = seen
            .state
            .nodes
            .iter()
            .filter(|(name, node)| {
                node.lost
                    && self.records.renews(name, seen.now.raw).is_some()
                    && !self.is_deciding_about(name)
            })
            .map(|(name, _)| Step::Online { node: name.clone() })
            .collect();
        self.propose(seen, counter, None, steps, out);
    }

    /// Stalls that the history does not have yet, of each node one in a while: a history of stalls alone would explain nothing.
    /// There is no hurry: they wait for what is being decided.
    pub(super) fn note_stalls(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        out: &mut Vec<Command>,
    ) {
        if !self.in_flight.is_empty() {
            return;
        }
        let news = seen.state.nodes.iter().filter_map(|(name, node)| {
            let peer = seen.peers.get(name)?;
            let told = peer.report.as_ref()?.stalled?;
            let process = peer.sender.process;
            let told_lately = self.stalls_told.get(name);
            let waits = told_lately
                .is_some_and(|last| seen.now.mono.since(*last) < BETWEEN_STALLS && !told.lapsed);
            let news = is_news(node.stalled, (process, told.number)) && !waits;
            news.then(|| Step::Stalled {
                node: name.clone(),
                process,
                told,
            })
        });
        let steps: Vec<Step> = news.collect();
        for step in &steps {
            if let Step::Stalled { node, .. } = step {
                self.stalls_told.insert(node.clone(), seen.now.mono);
            }
        }
        self.propose(seen, counter, None, steps, out);
    }

    /// Asks the planner, and decides what can be decided now: in one entry, so that many groups move in one commit.
    pub(super) fn plan(&mut self, seen: Seen<'_>, counter: &mut Counter, out: &mut Vec<Command>) {
        let Some(spec) = seen.state.spec() else {
            return;
        };
        if self.waits_for_nodes(seen, spec) {
            self.plan_again = Some(self.started + self.timing.lease * COLD_START_LEASES);
            return;
        }
        let view = self.view(seen, spec);
        let plan = had_policies::plan(&view);
        debug_assert_eq!(had_policies::lint(&view, &plan), Vec::<String>::new());
        self.plan_again = plan.again_in.map(|wait| seen.now.raw + wait);
        let mut steps: Vec<Step> = self.newly_lost(seen);
        if !steps.is_empty() {
            self.last_fault = seen.now.raw;
        }
        steps.extend(self.steps(seen, spec, &plan.decisions).0);
        self.decisions = plan.decisions;
        self.propose(seen, counter, None, steps, out);
    }

    /// Whether the cluster has only just started, and not every node has said yet what it could run.
    pub(super) fn waits_for_nodes(&self, seen: Seen<'_>, spec: &ClusterSpec) -> bool {
        let settled = self.started + self.timing.lease * COLD_START_LEASES;
        let has_said = |name: &NodeName| {
            let peer = seen.peers.get(name);
            let report = peer.and_then(|peer| peer.report.as_ref());
            report.is_some_and(|said| said.groups.values().all(GroupReport::is_checked))
        };
        let is_here =
            |name: &NodeName| self.records.renews(name, seen.now.raw).is_some() && has_said(name);
        let mut members = spec.nodes.iter().filter(|node| node.role == Role::Member);
        self.cold && seen.now.raw < settled && !members.all(|node| is_here(&node.name))
    }

    /// The entry's steps for these decisions: each group's together with those of the groups that it is entangled with
    /// (`with`, `apart_from`, `displaces`), or not yet: one move without the other may be what the planner ruled out. And
    /// the groups for which it is not yet.
    pub(super) fn steps(
        &self,
        seen: Seen<'_>,
        spec: &ClusterSpec,
        decisions: &[Decision],
    ) -> (Vec<Step>, BTreeSet<GroupName>) {
        let mut steps = Vec::new();
        let mut held_back = BTreeSet::new();
        for decision in decisions {
            match self.step(seen, decision) {
                Some(step) => steps.push((&decision.group, step)),
                None if decision.cause.is_some() => {
                    held_back.insert(decision.group.clone());
                }
                None => {}
            }
        }
        let waits = if held_back.is_empty() {
            held_back
        } else {
            entangled(spec, held_back)
        };
        steps.retain(|(group, _)| !waits.contains(*group));
        (steps.into_iter().map(|(_, step)| step).collect(), waits)
    }

    /// Nodes whose record ended. From this step on nothing is granted to them until they have applied it.
    fn newly_lost(&self, seen: Seen<'_>) -> Vec<Step> {
        let lost = |name: &NodeName| {
            self.records.has_ended(name, seen.now.raw) && !self.is_deciding_about(name)
        };
        let nodes = seen.state.nodes.iter();
        nodes
            .filter(|(name, node)| !node.lost && lost(name))
            .map(|(name, _)| Step::Lost {
                node: name.clone(),
                asked: seen.peers.is_leaving(name),
            })
            .collect()
    }

    /// The entry's step for one decision; `None` where nothing changes, or where it must wait.
    pub(super) fn step(&self, seen: Seen<'_>, decision: &Decision) -> Option<Step> {
        let state = seen.state.groups.get(&decision.group)?;
        if self.is_deciding(&decision.group) {
            return None;
        }
        let Some(cause) = decision.cause else {
            return self
                .last_resort_leaves(seen, decision, state)
                .or_else(|| self.second_start(seen, decision, state));
        };
        if state.owner == decision.owner {
            return None;
        }
        let wish = Wish::of(decision, decision.owner.clone(), cause);
        self.change(seen, &decision.group, state, wish)
    }

    /// A daemon that ends takes its groups down where nobody else can take them: they have no owner then.
    fn last_resort_leaves(
        &self,
        seen: Seen<'_>,
        decision: &Decision,
        state: &GroupState,
    ) -> Option<Step> {
        let owner = state.owner.as_ref()?;
        let ends = seen.peers.get(owner)?.report.as_ref()?.leaving;
        let alone = decision.candidates.iter().all(|candidate| {
            candidate.node == *owner || matches!(candidate.verdict, Verdict::Vetoed(_))
        });
        if !ends || !alone || seen.state.in_maintenance(&decision.group) {
            return None;
        }
        let wish = Wish::of(decision, None, Cause::OwnerLeaving);
        self.change(seen, &decision.group, state, wish)
    }

    /// An owner that gave the group up and is fit again, or the only one there is: it may not open under the old epoch,
    /// so it gets a new one.
    fn second_start(
        &self,
        seen: Seen<'_>,
        decision: &Decision,
        state: &GroupState,
    ) -> Option<Step> {
        let owner = state.owner.as_ref()?;
        let said = seen.peers.group(owner, &decision.group)?;
        let fit = decision.candidates.iter().any(|candidate| {
            candidate.node == *owner && matches!(candidate.verdict, Verdict::Chosen)
        }) && said.not_ready.is_none()
            && said.banned.is_none()
            && !seen.state.in_maintenance(&decision.group);
        if !fit || !self.has_released(seen, &decision.group, owner, state.epoch) {
            return None;
        }
        let wish = Wish {
            reason: "its owner can run it again".to_owned(),
            ..Wish::of(decision, Some(owner.clone()), Cause::OwnerNotReady)
        };
        self.change(seen, &decision.group, state, wish)
    }

    /// A change of owner, where it may be decided now: a lost owner's record must have ended, and an owner that is merely
    /// silent keeps its group.
    pub(super) fn change(
        &self,
        seen: Seen<'_>,
        group: &GroupName,
        state: &GroupState,
        wish: Wish,
    ) -> Option<Step> {
        let released = match &state.owner {
            None => true,
            Some(owner) => {
                let ended = self.records.has_ended(owner, seen.now.raw);
                let released = self.has_released(seen, group, owner, state.epoch);
                if !ended && !released && self.records.renews(owner, seen.now.raw).is_none() {
                    return None;
                }
                if self.is_deciding_about(owner) {
                    return None;
                }
                ended || released
            }
        };
        Some(Step::Move(Move {
            group: group.clone(),
            from: state.owner.clone(),
            epoch: state.epoch,
            to: wish.to,
            released,
            cause: wish.cause,
            reason: wish.reason,
            pin: wish.pin,
            candidates: wish.candidates,
        }))
    }

    /// Whether a node has said, in the life that this leader grants to, that it never opens the group again up to `epoch`.
    /// Not before the hold is over: until then an earlier leader's grant to a later life of it may still run.
    fn has_released(
        &self,
        seen: Seen<'_>,
        group: &GroupName,
        node: &NodeName,
        epoch: Epoch,
    ) -> bool {
        let Some(record) = self.records.get(node) else {
            return false;
        };
        self.records.hold_is_over(seen.now.raw)
            && seen
                .peers
                .get(node)
                .is_some_and(|peer| peer.sender.process == record.process)
            && seen
                .peers
                .group(node, group)
                .is_some_and(|said| said.released >= Some(epoch))
    }

    /// Former owners that are known to be out of the way: committed, so that the new owner learns of it even where it
    /// cannot hear them.
    pub(super) fn confirm_releases(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        out: &mut Vec<Command>,
    ) {
        let mut steps = Vec::new();
        for (group, state) in &seen.state.groups {
            if self.is_deciding(group) {
                continue;
            }
            for (node, epoch) in &state.unreleased {
                let ended =
                    self.records.has_ended(node, seen.now.raw) && !self.is_deciding_about(node);
                if ended || self.has_released(seen, group, node, *epoch) {
                    let (group, node, epoch) = (group.clone(), node.clone(), *epoch);
                    steps.push(Step::Confirm { group, node, epoch });
                }
            }
        }
        self.propose(seen, counter, None, steps, out);
    }
}

/// These groups, and all that are entangled with any of them.
fn entangled(spec: &ClusterSpec, mut groups: BTreeSet<GroupName>) -> BTreeSet<GroupName> {
    loop {
        let before = groups.len();
        for group in &spec.groups {
            let others = || {
                let others = group.with.iter().chain(&group.apart_from);
                others.chain(group.policy.displaces())
            };
            if groups.contains(&group.name) {
                groups.extend(others().cloned());
            } else if others().any(|other| groups.contains(other)) {
                groups.insert(group.name.clone());
            }
        }
        if groups.len() == before {
            return groups;
        }
    }
}

/// Whether no address changes its group: the group that it left may still be open where the new configuration is not
/// known yet, and the group that it joined would not wait for it.
fn keeps_addresses_in_their_groups(old: &ClusterSpec, new: &ClusterSpec) -> bool {
    let addresses = |spec: &ClusterSpec| -> BTreeMap<IpAddr, GroupName> {
        let of_group = |group: &GroupSpec| {
            let address = |resource: &ResourceSpec| {
                let ResourceKind::Vip(vip) = &resource.kind;
                vip.address
            };
            let name = group.name.clone();
            group
                .resources
                .iter()
                .map(move |resource| (address(resource), name.clone()))
                .collect::<Vec<_>>()
        };
        spec.groups.iter().flat_map(of_group).collect()
    };
    let (old, new) = (addresses(old), addresses(new));
    new.iter()
        .all(|(address, group)| old.get(address).is_none_or(|former| former == group))
}
