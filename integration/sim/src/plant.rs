//! Mistakes planted by hand: each alone breaks a promise, and proves that a checker sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use had_consensus::Plants;
use had_core::ids::{Epoch, GroupName, NodeName};
use had_core::plant::Plant;
use had_core::ports::Event;
use had_core::spec::PolicySpec;
use had_core::state::{Entry, Step};
use had_core::time::BootTime;
use had_policies::Cause;

/// One planted mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Planted {
    /// A leader takes a node for lost before its lease has ended.
    RecordEndedTooEarly,
    /// A new leader does not wait for what the former one granted.
    NewLeaderDoesNotHold,
    /// A lease counts before the decisions that it rests on are applied.
    IndexIgnored,
    /// Several appends on their way at once: old answers count as answers to newer requests.
    PipelinedAcknowledgement,
    /// A restarted leader leads on under its old vote, with its records forgotten.
    LeaderRestored,
    /// A former owner says that it released, and goes on.
    ReleaseNotBinding,
    /// Queues are ordered by name whenever one changes.
    QueueForgetsItsOrder,
    /// A later life of a daemon takes every queue from the file.
    QueueLostInARestart,
    /// A leader leaves the moves of displaced groups out of its entries.
    DisplacedStays,
    /// A later life of a daemon takes what a killed one left open for shut.
    InheritedGateForgotten,
}

impl Planted {
    /// Where it belongs into the core.
    #[must_use]
    pub fn in_core(self) -> Option<Plant> {
        match self {
            Self::RecordEndedTooEarly => Some(Plant::RecordEndedTooEarly),
            Self::NewLeaderDoesNotHold => Some(Plant::NewLeaderDoesNotHold),
            Self::IndexIgnored => Some(Plant::IndexIgnored),
            Self::ReleaseNotBinding => Some(Plant::ReleaseNotBinding),
            Self::PipelinedAcknowledgement
            | Self::LeaderRestored
            | Self::QueueForgetsItsOrder
            | Self::QueueLostInARestart
            | Self::DisplacedStays
            | Self::InheritedGateForgotten => None,
        }
    }

    /// What a daemon knows of the gates that a killed life left open.
    #[must_use]
    pub fn known(self, inherited: &BTreeMap<GroupName, BootTime>) -> BTreeMap<GroupName, BootTime> {
        if self == Self::InheritedGateForgotten {
            return BTreeMap::new();
        }
        inherited.clone()
    }

    /// Distorts what a daemon learns of an applied entry. `later`: the daemon was started before.
    pub fn distort(self, event: &mut Event, later: bool) {
        let Event::Applied { state, .. } = event else {
            return;
        };
        let forgets = match self {
            // In the order of the file they begin; the mistake is what becomes of them.
            Self::QueueForgetsItsOrder => state.groups.values().any(|group| group.epoch > Epoch(1)),
            Self::QueueLostInARestart => later,
            _ => false,
        };
        if !forgets {
            return;
        }
        let state = Arc::make_mut(state);
        let in_the_file =
            |group: &GroupName| match state.config.as_deref()?.spec.group(group)?.policy {
                PolicySpec::RotatingStandby { ref nodes } => Some(nodes.clone()),
                _ => None,
            };
        for (name, group) in &mut state.groups {
            match self {
                Self::QueueForgetsItsOrder => group.queue.sort(),
                _ => {
                    let order = in_the_file(name).unwrap_or_default();
                    let place = |node: &NodeName| order.iter().position(|one| one == node);
                    group.queue.sort_by_key(place);
                }
            }
        }
    }

    /// Spoils what a leader is about to propose.
    pub fn spoil(self, entry: &mut Entry) {
        if self == Self::DisplacedStays {
            entry.steps.retain(
                |step| !matches!(step, Step::Move(change) if change.cause == Cause::Displaced),
            );
        }
    }

    /// Where it belongs into the consensus.
    #[must_use]
    pub fn in_consensus(planted: Option<Self>) -> Plants {
        Plants {
            pipelined_append: planted == Some(Self::PipelinedAcknowledgement),
            leader_restore: planted == Some(Self::LeaderRestored),
        }
    }
}
