//! The cluster as the planner is told of it: what is decided, and what is known of the nodes besides.
//!
//! The leader, a node that does not lead and a file that no daemon runs yet know different things; the rest of a [`View`]
//! is the same for all of them.

use std::time::Duration;

use had_policies::{GroupView, NodeView, Presence, Readiness, Scheme, Seats, View};

use crate::ids::{GroupName, NodeName};
use crate::spec::{ClusterSpec, GroupSpec, NodeSpec, OnQuorumLoss, Role};
use crate::state::{GroupState, State};

/// What is known of the nodes beyond what is decided.
pub trait Known {
    /// Whether a node renews its lease.
    fn presence(&self, node: &NodeName) -> Presence;
    /// Whether its daemon was asked to end.
    fn is_leaving(&self, node: &NodeName) -> bool;
    /// Whether it could start a group; `None` where it has not said.
    fn readiness(&self, node: &NodeName, group: &GroupName) -> Option<Readiness>;
    /// What of the group failed there not long ago.
    fn ban(&self, node: &NodeName, group: &GroupName) -> Option<String>;
}

/// The view of a moment.
#[must_use]
pub fn view(spec: &ClusterSpec, state: &State, known: &impl Known) -> View {
    View {
        lease: spec.timing.lease,
        maintenance: state.maintenance,
        nodes: spec
            .nodes
            .iter()
            .filter(|node| node.role == Role::Member || owns(state, &node.name))
            .map(|node| node_view(node, state, known))
            .collect(),
        groups: spec
            .groups
            .iter()
            .map(|group| group_view(group, state, known))
            .collect(),
    }
}

/// A node that a new file made a witness may own a group still.
fn owns(state: &State, node: &NodeName) -> bool {
    state.owned_by(node).next().is_some()
}

fn node_view(spec: &NodeSpec, state: &State, known: &impl Known) -> NodeView {
    let name = &spec.name;
    NodeView {
        name: name.clone(),
        presence: known.presence(name),
        drained: spec.role == Role::Witness
            || state.nodes.get(name).is_some_and(|node| node.drained),
        leaving: known.is_leaving(name),
        capacity: spec.capacity,
        capacity_is_hard: spec.capacity_is_hard,
    }
}

fn group_view(spec: &GroupSpec, state: &State, known: &impl Known) -> GroupView {
    let nowhere = GroupState::default();
    let decided = state.groups.get(&spec.name).unwrap_or(&nowhere);
    let nodes = spec.policy.nodes();
    let readiness = nodes
        .iter()
        .filter_map(|node| Some(((*node).clone(), known.readiness(node, &spec.name)?)));
    let bans = nodes
        .iter()
        .filter_map(|node| Some(((*node).clone(), known.ban(node, &spec.name)?)));
    GroupView {
        name: spec.name.clone(),
        scheme: spec.policy.planned(),
        owner: decided.owner.clone(),
        pinned: decided.pinned.clone(),
        readiness: readiness.collect(),
        load: spec.load,
        displaces: spec.policy.displaces().to_vec(),
        with: spec.with.clone(),
        apart_from: spec.apart_from.clone(),
        queue: decided.queue.clone(),
        bans: bans.collect(),
        stopped: decided.stopped,
        maintenance: state.in_maintenance(&spec.name),
        keeps: spec.on_quorum_loss == OnQuorumLoss::Keep,
    }
}

/// Nobody runs it yet: every node is there and could start everything.
struct AllWell;

/// Longer than any failback waits.
const FOR_LONG: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Known for AllWell {
    fn presence(&self, _node: &NodeName) -> Presence {
        Presence::Online {
            stable_for: FOR_LONG,
        }
    }

    fn is_leaving(&self, _node: &NodeName) -> bool {
        false
    }

    fn readiness(&self, _node: &NodeName, _group: &GroupName) -> Option<Readiness> {
        Some(Readiness::Ready { since: FOR_LONG })
    }

    fn ban(&self, _node: &NodeName, _group: &GroupName) -> Option<String> {
        None
    }
}

/// The cluster of a file as it stands once everything runs: for a forecast without a daemon. Leadership keeps away from
/// owners, so nobody is named as the leader.
#[must_use]
pub fn of_file(spec: &ClusterSpec) -> (View, Seats) {
    let mut view = view(spec, &State::default(), &AllWell);
    for group in &mut view.groups {
        if let Scheme::RotatingStandby { nodes } = &group.scheme {
            group.queue.clone_from(nodes);
        }
    }
    let plan = had_policies::plan(&view);
    for (group, decision) in view.groups.iter_mut().zip(plan.decisions) {
        group.owner = decision.owner;
        let owner = group.owner.clone();
        group.queue.retain(|node| Some(node) != owner.as_ref());
    }
    let seats = Seats {
        voters: spec.nodes.iter().map(|node| node.name.clone()).collect(),
        leader: None,
    };
    (view, seats)
}
