//! Operators' requests: decided like everything else, answered when they have come true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use had_policies::{Cause, Verdict};

use super::{Counter, Leader, Seen};
use crate::ids::{CommandId, Epoch, GroupName, NodeName, RequestId};
use crate::message::Phase;
use crate::ports::{Command, Reply, Request};
use crate::spec::ClusterSpec;
use crate::state::Step;
use crate::time::MonoTime;

/// How long an operator waits before it is said that the outcome is open. A move of addresses takes milliseconds; ten
/// seconds are what a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// An operator who waits until something has come true.
#[derive(Debug)]
pub struct Waiting {
    /// Whom to answer.
    pub request: RequestId,
    id: CommandId,
    since: MonoTime,
    until: Until,
}

#[derive(Debug)]
enum Until {
    /// The command is applied, and these groups run under at least these epochs.
    Serving(BTreeMap<GroupName, Epoch>),
    /// The node owns nothing that another could take.
    Empty(NodeName, BTreeSet<GroupName>),
    /// The command is applied.
    Applied,
}

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
        let Some(spec) = seen.state.spec().filter(|_| self.own_entry.is_some()) else {
            let why = "the leader has only just been elected; try again".to_owned();
            return out.push(Command::Reply {
                request,
                reply: Reply::NoQuorum(why),
            });
        };
        let (steps, until) = match what {
            Request::Failover { group, to } => {
                match self.failover(seen, spec, group, to.as_ref()) {
                    Ok(decided) => decided,
                    Err(why) => return Self::refuse(request, why, out),
                }
            }
            Request::Failback { group } => match self.failback(seen, spec, group) {
                Ok(decided) => decided,
                Err(why) => return Self::refuse(request, why, out),
            },
            Request::Init { .. } => {
                let why = "the cluster is formed already: see `hactl status`".to_owned();
                return Self::refuse(request, why, out);
            }
            Request::Drain { node, drained } => {
                if spec.node(node).is_none() {
                    let known: Vec<_> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
                    let known = known.join(", ");
                    let why = format!("there is no node {node}; the nodes are: {known}");
                    return Self::refuse(request, why, out);
                }
                let groups = seen.state.owned_by(node).cloned().collect();
                let until = if *drained {
                    Until::Empty(node.clone(), groups)
                } else {
                    Until::Applied
                };
                (
                    vec![Step::Drain {
                        node: node.clone(),
                        drained: *drained,
                    }],
                    until,
                )
            }
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
    ) -> Result<(Vec<Step>, Until), String> {
        let target = had_policies::failover(&self.view(seen, spec), group, to)
            .map_err(|refused| refused.0)?;
        self.operators_move(seen, group, target.node, target.reason, target.pin)
    }

    fn failback(
        &self,
        seen: Seen<'_>,
        spec: &ClusterSpec,
        group: &GroupName,
    ) -> Result<(Vec<Step>, Until), String> {
        match had_policies::failback(&self.view(seen, spec), group).map_err(|refused| refused.0)? {
            Some(target) => {
                self.operators_move(seen, group, target.node, target.reason, target.pin)
            }
            None => {
                let epoch = seen
                    .state
                    .groups
                    .get(group)
                    .map_or(Epoch(0), |state| state.epoch);
                let steps = vec![Step::Pin {
                    group: group.clone(),
                    to: None,
                }];
                Ok((steps, Until::Serving([(group.clone(), epoch)].into())))
            }
        }
    }

    fn operators_move(
        &self,
        seen: Seen<'_>,
        group: &GroupName,
        to: NodeName,
        reason: String,
        pin: bool,
    ) -> Result<(Vec<Step>, Until), String> {
        let deciding = || format!("{group} is being moved right now; try again in a moment");
        let state = seen.state.groups.get(group).ok_or_else(deciding)?;
        if self.is_deciding(group) {
            return Err(deciding());
        }
        let step = self
            .change(seen, group, state, Some(to), Cause::Operator, reason, pin)
            .ok_or_else(deciding)?;
        Ok((
            vec![step],
            Until::Serving([(group.clone(), state.epoch.next())].into()),
        ))
    }

    /// Answers operators whose wish has come true, and those who waited too long.
    pub(super) fn answer_waiting(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        let waiting = std::mem::take(&mut self.waiting);
        for waiter in waiting {
            let waited = seen.now.mono.since(waiter.since);
            let reply = match self.outcome(seen, &waiter) {
                Some((text, moved)) => Reply::Done {
                    text,
                    moved,
                    took_ms: waited.as_secs_f64() * 1_000.0,
                },
                None if waited >= PATIENCE => Reply::Refused(self.overdue(seen, &waiter)),
                None => {
                    self.waiting.push(waiter);
                    continue;
                }
            };
            out.push(Command::Reply {
                request: waiter.request,
                reply,
            });
        }
    }

    fn outcome(
        &self,
        seen: Seen<'_>,
        waiter: &Waiting,
    ) -> Option<(String, BTreeMap<GroupName, Option<NodeName>>)> {
        if !seen.state.commands.contains(&waiter.id) {
            return None;
        }
        let owner = |group: &GroupName| {
            seen.state
                .groups
                .get(group)
                .and_then(|state| state.owner.clone())
        };
        match &waiter.until {
            Until::Applied => Some(("done".to_owned(), BTreeMap::new())),
            Until::Serving(groups) => {
                let serves =
                    |(group, epoch): (&GroupName, &Epoch)| Self::serves(seen, group, *epoch);
                groups.iter().all(serves).then(|| {
                    let moved: BTreeMap<_, _> = groups
                        .keys()
                        .map(|group| (group.clone(), owner(group)))
                        .collect();
                    (describe(seen, &moved), moved)
                })
            }
            Until::Empty(node, groups) => {
                let moved = |group: &&GroupName| owner(group).as_ref() != Some(node);
                let settled = |group: &GroupName| {
                    let epoch = seen
                        .state
                        .groups
                        .get(group)
                        .map_or(Epoch(0), |state| state.epoch);
                    if owner(group).as_ref() == Some(node) {
                        self.has_no_alternative(group, node)
                    } else {
                        owner(group).is_none() || Self::serves(seen, group, epoch)
                    }
                };
                groups.iter().all(settled).then(|| {
                    let gone = groups.iter().filter(moved).map(|group| (group.clone(), owner(group)));
                    let gone: BTreeMap<_, _> = gone.collect();
                    let stay: Vec<_> = groups.iter().filter(|group| !moved(group)).collect();
                    let text = match stay.as_slice() {
                        [] => format!("{node} is drained and owns nothing"),
                        stay => {
                            let stay: Vec<_> = stay.iter().map(|group| group.as_str()).collect();
                            let stay = stay.join(", ");
                            format!("{node} is drained; nobody else can take {stay}, which stays there until somebody can")
                        }
                    };
                    (text, gone)
                })
            }
        }
    }

    /// Whether the last plan found nobody else for a group.
    fn has_no_alternative(&self, group: &GroupName, owner: &NodeName) -> bool {
        self.decisions
            .iter()
            .filter(|decision| decision.group == *group)
            .any(|decision| {
                decision.candidates.iter().all(|candidate| {
                    candidate.node == *owner || matches!(candidate.verdict, Verdict::Vetoed(_))
                })
            })
    }

    /// Whether the owner says that it serves, under this epoch or a later one.
    fn serves(seen: Seen<'_>, group: &GroupName, epoch: Epoch) -> bool {
        let Some(state) = seen.state.groups.get(group) else {
            return false;
        };
        let Some(said) = state
            .owner
            .as_ref()
            .and_then(|owner| seen.peers.group(owner, group))
        else {
            return false;
        };
        said.phase == Phase::Running && said.epoch >= epoch && said.epoch == state.epoch
    }

    fn overdue(&self, seen: Seen<'_>, waiter: &Waiting) -> String {
        let seconds = PATIENCE.as_secs();
        if !seen.state.commands.contains(&waiter.id) {
            return format!("not decided within {seconds} s; it may still be: see `hactl status`");
        }
        let groups: Vec<_> = match &waiter.until {
            Until::Serving(groups) => groups.keys().map(GroupName::as_str).collect(),
            Until::Empty(_, groups) => groups.iter().map(GroupName::as_str).collect(),
            Until::Applied => Vec::new(),
        };
        let groups = groups.join(", ");
        format!("decided, but {groups} does not run yet after {seconds} s: see `hactl status`")
    }
}

fn describe(seen: Seen<'_>, moved: &BTreeMap<GroupName, Option<NodeName>>) -> String {
    let mut parts = Vec::new();
    for (group, owner) in moved {
        let Some(state) = seen.state.groups.get(group) else {
            continue;
        };
        let owner = owner.as_ref().map_or("nobody", NodeName::as_str);
        let pin = if state.pinned.is_some() {
            format!(", pinned there until `hactl failback {group}`")
        } else {
            String::new()
        };
        parts.push(format!(
            "{group} runs on {owner} (epoch {}{pin})",
            state.epoch
        ));
    }
    parts.join("; ")
}
