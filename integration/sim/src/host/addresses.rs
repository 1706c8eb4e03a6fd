//! A host's addresses and gates: in the kernel, as the daemon wishes them, and as a later life of it finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use had_core::ids::{GroupName, NodeName, ResourceName};
use had_core::lease;
use had_core::ports::{Event, ResourceStatus};
use had_core::spec::{ClusterSpec, GroupSpec};
use had_core::state::State;
use had_core::time::BootTime;
use openraft_rt::AsyncRuntime;

use super::Host;
use crate::cluster::Cluster;
use crate::plant::Planted;
use crate::runtime::{SimRuntime, spawn_on};

/// To put an address up or take it down.
const ADDRESS_US: std::ops::Range<u64> = 150..2_500;

/// Names one address.
pub(super) type Key = (GroupName, ResourceName);

/// What is wanted of an address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// The latest counts; zero where nothing was ever wanted.
    number: u64,
    up: bool,
}

impl Wish {
    /// What a later life wants of what it found.
    pub(super) const FOUND: Self = Self {
        number: 1,
        up: true,
    };
}

/// The addresses of the groups that a node may own, and of those to which it is bound although a later file does not list it.
pub(super) fn of_node(spec: &ClusterSpec, node: &NodeName, state: &State) -> BTreeSet<Key> {
    let groups = spec.groups.iter();
    groups
        .filter(|group| group.policy.nodes().contains(&node) || state.is_bound(node, &group.name))
        .flat_map(|group| {
            let resources = group.resources.iter();
            resources.map(|resource| (group.name.clone(), resource.name.clone()))
        })
        .collect()
}

/// What each group of a file has: what its slot of the gate guards.
fn guarded(spec: &ClusterSpec) -> BTreeMap<GroupName, BTreeSet<ResourceName>> {
    let groups = spec.groups.iter();
    groups
        .map(|group| {
            let resources = group.resources.iter();
            let names = resources.map(|resource| resource.name.clone()).collect();
            (group.name.clone(), names)
        })
        .collect()
}

impl Host {
    /// A wish for an address that is configured; the latest counts. Its number.
    fn wishes(&self, key: &Key, up: bool) -> Option<u64> {
        let mut inner = self.inner.borrow_mut();
        let wish = inner.process.as_mut()?.wishes.get_mut(key)?;
        let number = wish.number + 1;
        *wish = Wish { number, up };
        Some(number)
    }

    /// Whether a wish may come true now: it is still the latest, and no operator takes care of the group. What is wished.
    fn may_come_true(&self, key: &Key, number: u64) -> Option<bool> {
        let inner = self.inner.borrow();
        let process = inner.process.as_ref()?;
        let wish = process.wishes.get(key)?;
        let touches = !process.hands_off.contains(&key.0);
        // Nothing is said of a wish that does not come true.
        let stands = touches || inner.addresses.contains(key) == wish.up;
        (wish.number == number && stands).then_some(wish.up)
    }

    /// An operator takes care of a group, or no longer; the guard hears it too. The wishes that count again.
    pub(super) fn hands_off(
        &self,
        group: &GroupName,
        on: bool,
        planted: Option<Planted>,
    ) -> Vec<(ResourceName, bool)> {
        let inner = &mut *self.inner.borrow_mut();
        inner.tell_guard(group, on, planted);
        let Some(process) = inner.process.as_mut() else {
            return Vec::new();
        };
        if on {
            process.hands_off.insert(group.clone());
            return Vec::new();
        }
        process.hands_off.remove(group);
        let wishes = process.wishes.iter().filter(|((of, _), _)| of == group);
        wishes
            .filter(|(_, wish)| wish.number > 0)
            .map(|((_, resource), wish)| (resource.clone(), wish.up))
            .collect()
    }

    /// Whether everything that a group has is up here.
    pub(crate) fn has_every_address_of(&self, group: &GroupSpec) -> bool {
        let inner = self.inner.borrow();
        let mut keys = group.resources.iter();
        keys.all(|resource| {
            let key = (group.name.clone(), resource.name.clone());
            inner.addresses.contains(&key)
        })
    }

    /// Whether a group has an address here.
    pub(crate) fn has_address_of(&self, group: &GroupName) -> bool {
        let inner = self.inner.borrow();
        inner.addresses.iter().any(|(of, _)| of == group)
    }

    /// What a killed life left of these groups is there still.
    pub(super) fn says_what_is_up(&self) {
        let there: Vec<Key> = self.inner.borrow().addresses.iter().cloned().collect();
        for key in there {
            self.says(key, true);
        }
    }

    fn says(&self, (group, resource): Key, up: bool) {
        let status = if up {
            ResourceStatus::Up("up".into())
        } else {
            ResourceStatus::Down
        };
        self.push(Event::Resource {
            group,
            resource,
            status,
        });
    }
}

impl Cluster {
    /// The daemon wants an address up or down, which takes its time.
    pub(super) fn set_resource(self: &Rc<Self>, host: usize, key: Key, up: bool) {
        let Some(wish) = self.hosts[host].wishes(&key, up) else {
            return;
        };
        self.fulfil(host, key, wish, true);
    }

    fn fulfil(self: &Rc<Self>, host: usize, key: Key, wish: u64, tells: bool) {
        let (cluster, takes) = (Rc::clone(self), self.takes(ADDRESS_US));
        drop(spawn_on(self.hosts[host].node, async move {
            SimRuntime::sleep(takes).await;
            let until = cluster.hosts[host].deadline(&key.0);
            let lapsed = until != BootTime::ZERO && until <= cluster.boot(host);
            if !tells && lapsed {
                return;
            }
            if let Some(up) = cluster.hosts[host].may_come_true(&key, wish) {
                let missing = up && cluster.planted == Some(Planted::UpThoughItIsNot);
                if !missing || cluster.hosts[host].inner.borrow().lives == 1 {
                    cluster.set_address(host, &key, up);
                }
                if tells {
                    cluster.hosts[host].says(key, up);
                }
            }
        }));
    }

    pub(super) fn takes(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.dice.borrow_mut().between(range.start, range.end))
    }

    /// The kernel has an address, or has it no longer.
    pub(super) fn set_address(&self, host: usize, key: &Key, up: bool) {
        {
            let addresses = &mut self.hosts[host].inner.borrow_mut().addresses;
            if up {
                addresses.insert(key.clone());
            } else {
                addresses.remove(key);
            }
        }
        if self.planted == Some(Planted::UnpinnedGate) && !self.hosts[host].is_running() {
            self.fall_open(host, &key.0);
        }
    }

    /// Planted: nothing guards what a dead daemon left up.
    pub(super) fn fall_open(&self, host: usize, group: &GroupName) {
        let until = if self.hosts[host].has_address_of(group) {
            BootTime(u64::MAX)
        } else {
            BootTime::ZERO
        };
        self.sees_gate(host, group, until);
    }

    /// Somebody took addresses of a group off. A daemon that goes on wanting them puts them on again when it runs, unless
    /// its lease has lapsed, and says nothing of it: so does the real adapter.
    pub(super) fn taken_off(self: &Rc<Self>, host: usize, group: &GroupName) {
        let wanted: Vec<(Key, u64)> = {
            let inner = self.hosts[host].inner.borrow();
            let wishes = inner.process.iter().flat_map(|process| &process.wishes);
            wishes
                .filter(|((of, _), wish)| of == group && wish.up)
                .map(|(key, wish)| (key.clone(), wish.number))
                .collect()
        };
        for (key, wish) in wanted {
            self.fulfil(host, key, wish, false);
        }
    }

    /// Another configuration reaches gate and addresses before the core acts on it: what it does not name goes, and
    /// everything is told anew.
    pub(super) fn configure(
        self: &Rc<Self>,
        host: usize,
        spec: &ClusterSpec,
        mine: &BTreeSet<Key>,
    ) {
        let place = &self.hosts[host];
        let (gone, told): (Vec<Key>, Vec<Key>) = {
            let inner = &mut *place.inner.borrow_mut();
            for (group, resources) in guarded(spec) {
                inner.guarded.entry(group).or_default().extend(resources);
            }
            inner.tell_guard_of_groups(self.planted);
            let Some(process) = inner.process.as_mut() else {
                return;
            };
            process.wishes.retain(|key, _| mine.contains(key));
            for key in mine {
                process.wishes.entry(key.clone()).or_default();
            }
            let is_mine = |group: &GroupName| mine.iter().any(|(of, _)| of == group);
            process.hands_off.retain(is_mine);
            let settled = process
                .wishes
                .iter()
                .filter(|(key, wish)| wish.number > 0 && inner.addresses.contains(*key) == wish.up);
            let gone = inner.addresses.difference(mine);
            (
                gone.cloned().collect(),
                settled.map(|(key, _)| key.clone()).collect(),
            )
        };
        for key in gone {
            let (cluster, takes) = (Rc::clone(self), self.takes(ADDRESS_US));
            drop(spawn_on(place.node, async move {
                SimRuntime::sleep(takes).await;
                if !cluster.hosts[host].knows(&key) {
                    cluster.set_address(host, &key, false);
                }
            }));
        }
        place.says_ready(mine);
        for key in told {
            let up = place.inner.borrow().addresses.contains(&key);
            place.says(key, up);
        }
    }

    /// What a daemon does first: what a killed life was granted goes on, where its file says the same of the group; every
    /// other gate is shut, every other address gone.
    pub(super) fn inherits(
        self: &Rc<Self>,
        host: usize,
        empty_disk: bool,
    ) -> BTreeMap<GroupName, BootTime> {
        let file = self.hosts[host].file();
        let (now, lease) = (self.boot(host), file.spec.timing.lease);
        let mine = of_node(&file.spec, &self.hosts[host].known_as(), &State::default());
        let guards = guarded(&file.spec);
        let (open, shut): (BTreeMap<_, _>, BTreeMap<_, _>) = {
            let inner = &mut *self.hosts[host].inner.borrow_mut();
            let former = std::mem::replace(&mut inner.guarded, guards.clone());
            let inherits = |group: &GroupName, until| {
                mine.iter().any(|(of, _)| of == group)
                    && guards.get(group) == former.get(group)
                    && lease::is_inherited(until, now, lease, empty_disk)
            };
            let gates = inner.gates.clone().into_iter();
            gates.partition(|(group, until)| inherits(group, *until))
        };
        for group in shut.keys() {
            self.write_gate(host, group, BootTime::ZERO);
        }
        for (group, until) in &open {
            // It stands in the kernel already; the plant that opens it is over.
            self.sees_gate(host, group, *until);
        }
        self.brings_guard(host, &open);
        let strays: Vec<Key> = {
            let inner = &mut *self.hosts[host].inner.borrow_mut();
            let stays = |key: &Key| open.contains_key(&key.0) && mine.contains(key);
            inner.addresses.extract_if(.., |key| !stays(key)).collect()
        };
        for (group, _) in strays {
            if !open.contains_key(&group) {
                self.sees_gate(host, &group, BootTime::ZERO);
            }
        }
        open
    }

    /// One store into the kernel's map.
    pub(super) fn write_gate(&self, host: usize, group: &GroupName, until: BootTime) {
        let former = {
            let inner = &mut *self.hosts[host].inner.borrow_mut();
            inner.note_for_guard(group, until);
            let former = inner.gates.insert(group.clone(), until);
            former.unwrap_or(BootTime::ZERO)
        };
        let lapsed = {
            let no_lapse = &mut self.checks.borrow_mut().no_lapse;
            no_lapse.written(group, former, self.boot(host))
        };
        self.expect(lapsed);
        self.sees_gate(host, group, until);
    }

    /// What passes here from now on.
    fn sees_gate(&self, host: usize, group: &GroupName, until: BootTime) {
        let checked = {
            let single_owner = &mut self.checks.borrow_mut().single_owner;
            single_owner.written(group, host, until, |host| self.boot(host))
        };
        self.expect(checked);
    }

    /// Every gate is shut, then every address taken off, as where a daemon ends by itself.
    pub(super) fn let_go_of_everything(&self, host: usize) {
        let groups: Vec<GroupName> = {
            let inner = self.hosts[host].inner.borrow();
            inner.gates.keys().cloned().collect()
        };
        for group in groups {
            self.write_gate(host, &group, BootTime::ZERO);
        }
        let mut inner = self.hosts[host].inner.borrow_mut();
        inner.addresses.clear();
    }
}

impl Host {
    /// Whether its daemon has this address in its configuration.
    fn knows(&self, key: &Key) -> bool {
        let inner = self.inner.borrow();
        let process = inner.process.as_ref();
        process.is_some_and(|process| process.wishes.contains_key(key))
    }

    /// It could put up each of these addresses.
    pub(super) fn says_ready(&self, keys: &BTreeSet<Key>) {
        for (group, resource) in keys.iter().cloned() {
            self.push(Event::Ready {
                group,
                resource,
                ready: Ok(()),
            });
        }
    }
}
