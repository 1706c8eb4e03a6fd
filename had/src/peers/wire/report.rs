//! A node's report on itself.

use std::collections::BTreeMap;
use std::time::Duration;

use had_core::ids::{Epoch, GroupName, NodeName, ResourceName};
use had_core::message::{GroupReport, Phase, Report, ResourceReport, ResourceState};
use had_core::stall::{Cause, Stall, Told};
use had_core::time::{WallTime, nanos};
use had_proto::v1;

use super::WireError;

pub(super) fn encode(report: &Report) -> v1::Report {
    v1::Report {
        applied: report.applied,
        config_hash: report.config_hash.clone(),
        leaving: report.leaving,
        hears: report
            .hears
            .iter()
            .map(|node| node.as_str().to_owned())
            .collect(),
        gate: report.gate.clone(),
        supervised: report.supervised,
        guarded: report.guarded,
        stalled: report.stalled.map(encode_stall),
        groups: report
            .groups
            .iter()
            .map(|(name, group)| encode_group(name, group))
            .collect(),
    }
}

pub(super) fn decode(report: v1::Report) -> Result<Report, WireError> {
    let mut groups = BTreeMap::new();
    for group in report.groups {
        let name = GroupName::from(group.group.as_str());
        if groups.insert(name.clone(), decode_group(group)?).is_some() {
            return Err(WireError::Twice(name));
        }
    }
    Ok(Report {
        applied: report.applied,
        config_hash: report.config_hash,
        leaving: report.leaving,
        hears: report.hears.into_iter().map(NodeName::from).collect(),
        gate: report.gate,
        supervised: report.supervised,
        guarded: report.guarded,
        stalled: report.stalled.and_then(decode_stall),
        groups,
    })
}

fn encode_stall(told: Told) -> v1::Stall {
    let cause = match told.stall.cause {
        Cause::Frozen => v1::StallCause::Frozen,
        Cause::Busy => v1::StallCause::Busy,
        Cause::Starved => v1::StallCause::Starved,
        Cause::Paused => v1::StallCause::Paused,
        Cause::Suspended => v1::StallCause::Suspended,
    };
    v1::Stall {
        number: told.number,
        lasted_ns: nanos(told.stall.lasted),
        cause: cause.into(),
        lapsed: told.lapsed,
    }
}

/// `None` where a later version knows a cause that this one does not: it is told to people, and nothing rests on it.
fn decode_stall(stall: v1::Stall) -> Option<Told> {
    let cause = match v1::StallCause::try_from(stall.cause) {
        Ok(v1::StallCause::Frozen) => Cause::Frozen,
        Ok(v1::StallCause::Busy) => Cause::Busy,
        Ok(v1::StallCause::Starved) => Cause::Starved,
        Ok(v1::StallCause::Paused) => Cause::Paused,
        Ok(v1::StallCause::Suspended) => Cause::Suspended,
        Ok(v1::StallCause::Unspecified) | Err(_) => return None,
    };
    Some(Told {
        number: stall.number,
        stall: Stall {
            lasted: Duration::from_nanos(stall.lasted_ns),
            cause,
        },
        lapsed: stall.lapsed,
    })
}

fn encode_group(name: &GroupName, group: &GroupReport) -> v1::GroupReport {
    v1::GroupReport {
        group: name.as_str().to_owned(),
        epoch: group.epoch.0,
        phase: encode_phase(group.phase).into(),
        since_ns: group.since.0,
        not_ready: group.not_ready.clone(),
        banned: group.banned.clone(),
        claimed: group.claimed.clone(),
        released: group.released.map(|epoch| epoch.0),
        given_up: group.given_up.clone(),
        resources: group.resources.iter().map(encode_resource).collect(),
    }
}

fn decode_group(group: v1::GroupReport) -> Result<GroupReport, WireError> {
    Ok(GroupReport {
        epoch: Epoch(group.epoch),
        phase: decode_phase(group.phase)?,
        since: WallTime(group.since_ns),
        not_ready: group.not_ready,
        banned: group.banned,
        claimed: group.claimed,
        released: group.released.map(Epoch),
        given_up: group.given_up,
        resources: group
            .resources
            .into_iter()
            .map(decode_resource)
            .collect::<Result<_, _>>()?,
    })
}

fn encode_phase(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Idle => v1::Phase::Idle,
        Phase::Starting => v1::Phase::Starting,
        Phase::Prepared => v1::Phase::Prepared,
        Phase::Running => v1::Phase::Running,
        Phase::Stopping => v1::Phase::Stopping,
    }
}

fn decode_phase(number: i32) -> Result<Phase, WireError> {
    Ok(match v1::Phase::try_from(number) {
        Ok(v1::Phase::Idle) => Phase::Idle,
        Ok(v1::Phase::Starting) => Phase::Starting,
        Ok(v1::Phase::Prepared) => Phase::Prepared,
        Ok(v1::Phase::Running) => Phase::Running,
        Ok(v1::Phase::Stopping) => Phase::Stopping,
        Ok(v1::Phase::Unspecified) | Err(_) => {
            return Err(WireError::Unknown {
                message: "a report",
                field: "phase",
                number,
            });
        }
    })
}

fn encode_resource(resource: &ResourceReport) -> v1::ResourceReport {
    let state = match resource.state {
        ResourceState::Stopped => v1::ResourceState::Stopped,
        ResourceState::Starting => v1::ResourceState::Starting,
        ResourceState::Running => v1::ResourceState::Running,
        ResourceState::Failed => v1::ResourceState::Failed,
    };
    v1::ResourceReport {
        name: resource.name.as_str().to_owned(),
        state: state.into(),
        detail: resource.detail.clone(),
    }
}

fn decode_resource(resource: v1::ResourceReport) -> Result<ResourceReport, WireError> {
    let number = resource.state;
    let state = match v1::ResourceState::try_from(number) {
        Ok(v1::ResourceState::Stopped) => ResourceState::Stopped,
        Ok(v1::ResourceState::Starting) => ResourceState::Starting,
        Ok(v1::ResourceState::Running) => ResourceState::Running,
        Ok(v1::ResourceState::Failed) => ResourceState::Failed,
        Ok(v1::ResourceState::Unspecified) | Err(_) => {
            return Err(WireError::Unknown {
                message: "a report",
                field: "resource state",
                number,
            });
        }
    };
    Ok(ResourceReport {
        name: ResourceName::from(resource.name),
        state,
        detail: resource.detail,
    })
}
