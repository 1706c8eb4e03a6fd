//! The BPF rung: deadlines in mapped memory, judged by a program on every interface.

mod asm;
mod clsact;
mod maps;
mod pins;
mod program;
mod programs;
mod sys;
mod tcx;

use crate::error::{Doing, GateError};
use crate::interfaces::{self, Interface};
use crate::netlink::Channel;
use crate::settings::{Dropped, GuardedGroup, Slots};

use maps::{ADDRESSES_MAX, Maps};
use pins::Pins;
use program::Direction;
use programs::Programs;

/// Which hook the programs are attached to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hook {
    /// tcx where the kernel knows it and pins are sure to last, else clsact.
    Lasting,
    /// tcx where the kernel knows it, else clsact.
    Best,
    /// clsact, as below kernel 6.6.
    Clsact,
}

enum Attached {
    Tcx(tcx::Links),
    Clsact(clsact::Filters),
}

/// The gate of one instance.
pub(crate) struct BpfGate {
    slots: Slots,
    maps: Maps,
    programs: Programs,
    attached: Attached,
    pins: Pins,
    route: Channel,
}

impl BpfGate {
    /// In the order that never opens: maps adopted or made, every slot shut that guards other addresses now, addresses
    /// written, programs loaded, attached.
    pub(crate) fn open(
        instance: &str,
        groups: &[GuardedGroup],
        hook: Hook,
    ) -> Result<Self, GateError> {
        let slots = assign(&Slots::default(), groups)?;
        let pins = Pins::take(instance)?;
        let maps = Maps::adopt(&pins.directory)?;
        maps.inherit(&slots.addresses)?;
        maps.guard(&slots.addresses)?;
        let programs = Programs::load(&maps)?;
        // A tcx link is held by its pin alone, a filter by its interface.
        let tcx = match hook {
            Hook::Lasting => pins::outlive_this_process() && tcx::is_known(&programs),
            Hook::Best => tcx::is_known(&programs),
            Hook::Clsact => false,
        };
        let attached = if tcx {
            Attached::Tcx(tcx::Links::default())
        } else {
            Attached::Clsact(clsact::Filters::new(instance))
        };
        let mut route = route()?;
        let filters = clsact::Filters::new(instance);
        if tcx && any_filter(&filters, &mut route)? {
            // A later life than the one whose deadlines these are could not rely on its pins: it may have released what
            // they leave open.
            maps.shut_all();
        }
        let mut gate = Self {
            slots,
            maps,
            programs,
            attached,
            pins,
            route,
        };
        gate.cover()?;
        if tcx {
            // Those of an earlier life that could not rely on its pins. The links judge already.
            remove_filters(&filters, &mut gate.route)?;
        }
        Ok(gate)
    }

    /// One store into mapped memory.
    pub(crate) fn set(&self, group: usize, until_boot_ns: u64) -> Result<(), GateError> {
        self.maps.set_deadline(self.slots.of(group)?, until_boot_ns);
        Ok(())
    }

    /// Shuts every group.
    pub(crate) fn shut_all(&self) {
        self.maps.shut_all();
    }

    /// Until when the group is open.
    pub(crate) fn until(&self, group: usize) -> Result<u64, GateError> {
        Ok(self.maps.deadline(self.slots.of(group)?))
    }

    /// Covers every interface that is not; returns how many were not.
    pub(crate) fn cover(&mut self) -> Result<usize, GateError> {
        let interfaces = self.interfaces()?;
        let mut mended = 0;
        for interface in &interfaces {
            let covered = match &mut self.attached {
                Attached::Tcx(links) => {
                    links.cover(&self.pins.directory, interface, &self.programs)
                }
                Attached::Clsact(filters) => {
                    filters.cover(&mut self.route, interface, &self.programs)
                }
            };
            mended += usize::from(unless_gone(covered, false)?);
        }
        if let Attached::Tcx(links) = &mut self.attached {
            let present = interfaces.iter().map(|interface| interface.index).collect();
            links.forget_all_but(&self.pins.directory, &present);
        }
        Ok(mended)
    }

    pub(crate) fn dropped(&self) -> Dropped {
        Dropped {
            ingress: self.maps.dropped(Direction::Ingress),
            egress: self.maps.dropped(Direction::Egress),
        }
    }

    /// Other groups: those that stay keep their deadline, new ones are shut.
    pub(crate) fn reconfigure(&mut self, groups: &[GuardedGroup]) -> Result<(), GateError> {
        let next = assign(&self.slots, groups)?;
        for slot in self.slots.freed(&next) {
            self.maps.set_deadline(slot, 0);
        }
        self.maps.guard(&next.addresses)?;
        self.slots = next;
        Ok(())
    }

    /// Takes everything out of the kernel.
    pub(crate) fn remove(mut self) -> Result<(), GateError> {
        if let Attached::Clsact(filters) = &self.attached {
            remove_filters(filters, &mut self.route)?;
        }
        self.pins.remove()
    }

    fn interfaces(&mut self) -> Result<Vec<Interface>, GateError> {
        interfaces(&mut self.route)
    }
}

/// Takes out of the kernel what an earlier life of this instance left on this rung, whichever hook it used.
pub(crate) fn clear(instance: &str) -> Result<(), GateError> {
    if let Some(pins) = Pins::left_over(instance)? {
        pins.remove()?;
    }
    remove_filters(&clsact::Filters::new(instance), &mut route()?)
}

fn remove_filters(filters: &clsact::Filters, route: &mut Channel) -> Result<(), GateError> {
    for interface in interfaces(route)? {
        unless_gone(filters.remove(route, &interface), ())?;
    }
    Ok(())
}

fn any_filter(filters: &clsact::Filters, route: &mut Channel) -> Result<bool, GateError> {
    for interface in interfaces(route)? {
        if unless_gone(filters.is_on(route, &interface), false)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tries what the rung needs, and leaves nothing behind.
pub(crate) fn probe() -> Result<(), GateError> {
    let scratch = Maps::unpinned()?;
    Programs::load(&scratch)?;
    pins::root().doing(|| "finding or mounting bpffs at /sys/fs/bpf".into())?;
    let mut route = route()?;
    interfaces(&mut route).map(drop)
}

fn route() -> Result<Channel, GateError> {
    Channel::new(libc::NETLINK_ROUTE as isize).doing(|| "opening an rtnetlink socket".into())
}

fn interfaces(route: &mut Channel) -> Result<Vec<Interface>, GateError> {
    interfaces::guardable(route).doing(|| "listing the interfaces".into())
}

fn assign(slots: &Slots, groups: &[GuardedGroup]) -> Result<Slots, GateError> {
    slots.assign(groups, ADDRESSES_MAX)
}

/// An interface that left between listing and covering guards itself.
fn unless_gone<T>(outcome: Result<T, GateError>, gone: T) -> Result<T, GateError> {
    match outcome {
        Err(GateError::Kernel { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => {
            Ok(gone)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::maps::Maps;
    use super::program::Direction;
    use super::sys::{self, MapShape};

    /// A version before or after this one may have shaped its maps otherwise.
    #[test]
    fn pinned_maps_of_another_shape_are_made_anew() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not run: BPF is not permitted to an ordinary user");
            return;
        }
        let body = || {
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            mount(
                Some("bpf"),
                "/sys/fs/bpf",
                Some("bpf"),
                MsFlags::empty(),
                none,
            )
            .unwrap();
            let directory = Path::new("/sys/fs/bpf");
            let shape = MapShape {
                kind: 2,
                key_bytes: 4,
                value_bytes: 8,
                entries: 1,
                flags: 0,
            };
            let old = sys::map_create(shape, "old").unwrap();
            sys::pin(std::os::fd::AsFd::as_fd(&old), &directory.join("deadlines")).unwrap();
            let maps = Maps::adopt(directory).unwrap();
            maps.shut_all();
            assert_eq!(maps.dropped(Direction::Ingress), 0);
            let kept = Maps::adopt(directory).unwrap();
            kept.set_deadline(7, 42);
            assert_eq!(maps.deadline(7), 42, "adopted: the same memory");
        };
        std::thread::spawn(body).join().unwrap();
    }
}
