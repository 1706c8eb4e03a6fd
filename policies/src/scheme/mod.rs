//! The four schemes: which nodes may own a group, in which order each prefers them, and how that is said.
//!
//! One file a scheme, with the same three functions: `ranked` (its nodes, best first), `first` (why the chosen one comes
//! first) and `behind` (why another does not).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failback::Failback;
use crate::field::{Field, Judged};
use crate::names::NodeName;
use crate::places::Places;
use crate::view::GroupView;
use crate::words;

mod idle_standby;
mod mutual_takeover;
mod rotating_standby;
mod simple_failover;

pub(crate) use rotating_standby::rotate;

/// What a scheme thinks of a node.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    /// The node.
    pub(crate) node: NodeName,
    /// What a failback looks at; higher is better. The rest of the order never moves a group.
    pub(crate) preference: i64,
    /// Nodes of the same level are ordered by name or by their place in the file alone.
    pub(crate) level: usize,
    /// "priority 200".
    pub(crate) words: String,
    /// What it would carry of its capacity, where that orders the nodes: "3 of 4".
    pub(crate) burden: Option<String>,
}

/// A scheme with the parameters that matter for placement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "scheme")]
pub enum Scheme {
    /// The eligible standby of highest priority takes over; ties by name.
    IdleStandby {
        /// Priorities of the nodes that may own the group; higher is better.
        priorities: BTreeMap<NodeName, i64>,
        /// When it returns to a preferred node.
        failback: Failback,
    },
    /// The node that has stood by longest takes over; it never fails back.
    RotatingStandby {
        /// The nodes that may own the group, in the order of the file.
        nodes: Vec<NodeName>,
    },
    /// The backup takes over from the primary.
    SimpleFailover {
        /// Where the group belongs.
        primary: NodeName,
        /// Who takes over.
        backup: NodeName,
        /// When it returns to the primary.
        failback: Failback,
    },
    /// The partner that carries least against its capacity takes over, beside its own work.
    MutualTakeover {
        /// Where the group belongs.
        home: NodeName,
        /// Who takes over, in the order of the file.
        partners: Vec<NodeName>,
        /// When it returns home.
        failback: Failback,
    },
}

impl Scheme {
    /// Every node that may own the group, each once, in the order of the file (idle-standby: by name).
    #[must_use]
    pub fn nodes(&self) -> Vec<&NodeName> {
        let named: Vec<&NodeName> = match self {
            Self::IdleStandby { priorities, .. } => priorities.keys().collect(),
            Self::RotatingStandby { nodes } => nodes.iter().collect(),
            Self::SimpleFailover {
                primary, backup, ..
            } => vec![primary, backup],
            Self::MutualTakeover { home, partners, .. } => {
                std::iter::once(home).chain(partners).collect()
            }
        };
        let mut once: Vec<&NodeName> = Vec::with_capacity(named.len());
        for node in named {
            if !once.contains(&node) {
                once.push(node);
            }
        }
        once
    }

    /// Whether a node may own the group.
    #[must_use]
    pub fn lists(&self, node: &NodeName) -> bool {
        self.nodes().contains(&node)
    }

    /// When the group returns to a node that the scheme prefers. A rotating group has none to return to.
    #[must_use]
    pub fn failback(&self) -> Failback {
        match self {
            Self::IdleStandby { failback, .. }
            | Self::SimpleFailover { failback, .. }
            | Self::MutualTakeover { failback, .. } => *failback,
            Self::RotatingStandby { .. } => Failback::Manual,
        }
    }

    /// The name of the scheme in the cluster file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::IdleStandby { .. } => "idle-standby",
            Self::RotatingStandby { .. } => "rotating-standby",
            Self::SimpleFailover { .. } => "simple-failover",
            Self::MutualTakeover { .. } => "mutual-takeover",
        }
    }

    /// Whether a queue orders its nodes.
    pub(crate) fn rotates(&self) -> bool {
        match self {
            Self::RotatingStandby { .. } => true,
            Self::IdleStandby { .. }
            | Self::SimpleFailover { .. }
            | Self::MutualTakeover { .. } => false,
        }
    }

    /// The nodes of a group in the scheme's order, vetoed ones too.
    pub(crate) fn ranked(
        &self,
        places: &Places,
        index: usize,
        stays: Option<&NodeName>,
    ) -> Vec<Ranked> {
        let listed = self.nodes();
        match self {
            Self::IdleStandby { priorities, .. } => idle_standby::ranked(priorities),
            Self::RotatingStandby { .. } => {
                rotating_standby::ranked(&places.view.groups[index], &listed, stays)
            }
            Self::SimpleFailover {
                primary, backup, ..
            } => simple_failover::ranked(primary, backup),
            Self::MutualTakeover { home, .. } => {
                mutual_takeover::ranked(places, index, home, &listed, stays)
            }
        }
    }
}

/// Why a node comes first among the eligible; says so where only the name or the place decided. `told` is a node of
/// which the reason has already told why it does not have the group.
pub(crate) fn first(
    group: &GroupView,
    field: &Field,
    chosen: &Judged,
    told: Option<&NodeName>,
) -> String {
    let owner = group.owner.as_ref();
    let alone = field.all().count() > 1 && field.best_but(chosen.node()).is_none();
    if !field.follows().is_empty() {
        let followed = words::and(field.follows());
        return match owner == Some(chosen.node()) {
            true => format!("it follows {followed}"),
            false => format!("it follows {followed} to {}", chosen.node()),
        };
    }
    if chosen.pinned {
        return "pinned by an operator".to_owned();
    }
    let first = match &group.scheme {
        Scheme::IdleStandby { .. } if field.all().count() == 1 => {
            "the only node of the group".to_owned()
        }
        Scheme::IdleStandby { .. } => idle_standby::first(field, chosen, alone, told),
        Scheme::RotatingStandby { .. } => rotating_standby::first(field, chosen, owner),
        Scheme::SimpleFailover { primary, .. } => {
            simple_failover::first(field, chosen, primary, told)
        }
        Scheme::MutualTakeover { home, .. } => {
            mutual_takeover::first(field, chosen, home, owner, told)
        }
    };
    match passed_over(field, chosen) {
        Some(why) => {
            let where_all = "among the nodes where all that go with it can run";
            format!("{}; {why}", first.replace("among the eligible", where_all))
        }
        None => first,
    }
}

/// A node that would come before the chosen one but for a group that follows and could not run there.
fn passed_over(field: &Field, chosen: &Judged) -> Option<String> {
    let passed = field.eligible().find(|judged| {
        (!judged.pinned, judged.place) < (!chosen.pinned, chosen.place) && chosen.hindered.is_none()
    })?;
    let hindered = words::hindered(passed.hindered.as_ref()?, passed.node());
    Some(format!("not on {}: {hindered}", passed.node()))
}

/// Why an eligible node comes after the chosen one.
pub(crate) fn behind(group: &GroupView, judged: &Judged, chosen: &Judged) -> String {
    match &group.scheme {
        Scheme::IdleStandby { .. } => idle_standby::behind(judged, chosen),
        Scheme::RotatingStandby { .. } => rotating_standby::behind(judged, chosen),
        Scheme::SimpleFailover { .. } => simple_failover::behind(chosen),
        Scheme::MutualTakeover { home, .. } => mutual_takeover::behind(judged, chosen, home),
    }
}

/// The eligible nodes level with one, in words, and whether it comes before all of them.
fn level_with(field: &Field, chosen: &Judged) -> (String, bool) {
    let tied: Vec<&Judged> = field
        .eligible()
        .filter(|other| other.node() != chosen.node() && other.ties(chosen))
        .collect();
    let first = tied.iter().all(|other| chosen.place < other.place);
    let names: Vec<&NodeName> = tied.into_iter().map(Judged::node).collect();
    (words::and(&names), first)
}
