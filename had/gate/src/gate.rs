//! The gate, whichever rung it stands on.

use std::io;

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
    /// The newest of what is sure to outlive the daemon here.
    #[default]
    Lasting,
    /// Everything that it knows.
    Newest,
    /// clsact filters (below 6.6), tables without owner (below 6.9).
    Old,
}

impl Gate {
    /// Puts the gate up, or adopts what an earlier life of this instance left: every group is shut on return, but those
    /// that [`Gate::left_open_until`] names, and every interface but loopback covered. Call it, and everything else, on a thread in
    /// the network namespace of the addresses, before they are added.
    ///
    /// # Errors
    /// Whatever the kernel refuses; under [`Preference::Auto`] a sentence that says what is missing.
    pub fn open(settings: &Settings) -> Result<Self, GateError> {
        Self::open_on(settings, Footing::Lasting)
    }

    #[doc(hidden)]
    pub fn open_on(settings: &Settings, footing: Footing) -> Result<Self, GateError> {
        let Settings {
            preference,
            instance,
            groups,
        } = settings;
        let (hook, ownership) = match footing {
            Footing::Lasting => (Hook::Lasting, Ownership::Best),
            Footing::Newest => (Hook::Best, Ownership::Best),
            Footing::Old => (Hook::Clsact, Ownership::Shared),
        };
        let bpf = || BpfGate::open(instance, groups, hook).map(|gate| Inner::Bpf(gate.into()));
        let nft = || NftGate::open(instance, groups, ownership).map(|gate| Inner::Nft(gate.into()));
        let inner = match preference {
            Preference::Auto => bpf().or_else(|no_bpf| fall_back(no_bpf, nft)),
            Preference::Bpf => bpf(),
            Preference::Nft => nft(),
            Preference::None => Ok(Inner::None {
                groups: groups.len(),
            }),
        }?;
        let gate = Self(inner);
        // A later life than the one whose deadlines these are stood on nftables: it may have released what they leave open.
        if let Inner::Bpf(bpf) = &gate.0
            && unless_refused(nft::is_left(instance), false)?
        {
            bpf.shut_all();
        }
        // Without a gate, what an earlier life left is all that silences its addresses.
        if gate.rung() != Rung::None {
            gate.clear_other_rungs(instance)?;
        }
        Ok(gate)
    }

    /// Takes out of the kernel what an earlier life of this instance left on another rung. [`Gate::open`] has done so, but
    /// where there is no gate now: then it is to be called once the addresses of that life are gone.
    ///
    /// # Errors
    /// What could not be removed; it goes on guarding.
    pub fn clear_other_rungs(&self, instance: &str) -> Result<(), GateError> {
        self.0.clear_other_rungs(instance)
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

    /// Until when a killed life of the same instance left a group open, nanoseconds on `CLOCK_BOOTTIME`; to be asked right
    /// after [`Gate::open`]. While that lies ahead packets pass, and the group must not be called shut. 0 where it is shut; a
    /// moment in the past where it has lapsed. Always 0 on nftables and without a gate: there a restart begins shut.
    ///
    /// # Errors
    /// [`GateError::NoSuchGroup`].
    pub fn left_open_until(&self, group: usize) -> Result<u64, GateError> {
        match &self.0 {
            Inner::Bpf(gate) => gate.until(group),
            Inner::Nft(_) | Inner::None { .. } => Ok(0),
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

impl Inner {
    /// An earlier life may have stood on another rung: what it left is shut for good, and goes once this one stands.
    fn clear_other_rungs(&self, instance: &str) -> Result<(), GateError> {
        if !matches!(self, Self::Bpf(_)) {
            unless_refused(bpf::clear(instance), ())?;
        }
        if !matches!(self, Self::Nft(_)) {
            unless_refused(nft::clear(instance), ())?;
        }
        Ok(())
    }
}

/// Tries the weaker rung, unless the stronger failed for what no rung would change.
fn fall_back(
    no_bpf: GateError,
    nft: impl FnOnce() -> Result<Inner, GateError>,
) -> Result<Inner, GateError> {
    if !matches!(no_bpf, GateError::Kernel { .. }) {
        return Err(no_bpf);
    }
    let no_bpf = chain(&no_bpf);
    match nft() {
        Ok(gate) => {
            tracing::warn!(reason = no_bpf, "the gate stands on nftables, not on BPF");
            Ok(gate)
        }
        Err(no_nft @ GateError::Kernel { .. }) => Err(GateError::NoRung {
            bpf: no_bpf,
            nft: chain(&no_nft),
        }),
        Err(refused) => Err(refused),
    }
}

/// Where a rung is not permitted, nothing was left on it.
fn unless_refused<T>(outcome: Result<T, GateError>, nothing: T) -> Result<T, GateError> {
    match outcome {
        Err(GateError::Kernel { source, .. }) if is_refusal(&source) => Ok(nothing),
        other => other,
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let codes = [
        libc::EPERM,
        libc::EACCES,
        libc::EOPNOTSUPP,
        libc::EPROTONOSUPPORT,
        libc::EINVAL,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_can_be_given_to_the_thread_that_will_own_it() {
        fn is_send<T: Send>() {}
        is_send::<Gate>();
    }

    #[test]
    fn where_nothing_works_the_error_names_the_way_out() {
        let refused = |doing: &str| GateError::Kernel {
            doing: doing.into(),
            source: io::Error::from_raw_os_error(libc::EPERM),
        };
        let outcome = fall_back(refused("loading"), || Err(refused("building")));
        let text = outcome.err().unwrap().to_string();
        assert!(text.contains("loading: Operation not permitted"), "{text}");
        assert!(text.contains("gate = \"none\""), "{text}");
    }
}
