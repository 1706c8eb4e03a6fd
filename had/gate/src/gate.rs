//! The gate, whichever rung it stands on.

use crate::bpf::{self, BpfGate, Hook};
use crate::error::{GateError, chain};
use crate::settings::{Dropped, GuardedGroup, Preference, Rung, Settings};

/// Guards the addresses of some groups. Owned by one thread: only it may say that a group is shut.
///
/// Dropping it takes nothing out of the kernel: the addresses fall silent at their deadlines and stay so
/// until the next [`Gate::open`] of the same instance. [`Gate::remove`] is the clean end.
pub struct Gate(Inner);

enum Inner {
    Bpf(Box<BpfGate>),
    None { groups: usize },
}

impl Gate {
    /// Puts the gate up, or adopts what an earlier life of this instance left: every group is shut on
    /// return, every interface but loopback covered. Call it, and everything else, on a thread in the
    /// network namespace of the addresses, before they are added.
    ///
    /// # Errors
    /// Whatever the kernel refuses; under [`Preference::Auto`] a sentence that says what is missing.
    pub fn open(settings: &Settings) -> Result<Self, GateError> {
        let Settings {
            preference,
            instance,
            groups,
        } = settings;
        let bpf =
            || BpfGate::open(instance, groups, Hook::Best).map(|gate| Inner::Bpf(gate.into()));
        match preference {
            Preference::None => Ok(Inner::None {
                groups: groups.len(),
            }),
            _ => bpf(),
        }
        .map(Self)
    }

    /// As [`Gate::open`] under [`Preference::Bpf`], on the hook of kernels below 6.6: for tests.
    #[doc(hidden)]
    pub fn open_clsact(settings: &Settings) -> Result<Self, GateError> {
        let gate = BpfGate::open(&settings.instance, &settings.groups, Hook::Clsact)?;
        Ok(Self(Inner::Bpf(gate.into())))
    }

    /// What guards the addresses.
    #[must_use]
    pub fn rung(&self) -> Rung {
        match &self.0 {
            Inner::Bpf(_) => Rung::Bpf,
            Inner::None { .. } => Rung::None,
        }
    }

    /// Lets a group's packets pass until this moment, nanoseconds on `CLOCK_BOOTTIME`; 0 shuts. Returns once the
    /// kernel obeys. `group` is the place in [`Settings::groups`].
    ///
    /// # Errors
    /// [`GateError::NoSuchGroup`]; under nftables also what the kernel refuses, and then the node must stand down.
    pub fn set(&mut self, group: usize, until_boot_ns: u64) -> Result<(), GateError> {
        match &mut self.0 {
            Inner::Bpf(gate) => gate.set(group, until_boot_ns),
            Inner::None { groups } if group < *groups => Ok(()),
            Inner::None { .. } => Err(GateError::NoSuchGroup(group)),
        }
    }

    /// Covers every interface that is not covered, also where somebody took the gate off; returns how many were not.
    /// To be called whenever an interface appears, and every few seconds.
    ///
    /// # Errors
    /// What the kernel refuses: that interface is not guarded.
    pub fn cover(&mut self) -> Result<usize, GateError> {
        match &mut self.0 {
            Inner::Bpf(gate) => gate.cover(),
            Inner::None { .. } => Ok(0),
        }
    }

    /// Packets dropped so far.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        match &self.0 {
            Inner::Bpf(gate) => gate.dropped(),
            Inner::None { .. } => Dropped::default(),
        }
    }

    /// Guards other groups from now on: a group whose name stays keeps its deadline, new ones are shut. Call it
    /// before new addresses are added and after old ones are gone.
    ///
    /// # Errors
    /// As [`Gate::open`].
    pub fn reconfigure(&mut self, groups: &[GuardedGroup]) -> Result<(), GateError> {
        match &mut self.0 {
            Inner::Bpf(gate) => gate.reconfigure(groups),
            Inner::None { groups: count } => {
                *count = groups.len();
                Ok(())
            }
        }
    }

    /// Takes everything out of the kernel: the clean end, after the addresses are gone.
    ///
    /// # Errors
    /// What could not be removed; it goes on guarding.
    pub fn remove(self) -> Result<(), GateError> {
        match self.0 {
            Inner::Bpf(gate) => gate.remove(),
            Inner::None { .. } => Ok(()),
        }
    }
}

/// What this host permits, strongest first, and why not where it does not.
#[must_use]
pub fn probe() -> Vec<(Rung, Result<(), String>)> {
    let text = |outcome: Result<(), GateError>| outcome.map_err(|error| chain(&error));
    vec![(Rung::Bpf, text(bpf::probe())), (Rung::None, Ok(()))]
}
