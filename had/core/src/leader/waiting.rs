//! Operators who wait until what they asked for has come true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use had_policies::{Idle, Verdict};

use super::{Leader, Seen};
use crate::ids::{CommandId, Epoch, GroupName, NodeName, RequestId};
use crate::message::Phase;
use crate::ports::{Command, Reply};
use crate::time::MonoTime;

/// How long an operator waits before it is said that the outcome is open. A move of addresses takes milliseconds; ten
/// seconds are what a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// An operator who waits until something has come true.
#[derive(Debug)]
pub struct Waiting {
    /// Whom to answer.
    pub request: RequestId,
    pub(super) id: CommandId,
    pub(super) since: MonoTime,
    pub(super) until: Until,
}

/// When an operator's wish has come true.
#[derive(Debug)]
pub(super) enum Until {
    /// The command is applied, and the group runs under this epoch or a later one.
    Serving {
        /// The group.
        group: GroupName,
        /// The epoch.
        epoch: Epoch,
        /// Where it was wanted; anywhere where nobody said.
        on: Option<NodeName>,
    },
    /// The node owns nothing that another could take.
    Empty(NodeName, BTreeSet<GroupName>),
    /// The group runs, or is known not to be able to.
    Started(GroupName),
    /// The group runs nowhere any more.
    Stopped(GroupName),
    /// The command is applied; with what to say then.
    Applied(String),
}

/// What is said when it has: a sentence, and what moved where; or what came instead.
type Told = Result<(String, BTreeMap<GroupName, Option<NodeName>>), String>;

impl Leader {
    /// Answers operators whose wish has come true, and those who waited too long.
    pub(super) fn answer_waiting(&mut self, seen: Seen<'_>, out: &mut Vec<Command>) {
        let waiting = std::mem::take(&mut self.waiting);
        for waiter in waiting {
            let waited = seen.now.mono.since(waiter.since);
            let reply = match self.outcome(seen, &waiter) {
                Some(Err(instead)) => Reply::Refused(instead),
                Some(Ok((text, moved))) => Reply::Done {
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

    fn outcome(&self, seen: Seen<'_>, waiter: &Waiting) -> Option<Told> {
        if !seen.state.commands.contains(&waiter.id) {
            return None;
        }
        match &waiter.until {
            Until::Applied(text) => Some(Ok((text.clone(), BTreeMap::new()))),
            Until::Serving { group, epoch, on } => {
                Self::serves(seen, group, *epoch).then(|| arrived(seen, group, on.as_ref()))
            }
            Until::Empty(node, groups) => self.emptied(seen, node, groups),
            Until::Started(group) => self.started(seen, group),
            Until::Stopped(group) => stopped(seen, group),
        }
    }

    fn emptied(
        &self,
        seen: Seen<'_>,
        node: &NodeName,
        groups: &BTreeSet<GroupName>,
    ) -> Option<Told> {
        let moved = |group: &&GroupName| owner(seen, group).as_ref() != Some(node);
        let settled = |group: &GroupName| match owner(seen, group) {
            Some(owner) if owner == *node => {
                self.has_no_alternative(group, node) || seen.state.in_maintenance(group)
            }
            Some(_) => Self::serves(seen, group, Epoch(0)),
            None => seen
                .state
                .groups
                .get(group)
                .is_none_or(|state| !state.unreleased.contains_key(node)),
        };
        groups.iter().all(settled).then(|| {
            let gone = groups
                .iter()
                .filter(moved)
                .map(|group| (group.clone(), owner(seen, group)));
            let gone: BTreeMap<_, _> = gone.collect();
            let stay: Vec<_> = groups.iter().filter(|group| !moved(group)).collect();
            let stay: Vec<_> = stay.into_iter().map(GroupName::as_str).collect();
            let text = if stay.is_empty() {
                format!("{node} is drained and owns nothing")
            } else {
                let stay = stay.join(", ");
                format!("{node} is drained; {stay} stays there for now: `hactl explain` says why")
            };
            Ok((text, gone))
        })
    }

    /// A group that may run again runs, or the planner says why it does not.
    fn started(&self, seen: Seen<'_>, group: &GroupName) -> Option<Told> {
        if Self::serves(seen, group, Epoch(0)) {
            return Some(arrived(seen, group, None));
        }
        let decision = self.decisions.iter().find(|one| one.group == *group)?;
        match decision.idle {
            Some(Idle::Displaced { .. } | Idle::Maintenance | Idle::NoCandidate) => {
                let text = format!("{group} may run again, and waits: {}", decision.reason);
                Some(Ok((text, BTreeMap::new())))
            }
            Some(Idle::Stopped) | None => None,
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
            Until::Empty(_, groups) => groups.iter().map(GroupName::as_str).collect(),
            Until::Serving { group, .. } | Until::Started(group) | Until::Stopped(group) => {
                vec![group.as_str()]
            }
            Until::Applied(_) => Vec::new(),
        };
        let groups = groups.join(", ");
        let what = match &waiter.until {
            Until::Stopped(_) => "is not down",
            Until::Serving { .. } | Until::Empty(..) | Until::Started(_) | Until::Applied(_) => {
                "does not run"
            }
        };
        format!("decided, but {groups} {what} yet after {seconds} s: see `hactl status`")
    }
}

fn owner(seen: Seen<'_>, group: &GroupName) -> Option<NodeName> {
    seen.state.groups.get(group)?.owner.clone()
}

/// Nobody owns it, and nobody is waited for.
fn stopped(seen: Seen<'_>, group: &GroupName) -> Option<Told> {
    let state = seen.state.groups.get(group)?;
    let down = state.owner.is_none() && state.unreleased.is_empty();
    down.then(|| {
        let text = format!("{group} is stopped until `hactl group start {group}`");
        Ok((text, BTreeMap::from([(group.clone(), None)])))
    })
}

/// The group runs; not where it was wanted, where its start failed there.
fn arrived(seen: Seen<'_>, group: &GroupName, wanted: Option<&NodeName>) -> Told {
    let owner = owner(seen, group);
    let text = seen
        .state
        .groups
        .get(group)
        .map_or_else(String::new, |state| {
            let owner = owner.as_ref().map_or("nobody", NodeName::as_str);
            let pin = if state.pinned.is_some() {
                format!(", pinned there until `hactl failback {group}`")
            } else {
                String::new()
            };
            format!("{group} runs on {owner} (epoch {}{pin})", state.epoch)
        });
    match wanted.filter(|wanted| owner.as_ref() != Some(*wanted)) {
        None => Ok((text, BTreeMap::from([(group.clone(), owner)]))),
        Some(wanted) => {
            let said = seen.peers.group(wanted, group);
            let why = said.and_then(|said| said.banned.as_ref().or(said.not_ready.as_ref()));
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            Err(format!(
                "{group} was moved to {wanted} and did not stay there{why}: {text}"
            ))
        }
    }
}
