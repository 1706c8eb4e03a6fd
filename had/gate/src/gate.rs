//! The gate, whichever rung it stands on.

use crate::bpf::{self, BpfGate, Hook};
use crate::error::{GateError, chain};
use crate::nft::{self, NftGate, Ownership};
use crate::settings::{Dropped, GuardedGroup, Preference, Rung, Settings};

/// Guards the addresses of some groups. Owned by one thread: only it may say that a group is shut.
///
/// Dropping it takes nothing out of the kernel: the addresses fall silent at their deadlines and stay so
/// until the next [`Gate::open`] of the same instance. [`Gate::remove`] is the clean end.
pub struct Gate(Inner);

enum Inner {
    Bpf(Box<BpfGate>),
    Nft(Box<NftGate>),
    None { groups: usize },
}

/// What of a kernel may be used: tests stand the gate on what older ones offer.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Footing {
    /// Everything that it knows.
    #[default]
    Newest,
    /// clsact filters (below 6.6), tables without owner (below 6.9).
    Old,
}

impl Gate {
    /// Puts the gate up, or adopts what an earlier life of this instance left: every group is shut on
    /// return, every interface but loopback covered. Call it, and everything else, on a thread in the
    /// network namespace of the addresses, before they are added.
    ///
    /// # Errors
    /// Whatever the kernel refuses; under [`Preference::Auto`] a sentence that says what is missing.
    pub fn open(settings: &Settings) -> Result<Self, GateError> {
        Self::open_on(settings, Footing::Newest)
    }

    #[doc(hidden)]
    pub fn open_on(settings: &Settings, footing: Footing) -> Result<Self, GateError> {
        let Settings {
            preference,
            instance,
            groups,
        } = settings;
        let (hook, ownership) = match footing {
            Footing::Newest => (Hook::Best, Ownership::Best),
            Footing::Old => (Hook::Clsact, Ownership::Shared),
        };
        let bpf = || BpfGate::open(instance, groups, hook).map(|gate| Inner::Bpf(gate.into()));
        let nft = || NftGate::open(instance, groups, ownership).map(|gate| Inner::Nft(gate.into()));
        let inner = match preference {
            Preference::Auto => bpf().or_else(|no_bpf| match no_bpf {
                GateError::Kernel { .. } => nft().map_err(|no_nft| match no_nft {
                    GateError::Kernel { .. } => GateError::NoRung {
                        bpf: chain(&no_bpf),
                        nft: chain(&no_nft),
                    },
                    refused => refused,
                }),
                refused => Err(refused),
            }),
            Preference::Bpf => bpf(),
            Preference::Nft => nft(),
            Preference::None => Ok(Inner::None {
                groups: groups.len(),
            }),
        }?;
        Ok(Self(inner))
    }

    /// What guards the addresses.
    #[must_use]
    pub fn rung(&self) -> Rung {
        match &self.0 {
            Inner::Bpf(_) => Rung::Bpf,
            Inner::Nft(_) => Rung::Nft,
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
            Inner::Nft(gate) => gate.set(group, until_boot_ns),
            Inner::None { groups } if group < *groups => Ok(()),
            Inner::None { .. } => Err(GateError::NoSuchGroup(group)),
        }
    }

    /// Covers every interface that is not covered, also where somebody took the gate off; returns how many were not.
    /// To be called whenever an interface appears, and every few seconds.
    ///
    /// # Errors
    /// What the kernel refuses: that interface is not guarded. [`GateError::Tampered`]: nothing is, stand down.
    pub fn cover(&mut self) -> Result<usize, GateError> {
        match &mut self.0 {
            Inner::Bpf(gate) => gate.cover(),
            Inner::Nft(gate) => gate.cover(),
            Inner::None { .. } => Ok(0),
        }
    }

    /// Packets dropped since the gate was first put up; a restart goes on counting.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        match &self.0 {
            Inner::Bpf(gate) => gate.dropped(),
            Inner::Nft(gate) => gate.dropped(),
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
            Inner::Nft(gate) => gate.reconfigure(groups),
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
            Inner::Nft(gate) => gate.remove(),
            Inner::None { .. } => Ok(()),
        }
    }
}

/// What this host permits, strongest first, and why not where it does not. Leaves nothing behind, but for a
/// mounted bpffs.
#[must_use]
pub fn probe() -> Vec<(Rung, Result<(), String>)> {
    let text = |outcome: Result<(), GateError>| outcome.map_err(|error| chain(&error));
    vec![
        (Rung::Bpf, text(bpf::probe())),
        (Rung::Nft, text(nft::probe())),
        (Rung::None, Ok(())),
    ]
}
