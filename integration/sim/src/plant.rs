//! Mistakes planted by hand: each alone breaks a promise, and proves that a checker sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use had_consensus::Plants;
use had_core::ids::{Epoch, GroupName, NodeName};
use had_core::plant::Plant;
use had_core::ports::Event;
use had_core::spec::PolicySpec;
use had_core::state::{Configuration, Entry, State, Step};
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
    /// A lease counts from the receipt of its grant, not from when it was asked for.
    LeaseCountedFromReceipt,
    /// A new leader's hold is shortened by what it has waited since it was last granted its own lease.
    HoldShortened,
    /// A leader decides about a node, and revokes its lease only when the decision is applied.
    DecidedInTwoSteps,
    /// The index of a grant leaves out what this leader has proposed about the node.
    OwnProposalsLeftOut,
    /// A second host under the name of a node is taken in while the first one's lease runs.
    SameNameTwice,
    /// A host with an empty disk takes part as the voter that it was.
    WipedVotesUnderItsOldId,
    /// Another length of the lease rules at once, though leases of the former one still run.
    LeaseLengthChangedAtOnce,
    /// The gate counts from the write of a deadline: a late write opens it.
    RelativeGateTimeout,
    /// The gate goes with the daemon that put it up: where that is killed, its addresses pass.
    UnpinnedGate,
    /// A snapshot leaves the queues out.
    QueueLostInASnapshot,
    /// A gate shuts a moment after it was said to be shut.
    StopConfirmedBeforeItHappened,
    /// A vote is on the disk some time after it was given.
    VoteWrittenAfterItWasSent,
    /// The guard ends with the daemon.
    GuardDiesWithTheDaemon,
    /// A killed life's guard goes on beside the new one.
    SeatNotTaken,
    /// A new guard does not know until when what a killed life left is open.
    LedgerNotSeeded,
    /// A guard is not charged with what a killed life left.
    InheritedUncharged,
    /// A later life of a daemon says that an address is up, and puts none on.
    UpThoughItIsNot,
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
            Self::LeaseCountedFromReceipt => Some(Plant::LeaseCountedFromReceipt),
            Self::HoldShortened => Some(Plant::HoldShortened),
            Self::DecidedInTwoSteps => Some(Plant::DecidedInTwoSteps),
            Self::OwnProposalsLeftOut => Some(Plant::OwnProposalsLeftOut),
            Self::SameNameTwice => Some(Plant::SameNameTwice),
            Self::PipelinedAcknowledgement
            | Self::LeaderRestored
            | Self::QueueForgetsItsOrder
            | Self::QueueLostInARestart
            | Self::DisplacedStays
            | Self::InheritedGateForgotten
            | Self::WipedVotesUnderItsOldId
            | Self::LeaseLengthChangedAtOnce
            | Self::RelativeGateTimeout
            | Self::UnpinnedGate
            | Self::QueueLostInASnapshot
            | Self::StopConfirmedBeforeItHappened
            | Self::VoteWrittenAfterItWasSent
            | Self::GuardDiesWithTheDaemon
            | Self::SeatNotTaken
            | Self::LedgerNotSeeded
            | Self::InheritedUncharged
            | Self::UpThoughItIsNot => None,
        }
    }

    /// The checks that it proves: it counts as found where one of these sees it. That a group does not run, or that an engine
    /// notices the mistake by itself, proves no check of safety.
    #[must_use]
    pub fn proves(self) -> &'static [&'static str] {
        match self {
            Self::QueueForgetsItsOrder | Self::QueueLostInARestart | Self::QueueLostInASnapshot => {
                &["fifo"]
            }
            Self::DisplacedStays => &["relations"],
            Self::GuardDiesWithTheDaemon
            | Self::SeatNotTaken
            | Self::LedgerNotSeeded
            | Self::InheritedUncharged => &["guarded"],
            Self::UpThoughItIsNot => &["heals"],
            Self::PipelinedAcknowledgement => &["quorum_clock", "single_owner"],
            Self::WipedVotesUnderItsOldId | Self::VoteWrittenAfterItWasSent => {
                &["decided_moves", "quorum_clock", "single_owner"]
            }
            Self::RecordEndedTooEarly
            | Self::NewLeaderDoesNotHold
            | Self::IndexIgnored
            | Self::LeaderRestored
            | Self::ReleaseNotBinding
            | Self::InheritedGateForgotten
            | Self::LeaseCountedFromReceipt
            | Self::HoldShortened
            | Self::DecidedInTwoSteps
            | Self::OwnProposalsLeftOut
            | Self::SameNameTwice
            | Self::LeaseLengthChangedAtOnce
            | Self::RelativeGateTimeout
            | Self::UnpinnedGate
            | Self::StopConfirmedBeforeItHappened => &["single_owner"],
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

    /// Spoils what a leader is about to propose, by the state that it has applied and its own file.
    pub fn spoil(self, entry: &mut Entry, state: &State, file: &Configuration) {
        match self {
            Self::DisplacedStays => entry.steps.retain(
                |step| !matches!(step, Step::Move(change) if change.cause == Cause::Displaced),
            ),
            Self::LeaseLengthChangedAtOnce => {
                let timing = file.spec.timing;
                let Some(config) = state.config.as_deref() else {
                    return;
                };
                if config.spec.timing != timing {
                    let mut config = config.clone();
                    config.spec.timing = timing;
                    let config = Arc::new(config);
                    entry.steps.push(Step::Configure { config });
                }
            }
            _ => {}
        }
    }

    /// Where it belongs into the consensus.
    #[must_use]
    pub fn in_consensus(planted: Option<Self>) -> Plants {
        Plants {
            pipelined_append: planted == Some(Self::PipelinedAcknowledgement),
            leader_restore: planted == Some(Self::LeaderRestored),
            late_vote: planted == Some(Self::VoteWrittenAfterItWasSent),
        }
    }
}

/// A snapshot whose queues are empty.
pub(crate) fn without_queues(snapshot: &[u8]) -> Vec<u8> {
    let mut state: State = serde_json::from_slice(snapshot).expect("a replica wrote it");
    for group in state.groups.values_mut() {
        group.queue.clear();
    }
    serde_json::to_vec(&state).expect("a state has only text keys")
}
