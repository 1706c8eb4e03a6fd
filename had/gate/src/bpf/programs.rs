//! The four programs: two directions, two kinds of interface.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::maps::Maps;
use super::program::{Direction, Link, assemble};
use super::sys;
use crate::error::{Doing, GateError};
use crate::interfaces::Interface;

pub(super) const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// A loaded program.
struct Loaded {
    program: OwnedFd,
    id: u32,
}

/// The programs as loaded over one set of maps.
pub(super) struct Programs(BTreeMap<(Direction, Link), Loaded>);

impl Programs {
    pub(super) fn load(maps: &Maps) -> Result<Self, GateError> {
        let mut loaded = BTreeMap::new();
        for direction in DIRECTIONS {
            for link in [Link::Ethernet, Link::Other] {
                let code = assemble(direction, link, maps.fds());
                let name = match direction {
                    Direction::Ingress => "had_gate_in",
                    Direction::Egress => "had_gate_out",
                };
                let program = sys::program_load(&code, name)
                    .doing(|| format!("loading the gate's program ({direction:?}, {link:?})"))?;
                let id = sys::program_id(program.as_fd())
                    .doing(|| "asking for a program's number".into())?;
                loaded.insert((direction, link), Loaded { program, id });
            }
        }
        Ok(Self(loaded))
    }

    /// The program for an interface.
    pub(super) fn of(&self, direction: Direction, interface: &Interface) -> BorrowedFd<'_> {
        self.loaded(direction, interface).program.as_fd()
    }

    /// Its number, as a filter shows it.
    pub(super) fn id_of(&self, direction: Direction, interface: &Interface) -> u32 {
        self.loaded(direction, interface).id
    }

    fn loaded(&self, direction: Direction, interface: &Interface) -> &Loaded {
        let link = if interface.is_ethernet {
            Link::Ethernet
        } else {
            Link::Other
        };
        &self.0[&(direction, link)]
    }
}
