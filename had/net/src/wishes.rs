//! What the daemon wants, as it stands: writing it never waits, and however often it changes, it takes no more room than
//! there are virtual IPs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use had_core::ids::{GroupName, ResourceName};
use had_core::spec::VipSpec;
use tokio::sync::Notify;

/// Names one virtual IP.
pub(crate) type Key = (GroupName, ResourceName);

/// What is wanted of one virtual IP.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wish {
    pub(crate) up: bool,
    /// Counts the wishes: each is answered, also one that changes nothing.
    pub(crate) asked: u64,
    /// The last wish that asked for a probe, by its number.
    pub(crate) probe: Option<u64>,
}

/// Everything that is wanted.
#[derive(Clone, Default, Debug)]
pub(crate) struct Wishes {
    /// The virtual IPs of the file, with what is wanted of each.
    pub(crate) vips: BTreeMap<Key, (VipSpec, Wish)>,
    /// The groups that are announced; the number counts the bursts asked for.
    pub(crate) announced: BTreeMap<GroupName, u64>,
    /// The groups whose addresses are neither put on nor taken off: an operator takes care of them.
    pub(crate) hands_off: BTreeSet<GroupName>,
    /// Counts the configurations: after each, everything is told anew.
    pub(crate) configured: u64,
    /// Take everything down and end.
    pub(crate) shutdown: bool,
}

/// Where the daemon leaves its wishes for the adapter.
#[derive(Default)]
pub(crate) struct Desk {
    wishes: Mutex<Wishes>,
    changed: Notify,
}

impl Desk {
    /// Changes what is wanted and wakes the adapter.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Wishes) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_one();
        result
    }

    /// What is wanted now.
    pub(crate) fn read(&self) -> Wishes {
        self.lock().clone()
    }

    /// Waits until something was written since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Every change is one assignment, so the wishes of a panicked thread are whole.
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    /// Replaces the virtual IPs; what is wanted of those that stay is kept.
    pub(crate) fn configure(&mut self, vips: Vec<(GroupName, ResourceName, VipSpec)>) {
        self.configured += 1;
        let mut old = std::mem::take(&mut self.vips);
        for (group, resource, spec) in vips {
            let key = (group, resource);
            let wish = old
                .remove(&key)
                .map_or_else(Wish::default, |(_, wish)| wish);
            self.vips.insert(key, (spec, wish));
        }
        let groups: Vec<_> = self.vips.keys().map(|(group, _)| group).collect();
        self.announced.retain(|group, _| groups.contains(&group));
        self.hands_off.retain(|group| groups.contains(&group));
    }

    /// What these groups have is wanted and left alone until the daemon says otherwise.
    pub(crate) fn inherit(&mut self, groups: &BTreeSet<GroupName>) {
        let keys: Vec<_> = self.vips.keys().cloned().collect();
        for key in keys.iter().filter(|(group, _)| groups.contains(group)) {
            self.want(key, true, false);
            self.hands_off.insert(key.0.clone());
        }
    }

    /// False where no such virtual IP is configured.
    pub(crate) fn want(&mut self, key: &Key, up: bool, probe: bool) -> bool {
        let Some((_, wish)) = self.vips.get_mut(key) else {
            return false;
        };
        wish.up = up;
        wish.asked += 1;
        wish.probe = (up && probe).then_some(wish.asked);
        true
    }

    /// False where the group has no virtual IP.
    pub(crate) fn announce(&mut self, group: &GroupName, on: bool) -> bool {
        if !self.vips.keys().any(|(of, _)| of == group) {
            return false;
        }
        if on {
            *self.announced.entry(group.clone()).or_default() += 1;
        } else {
            self.announced.remove(group);
            // From here on another owner may answer.
            for ((of, _), (_, wish)) in &mut self.vips {
                if of == group {
                    wish.probe = None;
                }
            }
        }
        true
    }
}

impl Wishes {
    /// The addresses that nobody touches.
    pub(crate) fn untouched(&self) -> BTreeSet<IpAddr> {
        let of_group = |((group, _), (spec, _)): (&Key, &(VipSpec, Wish))| {
            self.hands_off.contains(group).then_some(spec.address)
        };
        self.vips.iter().filter_map(of_group).collect()
    }
}

#[cfg(test)]
mod tests {
    use had_core::spec::InterfaceSpec;

    use super::*;

    fn vip(group: &str, address: &str) -> (GroupName, ResourceName, VipSpec) {
        let address = address.parse().unwrap();
        let spec = VipSpec {
            address,
            prefix: 24,
            interface: InterfaceSpec::BySubnet,
        };
        (group.into(), "vip".into(), spec)
    }

    #[test]
    fn a_new_configuration_keeps_the_wishes_of_what_stays() {
        let mut wishes = Wishes::default();
        wishes.configure(vec![vip("web", "10.77.0.100"), vip("mail", "10.77.0.101")]);
        for group in ["web", "mail"] {
            assert!(wishes.want(&(group.into(), "vip".into()), true, false));
            assert!(wishes.announce(&group.into(), true));
        }
        wishes.configure(vec![vip("web", "10.77.0.100"), vip("new", "10.77.0.102")]);
        let up: Vec<_> = wishes.vips.values().map(|(_, wish)| wish.up).collect();
        assert_eq!(up, [false, true]);
        assert_eq!(wishes.announced.len(), 1);
        assert!(!wishes.want(&("mail".into(), "vip".into()), true, false));
        assert!(!wishes.announce(&"mail".into(), true));
    }
}
