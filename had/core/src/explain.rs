//! Why a group runs where it runs, and why not elsewhere: now, or as it was decided then.

use had_policies::{Candidate, Decision, Forecast, Plan, Scenario, Seats, Verdict};
use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, GroupName, NodeName};
use crate::node::Node;
use crate::spec::{ClusterSpec, GroupSpec, OnQuorumLoss};
use crate::state::{ClusterEvent, GroupState, Moved};
use crate::status::GroupCondition;
use crate::time::{Now, WallTime, utc};

/// The answer to "why there?". Times are wall clock.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The group.
    pub group: GroupName,
    /// The node that answers.
    pub node: NodeName,
    /// The moment that is explained.
    #[serde(with = "utc")]
    pub at: WallTime,
    /// Whether that is in the past, told from the cluster's history.
    pub past: bool,
    /// When the answering node last saw what a majority sees.
    #[serde(with = "utc")]
    pub as_of: WallTime,
    /// Whether it does.
    pub quorate: bool,
    /// What the group does, or did.
    pub state: GroupCondition,
    /// The one node that may run it.
    pub owner: Option<NodeName>,
    /// The number of its changes of owner.
    pub epoch: Epoch,
    /// Since when it was there.
    #[serde(with = "utc")]
    pub since: WallTime,
    /// Where an operator pinned it.
    pub pinned: Option<NodeName>,
    /// One or two sentences: why it runs where it runs, or why it does not run.
    pub text: String,
    /// Every node that may own it.
    pub candidates: Vec<CandidateLine>,
    /// What else bears on it, one sentence each.
    pub notes: Vec<String>,
}

/// One node that may own the group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CandidateLine {
    /// The node.
    pub node: NodeName,
    /// Its place in the scheme: "priority 200".
    pub rank: String,
    /// Taken or refused.
    pub verdict: VerdictWord,
    /// Why.
    pub why: String,
    /// What would have to change for it to get the group.
    pub change: Option<String>,
}

/// Taken or refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    /// It has the group, or gets it.
    Owner,
    /// It could have it; another is better.
    Standby,
    /// It must not have it.
    Refused,
}

impl Node {
    /// Why a group runs where it runs, as this node knows it, or as it was decided at an earlier moment.
    ///
    /// # Errors
    /// One sentence, where there is no such group, or the history kept does not reach so far back.
    pub fn explain(
        &self,
        now: Now,
        group: &GroupName,
        at: Option<WallTime>,
    ) -> Result<Explanation, String> {
        let (state, _) = self.state();
        let spec = state.spec().unwrap_or(&self.own_configuration().spec);
        let Some(group_spec) = spec.group(group) else {
            let known: Vec<_> = spec.groups.iter().map(|one| one.name.as_str()).collect();
            let known = known.join(", ");
            return Err(format!(
                "there is no group {group}; the groups are: {known}"
            ));
        };
        let present = self.explain_now(now, spec, group_spec);
        match at {
            None => Ok(present),
            Some(at) if at <= now.wall => self.explain_then(present, at),
            Some(at) => Err(format!(
                "{} lies in the future: leave --at out to ask about now",
                utc::text(at)
            )),
        }
    }

    /// Where everything would go if nodes were lost or the network split.
    ///
    /// # Errors
    /// Where the scenario names no nodes of this cluster, or leaves some out; without a quorum, since this node cannot know
    /// where everything is.
    pub fn forecast(&self, now: Now, scenario: &Scenario) -> Result<Forecast, String> {
        if !self.is_quorate(now) {
            let why = self.why_no_quorum(now);
            return Err(format!(
                "this node cannot know where everything runs: {why}"
            ));
        }
        let (state, _) = self.state();
        let spec = state.spec().unwrap_or(&self.own_configuration().spec);
        let seats = Seats {
            voters: state.voters.keys().cloned().collect(),
            leader: self.leader_name(),
        };
        let view = self.own_view(now, spec);
        had_policies::forecast(&view, &seats, scenario).map_err(|refused| refused.0)
    }

    fn explain_now(&self, now: Now, spec: &ClusterSpec, group: &GroupSpec) -> Explanation {
        let (state, _) = self.state();
        let view = self.own_view(now, spec);
        let plan = had_policies::plan(&view);
        let status = self.group_status(now, group, &view, &plan);
        let decided = state.groups.get(&group.name).cloned().unwrap_or_default();
        let decision = plan.decisions.iter().find(|one| one.group == group.name);
        let quorate = self.is_quorate(now);
        let has_owner = status.owner.is_some();
        Explanation {
            group: group.name.clone(),
            node: self.sender().node.clone(),
            at: now.wall,
            past: false,
            as_of: self.fresh_at(now),
            quorate,
            state: status.state,
            owner: status.owner,
            epoch: status.epoch,
            since: status.since,
            pinned: status.pinned,
            text: present_text(
                &status.reason,
                has_owner,
                &decided,
                decision.filter(|_| quorate),
            ),
            candidates: decision.filter(|_| quorate).map(lines).unwrap_or_default(),
            notes: self.notes(now, group, &decided, &plan),
        }
    }

    /// What bears on a group besides the planner's judgement of its nodes.
    fn notes(&self, now: Now, group: &GroupSpec, decided: &GroupState, plan: &Plan) -> Vec<String> {
        let (state, _) = self.state();
        let mut notes = Vec::new();
        if !self.is_quorate(now) {
            notes.push(self.why_no_quorum(now));
        }
        if state.in_maintenance(&group.name) {
            notes.push("it is in maintenance: watched, and neither moved nor touched".to_owned());
        }
        for waits in decided.unreleased.keys() {
            notes.push(format!(
                "its owner waits for {waits} to let go of it, or for the end of its lease"
            ));
        }
        let marked = plan
            .degraded
            .iter()
            .filter(|mark| mark.groups.contains(&group.name));
        notes.extend(marked.map(|mark| format!("degraded: {}", mark.reason)));
        let names = |groups: &[GroupName]| {
            let names: Vec<_> = groups.iter().map(GroupName::as_str).collect();
            names.join(", ")
        };
        if !group.policy.displaces().is_empty() {
            let (rests, gives_way): (Vec<_>, Vec<_>) = group
                .policy
                .displaces()
                .iter()
                .cloned()
                .partition(|other| state.in_maintenance(other));
            if !gives_way.is_empty() {
                notes.push(format!("where it runs, {} gives way", names(&gives_way)));
            }
            if !rests.is_empty() {
                notes.push(format!(
                    "{} gives way to it only after maintenance",
                    names(&rests)
                ));
            }
        }
        if !group.with.is_empty() {
            notes.push(format!("it runs only where {} runs", names(&group.with)));
        }
        if !group.apart_from.is_empty() {
            notes.push(format!(
                "it never runs on one node with {}",
                names(&group.apart_from)
            ));
        }
        if group.on_quorum_loss == OnQuorumLoss::Keep {
            notes.push(
                "without a majority it goes on where it runs, and a second node may serve it: its file says so"
                    .to_owned(),
            );
        }
        notes
    }

    /// What the history says of a moment.
    fn explain_then(&self, present: Explanation, at: WallTime) -> Result<Explanation, String> {
        let (state, _) = self.state();
        let of_group = |event: &&std::sync::Arc<ClusterEvent>| {
            event.at <= at && event.moved.is_some() && event.group.as_ref() == Some(&present.group)
        };
        let last = state.events.iter().rev().find(of_group);
        if let Some((event, moved)) = last.and_then(|event| Some((event, event.moved.as_ref()?))) {
            return Ok(past(present, at, event, moved));
        }
        let first = state.events.front().map(|event| event.at);
        let group = &present.group;
        if present.epoch > Epoch(0) && present.since <= at {
            let text = format!(
                "{}; how the others were judged is no longer kept",
                present.text
            );
            return Ok(Explanation {
                at,
                past: true,
                text,
                candidates: Vec::new(),
                notes: Vec::new(),
                ..present
            });
        }
        Err(match first {
            Some(first) if first > at => format!(
                "the history kept begins at {}: nothing is known of {group} before",
                utc::text(first)
            ),
            Some(_) | None => format!("{group} had not been placed anywhere by then"),
        })
    }
}

fn past(present: Explanation, at: WallTime, event: &ClusterEvent, moved: &Moved) -> Explanation {
    let by = event
        .by
        .as_ref()
        .map(|by| format!(" (decided by {by})"))
        .unwrap_or_default();
    let owner = moved.owner.as_ref();
    Explanation {
        at,
        past: true,
        state: match (owner, event.kind.as_str()) {
            (Some(_), _) => GroupCondition::Running,
            (None, "displaced") => GroupCondition::Displaced,
            (None, _) => GroupCondition::Stopped,
        },
        owner: owner.cloned(),
        epoch: moved.epoch,
        since: event.at,
        pinned: None,
        text: if moved.candidates.is_empty() {
            format!(
                "{}{by}; how the others were judged is no longer kept",
                event.text
            )
        } else {
            format!("{}{by}", event.text)
        },
        candidates: moved.candidates.clone(),
        notes: Vec::new(),
        ..present
    }
}

/// Why it came where it is, and why it stays.
fn present_text(
    reason: &str,
    has_owner: bool,
    decided: &GroupState,
    decision: Option<&Decision>,
) -> String {
    let Some(decision) = decision else {
        return reason.to_owned();
    };
    if !has_owner && decided.owner.is_some() {
        return format!("it runs nowhere: {reason}");
    }
    match (&decided.owner, &decision.idle, decision.cause) {
        (None, Some(_), _) => {
            format!("it runs nowhere: {}", decision.reason)
        }
        (None, None, _) => format!("it is about to be placed: {}", decision.reason),
        (Some(_), _, None) if decision.reason == decided.reason => {
            format!("it is there because: {reason}")
        }
        (Some(_), _, None) => format!(
            "it came there because: {reason}; it stays because: {}",
            decision.reason
        ),
        (Some(_), _, Some(_)) => format!(
            "it came there because: {reason}; it is about to move: {}",
            decision.reason
        ),
    }
}

/// Everything that must change: the commands, then what is to be waited for.
fn all_of(changes: impl Iterator<Item = String>) -> String {
    let (waits, commands): (Vec<_>, Vec<_>) = changes.partition(|one| one.starts_with("when "));
    let waits: Vec<_> = waits.iter().map(|wait| &wait["when ".len()..]).collect();
    let (commands, waits) = (commands.join(" and "), waits.join(" and "));
    match (commands.is_empty(), waits.is_empty()) {
        (false, false) => format!("{commands}, and wait until {waits}"),
        (false, true) => commands,
        (true, _) => format!("when {waits}"),
    }
}

/// The report of a decision, in words.
#[must_use]
pub fn lines(decision: &Decision) -> Vec<CandidateLine> {
    let candidates = decision.candidates.iter();
    candidates
        .map(|candidate| line(&decision.group, candidate, &decision.reason))
        .collect()
}

fn line(group: &GroupName, candidate: &Candidate, reason: &str) -> CandidateLine {
    let (verdict, why, change) = match &candidate.verdict {
        Verdict::Chosen => (VerdictWord::Owner, reason.to_owned(), None),
        Verdict::Standby { why, change } => (VerdictWord::Standby, why.clone(), change.clone()),
        Verdict::Vetoed(vetoes) => {
            let why: Vec<_> = vetoes.iter().map(ToString::to_string).collect();
            let changes = vetoes
                .iter()
                .map(|veto| veto.change(group, &candidate.node));
            (VerdictWord::Refused, why.join("; "), Some(all_of(changes)))
        }
    };
    CandidateLine {
        node: candidate.node.clone(),
        rank: candidate.rank.clone(),
        verdict,
        why,
        change,
    }
}
