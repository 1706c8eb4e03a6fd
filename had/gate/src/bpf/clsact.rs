//! Attaching through filters on the clsact queueing discipline, below kernel 6.6. Filters outlive the daemon by themselves.
//!
//! An empty clsact stays behind after [`remove`]: somebody else may have come to rely on it.

use std::io;
use std::os::fd::AsRawFd;

use super::program::Direction;
use super::programs::{DIRECTIONS, Programs};
use crate::error::{Doing, GateError};
use crate::interfaces::Interface;
use crate::netlink::{Attributes, Channel, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, word};

const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

const TCMSG_BYTES: usize = 20;
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// Before all others: a filter that accepts ends the walk.
const PRIORITY: u32 = 1;
const ETH_P_ALL: u16 = 3;

/// The filters of one instance, told apart by their handle.
pub(super) struct Filters {
    name: String,
    handle: u32,
}

impl Filters {
    pub(super) fn new(instance: &str) -> Self {
        // FNV-1a, in the range that handles have.
        let hash = instance.bytes().fold(0x811c_9dc5u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self {
            name: format!("had:{instance}"),
            handle: (hash >> 1).max(1),
        }
    }

    /// Sees to it that this interface is judged both ways by these programs; says whether anything was missing.
    pub(super) fn cover(
        &self,
        route: &mut Channel,
        interface: &Interface,
        programs: &Programs,
    ) -> Result<bool, GateError> {
        let mut changed = false;
        for direction in DIRECTIONS {
            let wanted = programs.id_of(direction, interface);
            changed |= self
                .cover_one(route, interface, direction, programs, wanted)
                .doing(|| format!("attaching the gate to {}", interface.name))?;
        }
        Ok(changed)
    }

    fn cover_one(
        &self,
        route: &mut Channel,
        interface: &Interface,
        direction: Direction,
        programs: &Programs,
        wanted: u32,
    ) -> io::Result<bool> {
        let found = self.attached(route, interface.index, direction)?;
        if found == Some(wanted) {
            return Ok(false);
        }
        if found.is_none() {
            add_clsact(route, interface.index)?;
        }
        let fd = programs.of(direction, interface).as_raw_fd().to_ne_bytes();
        let fixed = tcmsg(
            interface.index,
            self.handle,
            parent(direction),
            filter_info(),
        );
        // With an equal handle the kernel replaces the program between two packets.
        let flags = if found.is_none() {
            NLM_F_EXCL
        } else {
            NLM_F_REPLACE
        };
        route.request(RTM_NEWTFILTER, NLM_F_CREATE | flags, &fixed, |m| {
            m.text(TCA_KIND, "bpf");
            m.nest(TCA_OPTIONS, |m| {
                m.attribute(TCA_BPF_FD, &fd);
                m.text(TCA_BPF_NAME, &self.name);
                m.attribute(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
            });
        })?;
        Ok(true)
    }

    /// The number of the program behind our filter; `None` where it is missing.
    fn attached(
        &self,
        route: &mut Channel,
        ifindex: u32,
        direction: Direction,
    ) -> io::Result<Option<u32>> {
        let mut found = None;
        let fixed = tcmsg(ifindex, 0, parent(direction), 0);
        let dumped = route.dump(
            RTM_GETTFILTER,
            &fixed,
            |_| {},
            |message| {
                let options = message
                    .attributes(TCMSG_BYTES)
                    .get(TCA_OPTIONS)
                    .map(Attributes);
                let program = options.and_then(|options| word(options.get(TCA_BPF_ID)?, 0));
                if word(message.payload, 8) == Some(self.handle) && program.is_some() {
                    found = program;
                }
            },
        );
        match dumped {
            // No clsact there yet.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            other => other.map(|()| found),
        }
    }

    /// Whether a filter of ours is on an interface.
    pub(super) fn is_on(
        &self,
        route: &mut Channel,
        interface: &Interface,
    ) -> Result<bool, GateError> {
        let mut found = false;
        for direction in DIRECTIONS {
            found |= self
                .attached(route, interface.index, direction)
                .doing(|| format!("looking for the gate on {}", interface.name))?
                .is_some();
        }
        Ok(found)
    }

    /// Takes our filters off an interface.
    pub(super) fn remove(
        &self,
        route: &mut Channel,
        interface: &Interface,
    ) -> Result<(), GateError> {
        for direction in DIRECTIONS {
            let doing = || format!("taking the gate off {}", interface.name);
            if self
                .attached(route, interface.index, direction)
                .doing(doing)?
                .is_some()
            {
                let fixed = tcmsg(
                    interface.index,
                    self.handle,
                    parent(direction),
                    filter_info(),
                );
                route
                    .request(RTM_DELTFILTER, 0, &fixed, |m| m.text(TCA_KIND, "bpf"))
                    .doing(doing)?;
            }
        }
        Ok(())
    }
}

fn add_clsact(route: &mut Channel, ifindex: u32) -> io::Result<()> {
    let fixed = tcmsg(ifindex, CLSACT_HANDLE, CLSACT, 0);
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    match route.request(RTM_NEWQDISC, flags, &fixed, |m| m.text(TCA_KIND, "clsact")) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// `struct tcmsg`
fn tcmsg(ifindex: u32, handle: u32, parent: u32, info: u32) -> [u8; TCMSG_BYTES] {
    let mut bytes = [0; TCMSG_BYTES];
    for (at, word) in [(4, ifindex), (8, handle), (12, parent), (16, info)] {
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn filter_info() -> u32 {
    PRIORITY << 16 | u32::from(ETH_P_ALL.to_be())
}

fn parent(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => INGRESS,
        Direction::Egress => EGRESS,
    }
}
