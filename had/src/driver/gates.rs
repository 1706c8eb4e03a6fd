//! The gate, by group names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use had_core::ids::GroupName;
use had_core::spec::{ClusterSpec, ResourceKind};
use had_core::time::BootTime;
use had_gate::{Gate, GateError, GuardedGroup, Preference, Rung, Settings};

/// The gate of this node.
pub struct Gates {
    gate: Gate,
    instance: String,
    groups: Vec<GuardedGroup>,
    places: BTreeMap<GroupName, usize>,
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
                inherited.insert(group.clone(), until);
            } else if until != BootTime::ZERO {
                self.gate.set(*place, 0)?;
            }
        }
        Ok(inherited)
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
        }
        Ok(())
    }

    pub(super) fn set(&mut self, group: &GroupName, until: BootTime) -> Result<(), String> {
        let Some(place) = self.places.get(group) else {
            // A group that was never guarded has no address here, so there is nothing to shut; it is never opened.
            return if until == BootTime::ZERO {
                Ok(())
            } else {
                Err(format!("the gate does not know the group {group}"))
            };
        };
        let until = until.0;
        self.gate
            .set(*place, until)
            .map_err(|error| format!("the gate of {group}: {error}"))
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
