//! S1: at no moment are the gates of one group open on two nodes.
//!
//! A gate opens only by a write, and once its deadline has passed it stays shut until the next one: so two open gates
//! overlap if, and only if, at one of the two writes the other gate is open. Looking at every write misses no moment.
//!
//! S1 is given up where the file says so: a group with `on_quorum_loss = "keep"` goes on without a majority, and
//! another node may serve it too. Its gates are noted, and not compared; exactly those groups are left out.

use std::collections::{BTreeMap, BTreeSet};

use had_core::ids::GroupName;
use had_core::spec::{ClusterSpec, OnQuorumLoss};
use had_core::time::BootTime;

use super::Violation;

/// The deadlines in every kernel.
#[derive(Debug, Default)]
pub struct SingleOwner {
    deadlines: BTreeMap<GroupName, BTreeMap<usize, BootTime>>,
    /// Groups that go on without a quorum, as their file asks.
    given_up: BTreeSet<GroupName>,
}

impl SingleOwner {
    /// All gates of a cluster, shut.
    #[must_use]
    pub fn of(spec: &ClusterSpec) -> Self {
        let keep = spec
            .groups
            .iter()
            .filter(|group| group.on_quorum_loss == OnQuorumLoss::Keep);
        Self {
            deadlines: BTreeMap::new(),
            given_up: keep.map(|group| group.name.clone()).collect(),
        }
    }

    /// A kernel's deadline was written. `clock` reads each host's `CLOCK_BOOTTIME` at this true time.
    ///
    /// # Errors
    /// Where another host's gate is open while this one is.
    pub fn written(
        &mut self,
        group: &GroupName,
        host: usize,
        until: BootTime,
        clock: impl Fn(usize) -> BootTime,
    ) -> Result<(), Violation> {
        let deadlines = self.deadlines.entry(group.clone()).or_default();
        deadlines.insert(host, until);
        if until <= clock(host) || self.given_up.contains(group) {
            return Ok(());
        }
        let other = deadlines
            .iter()
            .find(|(other, deadline)| **other != host && **deadline > clock(**other));
        match other {
            None => Ok(()),
            Some((other, deadline)) => Err(Violation {
                check: "single_owner",
                text: format!(
                    "host {} opens the gate of {group} while host {}'s is open for another {:?}",
                    host + 1,
                    other + 1,
                    deadline.since(clock(*other)),
                ),
            }),
        }
    }

    /// Whether a host's gate is open.
    #[must_use]
    pub fn is_open(&self, group: &GroupName, host: usize, boot: BootTime) -> bool {
        self.deadlines
            .get(group)
            .and_then(|deadlines| deadlines.get(&host))
            .is_some_and(|deadline| *deadline > boot)
    }

    /// Whether a daemon has not shut the gate since it opened it: it may have fallen silent by itself meanwhile.
    #[must_use]
    pub fn is_held(&self, group: &GroupName, host: usize) -> bool {
        self.deadlines
            .get(group)
            .and_then(|deadlines| deadlines.get(&host))
            .is_some_and(|deadline| *deadline != BootTime::ZERO)
    }

    /// A host lost its power, and its kernel's memory with it.
    pub fn power_lost(&mut self, host: usize) {
        for deadlines in self.deadlines.values_mut() {
            deadlines.remove(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use had_core::spec::PolicySpec;

    use super::*;

    #[test]
    fn two_gates_open_at_once_are_seen_whichever_opened_first() {
        let group = GroupName::from("web");
        let mut check = SingleOwner::default();
        let at = |now: u64| move |_: usize| BootTime(now);
        assert_eq!(check.written(&group, 0, BootTime(100), at(10)), Ok(()));
        assert_eq!(
            check.written(&group, 1, BootTime(200), at(100)),
            Ok(()),
            "the first has just ended"
        );
        assert!(check.written(&group, 0, BootTime(150), at(110)).is_err());
    }

    #[test]
    fn a_group_that_goes_on_without_a_quorum_is_left_out_and_no_other() {
        let standby = |number| {
            let nodes = vec!["h1".into(), "h2".into()];
            crate::spec::group(number, PolicySpec::RotatingStandby { nodes })
        };
        let mut groups = vec![standby(0), standby(1)];
        groups[0].on_quorum_loss = OnQuorumLoss::Keep;
        let mut check = SingleOwner::of(&crate::spec::file([], groups).spec);
        let at = |now: u64| move |_: usize| BootTime(now);
        let mut both = |group: &str| {
            check
                .written(&group.into(), 0, BootTime(100), at(10))
                .unwrap();
            check
                .written(&group.into(), 1, BootTime(100), at(10))
                .is_ok()
        };
        assert!(both("g0"));
        assert!(!both("g1"));
    }

    #[test]
    fn a_late_write_a_shut_gate_and_a_dead_host_overlap_with_nothing() {
        let group = GroupName::from("web");
        let mut check = SingleOwner::default();
        let at = |now: u64| move |_: usize| BootTime(now);
        check.written(&group, 0, BootTime(1_000), at(10)).unwrap();
        assert_eq!(
            check.written(&group, 1, BootTime(20), at(30)),
            Ok(()),
            "late"
        );
        check.written(&group, 0, BootTime::ZERO, at(40)).unwrap();
        assert_eq!(
            check.written(&group, 1, BootTime(1_000), at(50)),
            Ok(()),
            "shut"
        );
        check.power_lost(1);
        assert_eq!(
            check.written(&group, 0, BootTime(1_000), at(60)),
            Ok(()),
            "dead"
        );
    }
}
