//! The gate, by group names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use had_core::guard::{Cares, Charge};
use had_core::ids::GroupName;
use had_core::spec::{ClusterSpec, ResourceKind};
use had_core::time::BootTime;
use had_gate::{Gate, GateError, GuardedGroup, Preference, Rung, Settings};
use had_net::Leave;

use crate::clock;
use crate::guard::{Keeper, Setup};

/// The gate of this node, and who else must know its deadlines: the guard, and whoever announces addresses.
pub struct Gates {
    gate: Gate,
    instance: String,
    groups: Vec<GuardedGroup>,
    places: BTreeMap<GroupName, usize>,
    deadlines: Deadlines,
    guard: Option<Keeper>,
    cares: Cares,
    /// The guard does not know yet what it has to watch.
    must_charge: bool,
    /// The longest that anything is granted.
    lease: Duration,
}

/// Until when each group is open. Cheap to clone.
#[derive(Clone, Default)]
pub struct Deadlines(Arc<Mutex<BTreeMap<GroupName, BootTime>>>);

impl Deadlines {
    /// What may be done now with a group's addresses.
    #[must_use]
    pub fn leave(&self, group: &GroupName) -> Leave {
        match self.until(group) {
            BootTime::ZERO => Leave::Shut,
            until if clock::boot() < until => Leave::Open,
            _ => Leave::Lapsed,
        }
    }

    fn until(&self, group: &GroupName) -> BootTime {
        self.lock().get(group).copied().unwrap_or_default()
    }

    /// Notes a deadline; returns the former one.
    fn note(&self, group: &GroupName, until: BootTime) -> BootTime {
        let mut deadlines = self.lock();
        match deadlines.get_mut(group) {
            Some(place) => std::mem::replace(place, until),
            None => deadlines.insert(group.clone(), until).unwrap_or_default(),
        }
    }

    /// Every change is one assignment, so what a panicked thread left is whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupName, BootTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a group's [`Leave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Set {
    /// Nothing may be done with its addresses that might not be done before.
    AsBefore,
    /// More: it was opened.
    More,
}

impl Gates {
    /// Puts the gate up for the groups of a configuration, every one shut but those of [`Gates::inherit`], which is to be
    /// called next.
    ///
    /// # Errors
    /// Where this host permits no gate.
    pub fn open(
        preference: Preference,
        instance: String,
        spec: &ClusterSpec,
    ) -> Result<Self, GateError> {
        let groups = guarded(spec);
        let settings = Settings {
            preference,
            instance: instance.clone(),
            groups: groups.clone(),
        };
        let gate = Gate::open(&settings)?;
        let mut gates = Self {
            gate,
            instance,
            groups,
            places: BTreeMap::new(),
            deadlines: Deadlines::default(),
            guard: None,
            cares: Cares::default(),
            must_charge: false,
            lease: spec.timing.lease,
        };
        gates.find_places();
        Ok(gates)
    }

    /// The groups among `mine` that a killed life of this daemon left open, and until when: those that `inherits` takes over.
    /// Everything else is shut.
    ///
    /// # Errors
    /// What could not be shut.
    pub fn inherit(
        &mut self,
        mine: &BTreeSet<GroupName>,
        inherits: impl Fn(BootTime) -> bool,
    ) -> Result<BTreeMap<GroupName, BootTime>, GateError> {
        let mut inherited = BTreeMap::new();
        for (group, place) in &self.places {
            let until = BootTime(self.gate.left_open_until(*place)?);
            if mine.contains(group) && inherits(until) {
                self.deadlines.note(group, until);
                inherited.insert(group.clone(), until);
            } else if until != BootTime::ZERO {
                self.gate.set(*place, 0)?;
            }
        }
        self.cares = Cares::inheriting(inherited.keys().cloned().collect());
        Ok(inherited)
    }

    /// What tells this daemon from others of this host.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Which gate it is.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.gate.rung()
    }

    /// The addresses of earlier lives are gone: so may be what guarded them, on whatever rung.
    ///
    /// # Errors
    /// What could not be removed; it goes on guarding.
    pub fn forget_earlier_lives(&self) -> Result<(), GateError> {
        self.gate.clear_other_rungs(&self.instance)
    }

    /// Until when each group is open, for whoever asks before he acts.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines.clone()
    }

    /// Puts a guard beside this process, which watches every group from here on; `stands` is told whether it does.
    ///
    /// # Errors
    /// Where there is no memory for its ledger, or no thread.
    pub fn guard(
        &mut self,
        setup: Setup,
        stands: impl Fn(bool) + Send + 'static,
    ) -> io::Result<()> {
        // Without a gate nothing tells what a killed life was granted, and nothing but the guard ends it.
        let unknown = match self.gate.rung() {
            Rung::None => clock::boot() + self.lease,
            Rung::Bpf | Rung::Nft => BootTime::ZERO,
        };
        let open = self.places.iter().map(|(group, place)| {
            let until = self.deadlines.until(group);
            (*place, until.max(unknown).0)
        });
        self.guard = Some(Keeper::start(setup, self.charges(), open, stands)?);
        Ok(())
    }

    /// What the guard watches: everything but what an operator takes care of.
    fn charges(&self) -> Vec<Charge> {
        let charge = |(place, group): (usize, &GuardedGroup)| {
            let name = GroupName::from(group.name.as_str());
            Some(Charge {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                addresses: group.addresses.clone(),
                care: self.cares.of(&name)?,
                group: name,
            })
        };
        self.groups.iter().enumerate().filter_map(charge).collect()
    }

    /// Tells the guard what to watch, where that has changed: once, however much there was to do.
    pub(super) fn charge_guard(&mut self) {
        if std::mem::take(&mut self.must_charge)
            && let Some(guard) = &self.guard
        {
            guard.charge(self.charges());
        }
    }

    /// An operator takes care of a group, or no longer.
    pub(super) fn hands_off(&mut self, group: &GroupName, on: bool) {
        self.must_charge |= self.cares.hands_off(group, on);
    }

    /// Packets dropped so far, in and out.
    #[must_use]
    pub fn dropped(&self) -> had_gate::Dropped {
        self.gate.dropped()
    }

    fn find_places(&mut self) {
        let names = self.groups.iter().enumerate();
        self.places = names
            .map(|(place, group)| (group.name.as_str().into(), place))
            .collect();
    }

    /// Guards the groups of another configuration too. What was guarded stays so until the daemon ends: an address that is
    /// on its way down is never let go early.
    pub(super) fn adopt(&mut self, spec: &ClusterSpec) -> Result<(), String> {
        let mut groups = self.groups.clone();
        for new in guarded(spec) {
            for group in groups.iter_mut().filter(|group| group.name != new.name) {
                group
                    .addresses
                    .retain(|address| !new.addresses.contains(address));
            }
            match groups.iter_mut().find(|group| group.name == new.name) {
                Some(group) => {
                    let more = new
                        .addresses
                        .iter()
                        .filter(|one| !group.addresses.contains(one));
                    let more: Vec<IpAddr> = more.copied().collect();
                    group.addresses.extend(more);
                }
                None => groups.push(new),
            }
        }
        if groups != self.groups {
            self.gate
                .reconfigure(&groups)
                .map_err(|error| error.to_string())?;
            self.groups = groups;
            self.find_places();
            self.must_charge = true;
        }
        Ok(())
    }

    /// Without a gate in the kernel a group is not silent because it was shut, only once its addresses are off: there the guard
    /// keeps the former deadline in mind.
    fn note_for_guard(&self, place: usize, until: BootTime) {
        let shuts_nothing = until == BootTime::ZERO && self.gate.rung() == Rung::None;
        if let Some(guard) = self.guard.as_ref().filter(|_| !shuts_nothing) {
            guard.note(place, until.0);
        }
    }

    /// An address of a group is about to be put on. Behind a gate it is silent; without one the guard must know of it.
    pub(super) fn prepares(&self, group: &GroupName) {
        let place = self.places.get(group);
        let place = place.filter(|_| self.gate.rung() == Rung::None);
        if let (Some(place), Some(guard)) = (place, &self.guard) {
            let until = clock::boot() + self.lease;
            guard.note(*place, self.deadlines.until(group).max(until).0);
            guard.look();
        }
    }

    /// Opens or shuts a group. The guard learns of a deadline before the kernel passes a packet under it.
    pub(super) fn set(&mut self, group: &GroupName, until: BootTime) -> Result<Set, String> {
        let Some(place) = self.places.get(group) else {
            // A group that was never guarded has no address here, so there is nothing to shut; it is never opened.
            return if until == BootTime::ZERO {
                Ok(Set::AsBefore)
            } else {
                Err(format!("the gate does not know the group {group}"))
            };
        };
        let former = self.deadlines.note(group, until);
        self.note_for_guard(*place, until);
        self.gate
            .set(*place, until.0)
            .map_err(|error| format!("the gate of {group}: {error}"))?;
        if until == BootTime::ZERO || clock::boot() < former {
            return Ok(Set::AsBefore);
        }
        if let Some(guard) = &self.guard {
            guard.look();
        }
        Ok(Set::More)
    }

    pub(super) fn cover(&mut self) -> Result<(), String> {
        let covered = self.gate.cover().map_err(|error| error.to_string())?;
        if covered > 0 {
            tracing::info!("the gate covers {covered} more interfaces");
        }
        Ok(())
    }

    /// Shuts every group.
    pub fn shut_all(&mut self) {
        for (group, place) in &self.places {
            self.deadlines.note(group, BootTime::ZERO);
            self.note_for_guard(*place, BootTime::ZERO);
        }
        for place in 0..self.groups.len() {
            if let Err(error) = self.gate.set(place, 0) {
                tracing::error!("cannot shut the gate: {error}; it shuts at the lease's end");
            }
        }
    }

    /// Takes the gate out of the kernel: once the addresses are gone.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove(self) -> Result<(), GateError> {
        self.gate.remove()
    }
}

fn guarded(spec: &ClusterSpec) -> Vec<GuardedGroup> {
    let address = |resource: &had_core::spec::ResourceSpec| {
        let ResourceKind::Vip(vip) = &resource.kind;
        vip.address
    };
    spec.groups
        .iter()
        .map(|group| GuardedGroup {
            name: group.name.as_str().to_owned(),
            addresses: group.resources.iter().map(address).collect(),
        })
        .collect()
}
