//! The documents, filled from what this node knows.

use had_policies::{Candidate, Decision, Idle, Plan, Verdict, View};

use super::{
    Degraded, GroupCondition, GroupStatus, NodeCondition, NodeStatus, ResourceLine, Rung, Status,
};
use crate::group::LocalGroup;
use crate::ids::{GroupName, NodeName};
use crate::message::{GroupReport, Phase, ResourceState};
use crate::node::Node;
use crate::spec::{ClusterSpec, GroupSpec, NodeSpec, PolicySpec, ResourceKind, Role};
use crate::state::GroupState;
use crate::time::Now;

impl Node {
    /// The cluster as this node knows it now.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let (state, _) = self.state();
        let own = self.own_configuration();
        let spec = state.spec().unwrap_or(&own.spec);
        let committed = state.config.as_ref().map(|config| config.hash.clone());
        let quorate = self.is_quorate(now);
        let view = self.own_view(now, spec);
        let plan = had_policies::plan(&view);
        Status {
            cluster: spec.name.clone(),
            node: self.sender().node.clone(),
            leader: self.leader_name(),
            term: self.term(),
            quorate,
            as_of: self.fresh_at(now),
            config_differs: committed.as_ref().is_some_and(|hash| *hash != own.hash),
            config_hash: committed.unwrap_or_default(),
            stalls: self.stalls().clone(),
            maintenance: state.maintenance,
            notices: self.notices(now, spec),
            nodes: spec
                .nodes
                .iter()
                .map(|node| self.node_status(now, spec, node, &plan))
                .collect(),
            groups: spec
                .groups
                .iter()
                .map(|group| self.group_status(now, group, &view, &plan))
                .collect(),
        }
    }

    fn notices(&self, now: Now, spec: &ClusterSpec) -> Vec<String> {
        let (state, _) = self.state();
        let mut notices = Vec::new();
        if !self.is_quorate(now) {
            notices.push(self.why_no_quorum(now));
        }
        if state.config.is_none() {
            notices.push("the cluster is not formed yet: it forms when all nodes of the file are heard, or by `hactl cluster init`".to_owned());
        } else if state
            .config
            .as_ref()
            .is_some_and(|config| config.hash != self.own_configuration().hash)
        {
            notices.push("this node's file differs from the committed configuration, which rules; a restart of all nodes with an equal file replaces it".to_owned());
        }
        let weak = spec.nodes.iter().filter(|node| node.role == Role::Member);
        for node in weak {
            let gate = self.report_of(&node.name).map(|report| report.gate.clone());
            if gate.as_deref() == Some("none") {
                notices.push(format!(
                    "{} has no gate: a frozen daemon there can leave two owners",
                    node.name
                ));
            }
            if self.report_of(&node.name).and_then(|report| report.guarded) == Some(false) {
                notices.push(format!(
                    "{}'s guard does not stand: addresses stay on there when its daemon is killed; its log says why",
                    node.name
                ));
            }
        }
        for group in &spec.groups {
            for node in group.policy.nodes() {
                let said = self.said_of(node, &group.name);
                if let Some(text) = said.and_then(|said| said.claimed.as_ref()) {
                    let name = &group.name;
                    notices.push(format!(
                        "{name}: {text}, as {node} hears: another host has its address, take it off there"
                    ));
                }
            }
        }
        let keeping = spec.groups.iter().filter(|group| {
            let local = self.local_group(&group.name);
            !self.is_quorate(now) && local.is_some_and(LocalGroup::keeps_on)
        });
        for group in keeping {
            notices.push(format!(
                "{} goes on here without a majority, as its file asks: another node may serve it too",
                group.name
            ));
        }
        notices
    }

    fn node_status(
        &self,
        now: Now,
        cluster: &ClusterSpec,
        spec: &NodeSpec,
        plan: &Plan,
    ) -> NodeStatus {
        let (state, _) = self.state();
        let load_of = |name: &GroupName| cluster.group(name).map_or(0, |group| group.load);
        let name = &spec.name;
        let me = *name == self.sender().node;
        let report = self.report_of(name);
        NodeStatus {
            name: name.clone(),
            role: spec.role,
            state: self.condition(now, name),
            last_heard_ms: if me {
                Some(0)
            } else {
                self.silent_for_ms(name, now)
            },
            hears: report
                .map(|report| report.hears.clone())
                .unwrap_or_default(),
            groups: state.owned_by(name).cloned().collect(),
            gate: report.map(|report| report.gate.clone()).unwrap_or_default(),
            load: state.owned_by(name).map(load_of).sum(),
            capacity: spec.capacity,
            degraded: self.degraded(name, plan),
        }
    }

    /// What ends a node's ownership, strongest first: its gate at the lease's end, the daemon itself then too, its
    /// guard where the daemon cannot, a supervisor where the daemon hangs.
    fn rungs(&self, node: &NodeName) -> Vec<Rung> {
        let Some(report) = self.report_of(node) else {
            return Vec::new();
        };
        let gate = match report.gate.as_str() {
            "bpf" => Some(Rung::BpfGate),
            "nft" => Some(Rung::NftGate),
            _ => None,
        };
        let guard = (report.guarded == Some(true)).then_some(Rung::Guard);
        let supervisor = report.supervised.then_some(Rung::Supervisor);
        gate.into_iter()
            .chain([Rung::Daemon])
            .chain(guard)
            .chain(supervisor)
            .collect()
    }

    /// Since when a node carries work whose home is elsewhere, and which.
    fn degraded(&self, node: &NodeName, plan: &Plan) -> Option<Degraded> {
        let (state, _) = self.state();
        let mark = plan.degraded.iter().find(|mark| mark.node == *node)?;
        let spec = state.spec()?;
        let away = mark.groups.iter().filter(|group| {
            spec.group(group).is_some_and(|group| {
                matches!(&group.policy, PolicySpec::MutualTakeover { home, .. } if home != node)
            })
        });
        let since = away
            .filter_map(|group| Some(state.groups.get(group)?.since))
            .min()?;
        Some(Degraded {
            reason: mark.reason.clone(),
            since,
        })
    }

    pub(super) fn condition(&self, now: Now, name: &NodeName) -> NodeCondition {
        let (state, _) = self.state();
        let decided = state.nodes.get(name);
        let me = *name == self.sender().node;
        let voter = state.voters.get(name);
        let joining = match (voter, self.voter_heard(name)) {
            (Some(voter), Some(heard)) => *voter != heard,
            (None, _) => true,
            (Some(_), None) => false,
        };
        match (me || self.hears(name, now), self.is_quorate(now)) {
            (false, false) => NodeCondition::Unknown,
            (false, true) => NodeCondition::Lost,
            (true, _) if joining => NodeCondition::Joining,
            (true, true) if decided.is_some_and(|node| node.lost) => NodeCondition::Lost,
            (true, _) if decided.is_some_and(|node| node.drained) => NodeCondition::Drained,
            (true, _) => NodeCondition::Online,
        }
    }

    pub(crate) fn group_status(
        &self,
        now: Now,
        spec: &GroupSpec,
        view: &View,
        plan: &Plan,
    ) -> GroupStatus {
        let (state, _) = self.state();
        let decided = state.groups.get(&spec.name).cloned().unwrap_or_default();
        let quorate = self.is_quorate(now);
        let said = decided
            .owner
            .as_ref()
            .and_then(|owner| self.said_of(owner, &spec.name));
        let heard = decided
            .owner
            .as_ref()
            .is_some_and(|owner| *owner == self.sender().node || self.hears(owner, now));
        let decision = plan.decisions.iter().find(|one| one.group == spec.name);
        // In maintenance nothing is taken even from a lost owner: it is known not to run there.
        let owner_lost = quorate
            && decided
                .owner
                .as_ref()
                .is_some_and(|owner| state.nodes.get(owner).is_some_and(|node| node.lost));
        let left_alone =
            state.in_maintenance(&spec.name) && said.is_some_and(|said| said.phase == Phase::Idle);
        let condition = match condition(quorate, heard, &decided, said, decision) {
            _ if owner_lost => GroupCondition::Stopped,
            // Nobody starts it.
            GroupCondition::Starting if left_alone => GroupCondition::Stopped,
            condition => condition,
        };
        let not_ready = spec.policy.nodes().into_iter().filter_map(|node| {
            let said = self.said_of(node, &spec.name)?;
            let why = said.not_ready.clone().or_else(|| said.banned.clone())?;
            Some((node.clone(), why))
        });
        let mark = decided.owner.as_ref().and_then(|owner| {
            let mutual = matches!(spec.policy, PolicySpec::MutualTakeover { .. });
            self.degraded(owner, plan).filter(|_| mutual && quorate)
        });
        let owner = decided.owner.as_ref().filter(|_| quorate && !owner_lost);
        let rungs = owner.map_or_else(Vec::new, |owner| self.rungs(owner));
        GroupStatus {
            name: spec.name.clone(),
            rungs,
            policy: spec.policy.scheme().to_owned(),
            state: condition,
            reason: match decision.filter(|_| owner_lost) {
                Some(decision) => decision.reason.clone(),
                None => reason(quorate, &decided, said, decision),
            },
            owner: decided.owner.filter(|_| quorate && !owner_lost),
            epoch: decided.epoch,
            since: decided.since,
            pinned: decided.pinned,
            maintenance: state.in_maintenance(&spec.name),
            degraded: mark.map(|mark| Degraded {
                since: mark.since.max(decided.since),
                ..mark
            }),
            resources: resources(spec, quorate && heard, said),
            next: match decision.filter(|_| quorate) {
                None => Vec::new(),
                Some(decision) if spec.with.is_empty() => standbys(decision),
                // Its own nodes are forbidden but where the other is: it has the standbys of that one.
                Some(_) => had_policies::next(view, &spec.name),
            },
            not_ready: not_ready.collect(),
        }
    }
}

/// Who would take over, in order.
fn standbys(decision: &Decision) -> Vec<NodeName> {
    let standby = |candidate: &Candidate| matches!(candidate.verdict, Verdict::Standby { .. });
    let candidates = decision.candidates.iter().filter(|one| standby(one));
    candidates.map(|candidate| candidate.node.clone()).collect()
}

fn condition(
    quorate: bool,
    heard: bool,
    decided: &GroupState,
    said: Option<&GroupReport>,
    decision: Option<&Decision>,
) -> GroupCondition {
    if !quorate {
        return GroupCondition::Unknown;
    }
    if decided.owner.is_none() {
        return match decision.and_then(|decision| decision.idle.as_ref()) {
            Some(Idle::Displaced { .. }) => GroupCondition::Displaced,
            Some(Idle::Stopped | Idle::Maintenance | Idle::NoCandidate) => GroupCondition::Stopped,
            // It is about to be placed.
            None => GroupCondition::Starting,
        };
    }
    match said.filter(|_| heard) {
        None => GroupCondition::Unknown,
        Some(said) if said.epoch != decided.epoch => GroupCondition::Starting,
        Some(said) if said.given_up.is_some() => GroupCondition::Failed,
        Some(said) => match said.phase {
            Phase::Running => GroupCondition::Running,
            Phase::Idle | Phase::Starting | Phase::Prepared => GroupCondition::Starting,
            Phase::Stopping => GroupCondition::Stopping,
        },
    }
}

fn reason(
    quorate: bool,
    decided: &GroupState,
    said: Option<&GroupReport>,
    decision: Option<&Decision>,
) -> String {
    if !quorate {
        let last = match &decided.owner {
            Some(owner) => format!("last known on {owner} (epoch {})", decided.epoch),
            None => "last known without an owner".to_owned(),
        };
        return format!("this node does not see what the majority sees; {last}");
    }
    if let (None, Some(decision)) = (&decided.owner, decision) {
        return decision.reason.clone();
    }
    match said.and_then(|said| said.given_up.as_ref()) {
        Some(why) => format!("{}; its owner gave it up: {why}", decided.reason),
        None => decided.reason.clone(),
    }
}

fn resources(spec: &GroupSpec, fresh: bool, said: Option<&GroupReport>) -> Vec<ResourceLine> {
    let line = |resource: &crate::spec::ResourceSpec| {
        let ResourceKind::Vip(vip) = &resource.kind;
        let report = said.filter(|_| fresh).and_then(|said| {
            said.resources
                .iter()
                .find(|report| report.name == resource.name)
        });
        let plain = format!("{}/{}", vip.address, vip.prefix);
        ResourceLine {
            name: resource.name.clone(),
            kind: "vip".to_owned(),
            state: report.map_or(ResourceState::Stopped, |report| report.state),
            detail: report
                .map(|report| report.detail.clone())
                .filter(|text| !text.is_empty())
                .unwrap_or(plain),
        }
    };
    spec.resources.iter().map(line).collect()
}
