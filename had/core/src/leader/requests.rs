//! Operators' requests: decided like everything else, answered when they have come true ([`super::waiting`]).

use had_policies::{Cause, Decision, Target};

use super::moves::Wish;
use super::waiting::{Until, Waiting};
use super::{Counter, Leader, Seen};
use crate::explain::lines;
use crate::ids::{CommandId, Epoch, GroupName, NodeName, RequestId};
use crate::ports::{Command, GroupAction, Reply, Request};
use crate::spec::{ClusterSpec, GroupSpec, Role};
use crate::state::{GroupState, Step};

/// What is decided, and when it has come true; or why not, with what to do instead.
type Decided = Result<(Vec<Step>, Until), String>;

impl Leader {
    /// Decides what an operator asked for, or refuses.
    pub fn request(
        &mut self,
        seen: Seen<'_>,
        counter: &mut Counter,
        (request, id): (RequestId, CommandId),
        what: &Request,
        out: &mut Vec<Command>,
    ) {
        let no_quorum = |why: &str, out: &mut Vec<Command>| {
            let reply = Reply::NoQuorum(why.to_owned());
            out.push(Command::Reply { request, reply });
        };
        let Some(spec) = seen.state.spec().filter(|_| self.own_entry.is_some()) else {
            let why = "the leader has only just been elected; try again in a moment";
            return no_quorum(why, out);
        };
        if asks_who_is_there(what) && !self.knows_enough(seen, spec) {
            let why = "the leader has neither heard every node since it began nor waited for a lease; try again in a moment";
            return no_quorum(why, out);
        }
        let decided = match what {
            // Carried out already, and asked again: nothing is judged a second time.
            Request::Failover { group, to } if seen.state.commands.contains(&id) => {
                Ok((Vec::new(), serving_now(seen, group, to.as_ref())))
            }
            Request::Failback { group } if seen.state.commands.contains(&id) => {
                Ok((Vec::new(), serving_now(seen, group, None)))
            }
            Request::Failover { group, to } => self.failover(seen, spec, group, to.as_ref()),
            Request::Failback { group } => self.failback(seen, spec, group),
            Request::Drain { node, drained } => drain(seen, spec, node, *drained),
            Request::Group { group, action } => group_action(seen, spec, group, *action),
            Request::Maintenance { group, on } => maintenance(seen, spec, group.as_ref(), *on),
            Request::Init { .. } => {
                Err("the cluster is formed already: see `hactl status`".to_owned())
            }
        };
        let (steps, until) = match decided {
            Ok(decided) => decided,
            Err(why) => return Self::refuse(request, why, out),
        };
        self.waiting.push(Waiting {
            request,
            id,
            since: seen.now.mono,
            until,
        });
        if !seen.state.commands.contains(&id) {
            self.propose(seen, counter, Some(id), steps, out);
        }
    }

    fn failover(
        &self,
        seen: Seen<'_>,
        spec: &ClusterSpec,
        group: &GroupName,
        to: Option<&NodeName>,
    ) -> Decided {
        let target = had_policies::failover(&self.view(seen, spec), group, to)
            .map_err(|refused| refused.0)?;
        self.operators_move(seen, spec, group, target)
    }

    fn failback(&self, seen: Seen<'_>, spec: &ClusterSpec, group: &GroupName) -> Decided {
        let target =
            had_policies::failback(&self.view(seen, spec), group).map_err(|refused| refused.0)?;
        if let Some(target) = target {
            return self.operators_move(seen, spec, group, target);
        }
        let steps = vec![Step::Pin {
            group: group.clone(),
            to: None,
        }];
        Ok((steps, serving_now(seen, group, None)))
    }

    /// Whether there is somebody to decide by: soon after an election or a first start, a node may be there that has not
    /// been heard yet.
    fn knows_enough(&self, seen: Seen<'_>, spec: &ClusterSpec) -> bool {
        let now = seen.now.raw;
        let mut members = spec.nodes.iter().filter(|node| node.role == Role::Member);
        !self.waits_for_nodes(seen, spec)
            && (self.records.hold_is_over(now)
                || members.all(|node| self.records.renews(&node.name, now).is_some()))
    }

    /// The move, and in the same entry everything else that is due once the group is there: groups that give way, those
    /// that go with it, and what any of these depends on.
    fn operators_move(
        &self,
        seen: Seen<'_>,
        spec: &ClusterSpec,
        group: &GroupName,
        target: Target,
    ) -> Decided {
        let deciding = || format!("{group} is being moved right now; try again in a moment");
        let state = group_state(seen, group).ok_or_else(deciding)?;
        if self.is_deciding(group) {
            return Err(deciding());
        }
        let mut planned = self.planned_after(seen, spec, group, &target);
        let own = planned.iter().position(|decision| decision.group == *group);
        let own = own.map(|place| planned.remove(place));
        let until = Until::Serving {
            group: group.clone(),
            epoch: state.epoch.next(),
            on: Some(target.node.clone()),
        };
        let wish = Wish {
            to: Some(target.node),
            cause: Cause::Operator,
            reason: target.reason,
            pin: target.pin,
            candidates: own.as_ref().map(lines).unwrap_or_default(),
        };
        let step = self.change(seen, group, state, wish).ok_or_else(deciding)?;
        let (mut steps, waits) = self.steps(seen, spec, &planned);
        if waits.contains(group) {
            return Err(deciding());
        }
        steps.insert(0, step);
        Ok((steps, until))
    }

    /// What the planner would say once the group is where the operator wants it.
    fn planned_after(
        &self,
        seen: Seen<'_>,
        spec: &ClusterSpec,
        group: &GroupName,
        target: &Target,
    ) -> Vec<Decision> {
        let mut view = self.view(seen, spec);
        for moved in view.groups.iter_mut().filter(|moved| moved.name == *group) {
            moved.owner = Some(target.node.clone());
            moved.pinned = target.pin.then(|| target.node.clone());
            moved.queue.retain(|node| *node != target.node);
        }
        had_policies::plan(&view).decisions
    }
}

/// Whether the answer depends on which nodes are there.
fn asks_who_is_there(what: &Request) -> bool {
    match what {
        Request::Failover { .. } | Request::Failback { .. } => true,
        Request::Group { action, .. } => *action == GroupAction::Start,
        Request::Drain { .. } | Request::Maintenance { .. } | Request::Init { .. } => false,
    }
}

/// Serving as it is decided now, on the node that was asked for.
fn serving_now(seen: Seen<'_>, group: &GroupName, on: Option<&NodeName>) -> Until {
    Until::Serving {
        group: group.clone(),
        epoch: group_state(seen, group).map_or(Epoch(0), |state| state.epoch),
        on: on.cloned(),
    }
}

fn group_state<'a>(seen: Seen<'a>, group: &GroupName) -> Option<&'a GroupState> {
    seen.state.groups.get(group)
}

fn drain(seen: Seen<'_>, spec: &ClusterSpec, node: &NodeName, drained: bool) -> Decided {
    if spec.node(node).is_none() {
        let known: Vec<_> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
        let known = known.join(", ");
        return Err(format!("there is no node {node}; the nodes are: {known}"));
    }
    let until = if drained {
        Until::Empty(node.clone(), seen.state.owned_by(node).cloned().collect())
    } else {
        Until::Applied(format!("{node} is resumed: it takes groups over again"))
    };
    let node = node.clone();
    Ok((vec![Step::Drain { node, drained }], until))
}

fn known_group(spec: &ClusterSpec, group: &GroupName) -> Result<(), String> {
    if spec.group(group).is_some() {
        return Ok(());
    }
    let known: Vec<_> = spec
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    let known = known.join(", ");
    Err(format!(
        "there is no group {group}; the groups are: {known}"
    ))
}

fn group_action(
    seen: Seen<'_>,
    spec: &ClusterSpec,
    group: &GroupName,
    action: GroupAction,
) -> Decided {
    known_group(spec, group)?;
    if action == GroupAction::Stop && seen.state.in_maintenance(group) {
        return Err(format!(
            "{group} is in maintenance and is not touched: `hactl maintenance off` comes first"
        ));
    }
    let until = match action {
        GroupAction::Start => Until::Started(group.clone()),
        GroupAction::Stop => Until::Stopped(group.clone()),
        GroupAction::Clear => {
            Until::Applied(format!("failures of {group} are forgotten on every node"))
        }
    };
    let group = group.clone();
    Ok((vec![Step::Group { group, action }], until))
}

fn maintenance(seen: Seen<'_>, spec: &ClusterSpec, group: Option<&GroupName>, on: bool) -> Decided {
    if let Some(group) = group {
        known_group(spec, group)?;
        if !on && seen.state.maintenance {
            let why = "the whole cluster is in maintenance: `hactl maintenance off` ends it";
            return Err(why.to_owned());
        }
    }
    let what = group.map_or("every group", GroupName::as_str);
    let text = if on {
        format!("{what} is in maintenance: watched, and neither moved nor touched")
    } else if group.is_some() {
        format!("{what} is looked after again")
    } else {
        looked_after_again(seen, spec)
    };
    let group = group.cloned();
    Ok((vec![Step::Maintenance { group, on }], Until::Applied(text)))
}

/// What the end of the whole cluster's maintenance means: what was named is taken out by its name.
fn looked_after_again(seen: Seen<'_>, spec: &ClusterSpec) -> String {
    let named = |group: &&GroupSpec| {
        let state = seen.state.groups.get(&group.name);
        state.is_some_and(|state| state.maintenance)
    };
    let named: Vec<_> = spec.groups.iter().filter(named).collect();
    let Some(first) = named.first() else {
        return "every group is looked after again".to_owned();
    };
    let names: Vec<_> = named.iter().map(|group| group.name.as_str()).collect();
    format!(
        "every group is looked after again but {}, which is taken out of maintenance by its name: `hactl maintenance off {}`",
        names.join(", "),
        first.name
    )
}
