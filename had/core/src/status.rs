//! What operators are shown: SURFACE's documents, as this node knows them, with their age.

use std::collections::BTreeMap;

use had_policies::{GroupView, NodeView, Presence, Readiness, View};
use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, GroupName, NodeName, ResourceName};
use crate::message::{GroupReport, Phase, ResourceState};
use crate::node::Node;
use crate::spec::{ClusterSpec, GroupSpec, NodeSpec, ResourceKind, Role};
use crate::state::{ClusterEvent, GroupState};
use crate::time::{Now, WallTime, utc};

/// The cluster as one node knows it. Times are wall clock.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The node that answers.
    pub node: NodeName,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeName>,
    /// The term of the leader.
    pub term: u64,
    /// Whether this node sees what a majority sees.
    pub quorate: bool,
    /// When it last did.
    #[serde(with = "utc")]
    pub as_of: WallTime,
    /// Of the committed configuration.
    pub config_hash: String,
    /// Whether this node's own file says something else.
    pub config_differs: bool,
    /// What stands against the normal state of affairs, one sentence each.
    pub notices: Vec<String>,
    /// In the order of the file.
    pub nodes: Vec<NodeStatus>,
    /// In the order of the file.
    pub groups: Vec<GroupStatus>,
}

/// One line of the cluster's history, as a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventLine {
    /// Counts up by one.
    pub number: u64,
    /// When the leader proposed it.
    #[serde(with = "utc")]
    pub at: WallTime,
    /// What it is about.
    pub node: Option<NodeName>,
    /// What it is about.
    pub group: Option<GroupName>,
    /// A word for machines.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
}

impl From<&ClusterEvent> for EventLine {
    fn from(event: &ClusterEvent) -> Self {
        Self {
            number: event.number,
            at: event.at,
            node: event.node.clone(),
            group: event.group.clone(),
            kind: event.kind.clone(),
            text: event.text.clone(),
        }
    }
}

/// One node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Member or witness.
    pub role: Role,
    /// How it is.
    pub state: NodeCondition,
    /// When the answering node last heard it, milliseconds ago; zero for itself, absent where it never did.
    pub last_heard_ms: Option<u64>,
    /// Whom it hears.
    pub hears: Vec<NodeName>,
    /// What it owns.
    pub groups: Vec<GroupName>,
    /// Its gate: `bpf`, `nft`, `none`, or empty where it has not said.
    pub gate: String,
}

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCondition {
    /// It is heard.
    Online,
    /// It is heard, and an operator emptied it.
    Drained,
    /// Its lease ended without renewal, or it is not heard any more.
    Lost,
    /// It is heard, and is not yet a voter.
    Joining,
    /// Not heard, and this node does not see what the majority sees.
    Unknown,
}

/// One group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Its scheme.
    pub policy: String,
    /// What it does.
    pub state: GroupCondition,
    /// The one node that may run it; absent where there is none, or where this node cannot know.
    pub owner: Option<NodeName>,
    /// The number of its changes of owner.
    pub epoch: Epoch,
    /// Since when it is there.
    #[serde(with = "utc")]
    pub since: WallTime,
    /// Where an operator pinned it.
    pub pinned: Option<NodeName>,
    /// Whether its resources are watched but not touched.
    pub maintenance: bool,
    /// Why it is less than it should be.
    pub degraded: Option<Degraded>,
    /// Why it is where it is.
    pub reason: String,
    /// In their order.
    pub resources: Vec<ResourceLine>,
    /// Who would take over, in order.
    pub next: Vec<NodeName>,
    /// Why the others could not.
    pub not_ready: BTreeMap<NodeName, String>,
}

/// Why something is less than it should be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Degraded {
    /// For people.
    pub reason: String,
    /// Since when.
    #[serde(with = "utc")]
    pub since: WallTime,
}

/// What a group does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupCondition {
    /// It serves.
    Running,
    /// On its way up.
    Starting,
    /// On its way down.
    Stopping,
    /// It has no owner.
    Stopped,
    /// Its owner cannot run it.
    Failed,
    /// This node cannot know.
    Unknown,
}

/// One resource of a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceLine {
    /// Its name.
    pub name: ResourceName,
    /// What it is: `vip`.
    pub kind: String,
    /// What it does on the owner.
    pub state: ResourceState,
    /// For people.
    pub detail: String,
}

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
        Status {
            cluster: spec.name.clone(),
            node: self.sender().node.clone(),
            leader: self.leader_name(),
            term: self.term(),
            quorate,
            as_of: self.fresh_at(now),
            config_differs: committed.as_ref().is_some_and(|hash| *hash != own.hash),
            config_hash: committed.unwrap_or_default(),
            notices: self.notices(now, spec),
            nodes: spec
                .nodes
                .iter()
                .map(|node| self.node_status(now, node))
                .collect(),
            groups: spec
                .groups
                .iter()
                .map(|group| self.group_status(now, group, &view))
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
        }
        notices
    }

    fn node_status(&self, now: Now, spec: &NodeSpec) -> NodeStatus {
        let (state, _) = self.state();
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
        }
    }

    fn condition(&self, now: Now, name: &NodeName) -> NodeCondition {
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

    fn group_status(&self, now: Now, spec: &GroupSpec, view: &View) -> GroupStatus {
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
        let condition = condition(quorate, heard, &decided, said);
        let not_ready = spec.policy.nodes().filter_map(|node| {
            let why = self.said_of(node, &spec.name)?.not_ready.clone()?;
            Some((node.clone(), why))
        });
        GroupStatus {
            name: spec.name.clone(),
            policy: spec.policy.scheme().to_owned(),
            state: condition,
            reason: reason(quorate, &decided, said),
            owner: decided.owner.filter(|_| quorate),
            epoch: decided.epoch,
            since: decided.since,
            pinned: decided.pinned,
            maintenance: false,
            degraded: None,
            resources: resources(spec, quorate && heard, said),
            next: if quorate {
                had_policies::next(view, &spec.name)
            } else {
                Vec::new()
            },
            not_ready: not_ready.collect(),
        }
    }

    /// The cluster as a node that does not lead can tell the planner of it.
    fn own_view(&self, now: Now, spec: &ClusterSpec) -> View {
        let (state, _) = self.state();
        let members = spec.nodes.iter().filter(|node| node.role == Role::Member);
        let nodes = members.map(|node| NodeView {
            name: node.name.clone(),
            presence: match self.condition(now, &node.name) {
                NodeCondition::Online | NodeCondition::Drained => Presence::Online {
                    stable_for: spec.timing.lease,
                },
                NodeCondition::Lost => Presence::Lost,
                NodeCondition::Joining | NodeCondition::Unknown => Presence::Silent,
            },
            drained: state.nodes.get(&node.name).is_some_and(|node| node.drained),
            leaving: self
                .report_of(&node.name)
                .is_some_and(|report| report.leaving),
        });
        View {
            lease: spec.timing.lease,
            nodes: nodes.collect(),
            groups: spec
                .groups
                .iter()
                .map(|group| self.own_group_view(spec, group))
                .collect(),
        }
    }

    fn own_group_view(&self, spec: &ClusterSpec, group: &GroupSpec) -> GroupView {
        let (state, _) = self.state();
        let decided = state.groups.get(&group.name);
        let readiness = group.policy.nodes().filter_map(|node| {
            let said = self.said_of(node, &group.name)?;
            let readiness = match &said.not_ready {
                Some(why) => Readiness::NotReady(why.clone()),
                None => Readiness::Ready {
                    since: spec.timing.lease,
                },
            };
            Some((node.clone(), readiness))
        });
        GroupView {
            name: group.name.clone(),
            scheme: group.policy.planned(),
            owner: decided.and_then(|group| group.owner.clone()),
            pinned: decided.and_then(|group| group.pinned.clone()),
            readiness: readiness.collect(),
        }
    }
}

fn condition(
    quorate: bool,
    heard: bool,
    decided: &GroupState,
    said: Option<&GroupReport>,
) -> GroupCondition {
    if !quorate {
        return GroupCondition::Unknown;
    }
    if decided.owner.is_none() {
        return GroupCondition::Stopped;
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

fn reason(quorate: bool, decided: &GroupState, said: Option<&GroupReport>) -> String {
    if !quorate {
        let last = match &decided.owner {
            Some(owner) => format!("last known on {owner} (epoch {})", decided.epoch),
            None => "last known without an owner".to_owned(),
        };
        return format!("this node does not see what the majority sees; {last}");
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
