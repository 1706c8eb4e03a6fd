//! S1's sister for pairs of groups: a displaced group does not run beside the one that displaces it, groups that are apart
//! do not meet, and a follower runs only where the other does (0006, rules 5, 6 and 8).
//!
//! What is decided is a step behind what is planned while a decision is on its way, so that a state may hold a wrong pair
//! for a while. Three things are promised all the same:
//!
//! 1. No entry makes a pair wrong, unless the leader has another entry on its way that concerns one of the two groups or
//!    their node, or one of the two is in maintenance ([`makes_no_wrong`]).
//! 2. A wrong pair does not last for two seconds while every host is up, connected and has applied everything ([`Relations`]).
//! 3. None is left when faults have ceased and the cluster has healed ([`super::heals`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use had_core::ids::{GroupName, NodeName};
use had_core::spec::{ClusterSpec, PolicySpec};
use had_core::state::{Entry, State, Step};
use had_core::status::Status;

use super::Violation;

/// How long a wrong pair may last while all is well: some leases for an election and a hold, and room.
const LONGEST: Duration = Duration::from_secs(2);

/// Two groups that should not stand as they do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wrong {
    kind: Kind,
    /// The one that should not be there.
    pub group: GroupName,
    /// The one because of which it should not.
    pub other: GroupName,
    /// Where `group` is.
    pub node: NodeName,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Displaced,
    Apart,
    NotWith,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            group,
            other,
            node,
        } = self;
        match kind {
            Kind::Displaced => write!(f, "{group} is on {node} beside {other}, which displaces it"),
            Kind::Apart => write!(
                f,
                "{group} is on {node} beside {other}, which it is apart from"
            ),
            Kind::NotWith => write!(f, "{group} is on {node} without {other}, which it follows"),
        }
    }
}

fn broken(text: String) -> Violation {
    Violation {
        check: "relations",
        text,
    }
}

/// Who owns a group.
fn owner<'a>(state: &'a State, group: &GroupName) -> Option<&'a NodeName> {
    state.groups.get(group)?.owner.as_ref()
}

/// Every wrong pair of a decided state.
#[must_use]
pub fn wrongs(spec: &ClusterSpec, state: &State) -> BTreeSet<Wrong> {
    let mut wrongs = BTreeSet::new();
    let mut wrong = |kind, group: &GroupName, other: &GroupName, node: &NodeName| {
        wrongs.insert(Wrong {
            kind,
            group: group.clone(),
            other: other.clone(),
            node: node.clone(),
        });
    };
    for group in &spec.groups {
        let Some(node) = owner(state, &group.name) else {
            continue;
        };
        let here = |other: &&GroupName| owner(state, other) == Some(node);
        for other in group.policy.displaces().iter().filter(here) {
            wrong(Kind::Displaced, other, &group.name, node);
        }
        for other in group.apart_from.iter().filter(here) {
            wrong(Kind::Apart, &group.name, other, node);
        }
        for other in group.with.iter().filter(|other| !here(other)) {
            wrong(Kind::NotWith, &group.name, other, node);
        }
    }
    wrongs
}

/// A leader proposes an entry by the state that it has applied, while `others` of its entries are on their way.
///
/// # Errors
/// Where the entry makes a pair wrong without an excuse.
pub fn makes_no_wrong(
    spec: &ClusterSpec,
    state: &State,
    entry: &Entry,
    others: &[&Entry],
) -> Result<(), Violation> {
    let moves = entry.steps.iter().any(|step| matches!(step, Step::Move(_)));
    let related = spec.groups.iter().any(|group| {
        let others = [group.policy.displaces(), &group.apart_from, &group.with];
        others.iter().any(|others| !others.is_empty())
    });
    if !moves || !related {
        return Ok(());
    }
    let before = wrongs(spec, state);
    let mut after = state.clone();
    after.apply(entry);
    let excused = |wrong: &Wrong| {
        let maintained = [&wrong.group, &wrong.other].map(|group| state.in_maintenance(group));
        maintained.contains(&true)
            || others.iter().any(|entry| {
                entry.concerns().contains(&wrong.node)
                    || entry.steps.iter().any(|step| is_about(step, wrong))
            })
    };
    let mut made = wrongs(spec, &after).into_iter();
    match made.find(|wrong| !before.contains(wrong) && !excused(wrong)) {
        None => Ok(()),
        Some(wrong) => Err(broken(format!("an entry makes a pair wrong: {wrong}"))),
    }
}

fn is_about(step: &Step, wrong: &Wrong) -> bool {
    let group = match step {
        Step::Move(change) => Some(&change.group),
        Step::Confirm { group, .. } | Step::Pin { group, .. } | Step::Group { group, .. } => {
            Some(group)
        }
        Step::Maintenance { group, .. } => group.as_ref(),
        Step::Form { .. }
        | Step::Configure { .. }
        | Step::Lost { .. }
        | Step::Online { .. }
        | Step::Stalled { .. }
        | Step::Drain { .. } => None,
    };
    group.is_some_and(|group| *group == wrong.group || *group == wrong.other)
}

/// How long wrong pairs have stood.
#[derive(Debug, Default)]
pub struct Relations {
    since: BTreeMap<Wrong, u64>,
}

impl Relations {
    /// Looks at the newest decided state at a true time, often. `well`: every host is up, connected and has applied it.
    ///
    /// # Errors
    /// Where a pair has been wrong for too long although all was well.
    pub fn look(
        &mut self,
        spec: &ClusterSpec,
        state: &State,
        well: bool,
        now: u64,
    ) -> Result<(), Violation> {
        let excused = |wrong: &Wrong| {
            state.in_maintenance(&wrong.group) || state.in_maintenance(&wrong.other)
        };
        let mut now_wrong = wrongs(spec, state);
        now_wrong.retain(|wrong| well && !excused(wrong));
        self.since.retain(|wrong, _| now_wrong.contains(wrong));
        for wrong in now_wrong {
            let since = *self.since.entry(wrong.clone()).or_insert(now);
            let lasts = Duration::from_nanos(now - since);
            if lasts > LONGEST {
                return Err(broken(format!(
                    "for {lasts:?}, with every host well: {wrong}"
                )));
            }
        }
        Ok(())
    }
}

/// What a quorate node shows as degraded is what follows from the owners that it knows: a node that owns a group of mutual
/// takeover with another home, and the groups of that scheme there.
///
/// # Errors
/// What is marked and should not be, or the other way round.
pub fn marks(spec: &ClusterSpec, state: &State, status: &Status) -> Result<(), Violation> {
    let home = |group: &GroupName| match &spec.group(group)?.policy {
        PolicySpec::MutualTakeover { home, .. } => Some(home),
        PolicySpec::IdleStandby { .. }
        | PolicySpec::RotatingStandby { .. }
        | PolicySpec::SimpleFailover { .. } => None,
    };
    let is_degraded = |node: &NodeName| {
        let mut owned = state.owned_by(node);
        owned.any(|group| home(group).is_some_and(|home| home != node))
    };
    let mut lines = Vec::new();
    for node in &status.nodes {
        let name = node.name.to_string();
        lines.push((name, node.degraded.is_some(), is_degraded(&node.name)));
    }
    for group in &status.groups {
        let should =
            home(&group.name).is_some() && owner(state, &group.name).is_some_and(&is_degraded);
        lines.push((group.name.to_string(), group.degraded.is_some(), should));
    }
    match lines.into_iter().find(|(_, is, should)| is != should) {
        None => Ok(()),
        Some((name, is, _)) => Err(broken(format!(
            "{} shows {name} {} degraded",
            status.node,
            if is { "as" } else { "not as" }
        ))),
    }
}

#[cfg(test)]
mod tests {
    use had_core::ids::{ClusterId, CommandId, Epoch, ProcessId, VoterId};
    use had_core::message::Sender;
    use had_core::node::Node;
    use had_core::ports::Identity;
    use had_core::spec::{GroupSpec, Role};
    use had_core::state::{GroupState, Move};
    use had_core::status::Degraded;
    use had_core::time::{BootTime, MonoTime, Now, RawTime, WallTime};
    use had_policies::{Cause, Failback};

    use super::*;
    use crate::spec;

    /// g0 displaces g1, g2 is apart from g0, g3 follows g0.
    fn cluster() -> ClusterSpec {
        let simple = |displaces: Vec<GroupName>| PolicySpec::SimpleFailover {
            primary: "h1".into(),
            backup: "h2".into(),
            displaces,
            failback: Failback::Manual,
        };
        let mut groups: Vec<GroupSpec> = (0..4)
            .map(|number| spec::group(number, simple(Vec::new())))
            .collect();
        groups[0].policy = simple(vec!["g1".into()]);
        groups[2].apart_from.push("g0".into());
        groups[3].with.push("g0".into());
        let nodes = ["h1", "h2"].map(|name| spec::node(name, Role::Member));
        spec::file(nodes, groups).spec
    }

    /// "h1 h2 - h1": the owners of g0, g1, …
    fn owned(owners: &str) -> State {
        let mut state = State::default();
        for (number, owner) in owners.split_whitespace().enumerate() {
            let group = GroupState {
                owner: (owner != "-").then(|| owner.into()),
                ..GroupState::default()
            };
            state.groups.insert(format!("g{number}").into(), group);
        }
        state
    }

    fn entry(steps: Vec<Step>) -> Entry {
        let id = CommandId {
            process: ProcessId(1),
            number: 1,
        };
        Entry {
            id,
            at: WallTime(1),
            by: None,
            steps,
        }
    }

    fn moves(group: &str, from: &str, to: Option<&str>) -> Step {
        Step::Move(Move {
            group: group.into(),
            from: Some(from.into()),
            epoch: Epoch(0),
            to: to.map(Into::into),
            released: true,
            cause: Cause::Operator,
            reason: String::new(),
            pin: false,
            candidates: Vec::new(),
        })
    }

    #[test]
    fn each_kind_of_wrong_pair_is_seen_and_a_right_state_has_none() {
        let seen = |owners| {
            wrongs(&cluster(), &owned(owners))
                .into_iter()
                .map(|wrong| wrong.kind)
        };
        assert_eq!(seen("h1 h2 h2 h1").count(), 0);
        assert_eq!(seen("h1 - h2 -").count(), 0);
        assert_eq!(seen("h1 h1 h2 h1").collect::<Vec<_>>(), [Kind::Displaced]);
        assert_eq!(seen("h1 h2 h1 h1").collect::<Vec<_>>(), [Kind::Apart]);
        assert_eq!(seen("h1 h2 h2 h2").collect::<Vec<_>>(), [Kind::NotWith]);
        assert_eq!(seen("- h2 h2 h2").collect::<Vec<_>>(), [Kind::NotWith]);
    }

    #[test]
    fn an_entry_that_leaves_the_displaced_group_beside_its_displacer_needs_an_excuse() {
        let (spec, state) = (cluster(), owned("h1 h2 - -"));
        let forgets = entry(vec![moves("g0", "h1", Some("h2"))]);
        let whole = entry(vec![moves("g0", "h1", Some("h2")), moves("g1", "h2", None)]);
        let right = |state: &State, entry: &Entry, others: &[&Entry]| {
            makes_no_wrong(&spec, state, entry, others).is_ok()
        };
        assert!(right(&state, &whole, &[]));
        assert!(!right(&state, &forgets, &[]));
        let elsewhere = entry(vec![moves("g2", "h1", None)]);
        assert!(!right(&state, &forgets, &[&elsewhere]));
        let about_it = entry(vec![Step::Pin {
            group: "g1".into(),
            to: None,
        }]);
        assert!(right(&state, &forgets, &[&about_it]));
        let mut maintained = owned("h1 h2 - -");
        maintained.maintenance = true;
        assert!(right(&maintained, &forgets, &[]));
        let stays_wrong = entry(vec![moves("g3", "h2", Some("h1"))]);
        assert!(
            right(&owned("h1 h1 - h2"), &stays_wrong, &[]),
            "it was wrong before"
        );
    }

    #[test]
    fn a_wrong_pair_must_not_last_while_all_is_well() {
        let (spec, wrong, right) = (cluster(), owned("h1 h1 - -"), owned("h1 h2 - -"));
        let second = 1_000_000_000;
        let mut check = Relations::default();
        let mut look =
            |state, well, seconds: u64| check.look(&spec, state, well, seconds * second).is_ok();
        assert!(look(&wrong, true, 0) && look(&wrong, true, 2));
        assert!(look(&right, true, 3), "over in time");
        assert!(look(&wrong, true, 4) && look(&wrong, false, 5) && look(&wrong, true, 7));
        assert!(look(&wrong, true, 9));
        assert!(!look(&wrong, true, 10));
    }

    /// What h1 shows of a group of mutual takeover at home on h1, before anybody is marked.
    fn shown(policy: PolicySpec) -> (ClusterSpec, Status) {
        let nodes = ["h1", "h2"].map(|name| spec::node(name, Role::Member));
        let config = spec::file(nodes, vec![spec::group(0, policy)]);
        let sender = Sender {
            node: "h1".into(),
            voter: VoterId(1),
            process: ProcessId(1),
            cluster: ClusterId(0),
        };
        let now = Now {
            boot: BootTime(1),
            mono: MonoTime(1),
            raw: RawTime(1),
            wall: WallTime(1),
        };
        let node = Node::new(
            Identity {
                sender,
                gate: "bpf".to_owned(),
                supervised: false,
            },
            config.clone(),
            &BTreeMap::new(),
            now,
        );
        (config.spec, node.status(now))
    }

    #[test]
    fn who_carries_anothers_work_is_marked_and_nobody_else() {
        let (spec, plain) = shown(PolicySpec::MutualTakeover {
            home: "h1".into(),
            partners: vec!["h2".into()],
            failback: Failback::Manual,
        });
        let degraded = || {
            Some(Degraded {
                reason: String::new(),
                since: WallTime(1),
            })
        };
        let mut marked = plain.clone();
        marked.nodes[1].degraded = degraded();
        let mut half = marked.clone();
        marked.groups[0].degraded = degraded();
        let right = |owners, status: &Status| marks(&spec, &owned(owners), status).is_ok();
        assert!(right("h1", &plain) && right("h2", &marked));
        assert!(!right("h2", &plain) && !right("h1", &marked));
        assert!(!right("h2", &half), "the group is not");
        half.nodes.swap(0, 1);
        half.nodes[0].name = "h1".into();
        assert!(!right("h1", &half), "the wrong node is");
    }
}
