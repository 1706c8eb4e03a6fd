//! Attaching through tcx links (kernel 6.6 and later), pinned so that they outlive the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::pins::link_of;
use super::program::Direction;
use super::programs::{DIRECTIONS, Programs};
use super::sys;
use crate::error::{Doing, GateError};
use crate::interfaces::Interface;

/// The links that this process holds open; each is pinned as well.
#[derive(Default)]
pub(super) struct Links(BTreeMap<(u32, Direction), OwnedFd>);

/// Whether this kernel knows tcx: one that does misses the interface, one that does not refuses the request.
pub(super) fn is_known(programs: &Programs) -> bool {
    let nowhere = Interface {
        index: i32::MAX as u32,
        name: String::new(),
        is_ethernet: true,
    };
    let program = programs.of(Direction::Ingress, &nowhere);
    match sys::link_create(program, nowhere.index, attach_type(Direction::Ingress)) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::ENODEV),
    }
}

impl Links {
    /// Sees to it that this interface is judged both ways by these programs; says whether anything was missing.
    pub(super) fn cover(
        &mut self,
        directory: &Path,
        interface: &Interface,
        programs: &Programs,
    ) -> Result<bool, GateError> {
        let mut changed = false;
        for direction in DIRECTIONS {
            changed |= self
                .cover_one(
                    &pin(directory, interface.index, direction),
                    interface,
                    direction,
                    programs,
                )
                .doing(|| format!("attaching the gate to {}", interface.name))?;
        }
        Ok(changed)
    }

    fn cover_one(
        &mut self,
        pin: &Path,
        interface: &Interface,
        direction: Direction,
        programs: &Programs,
    ) -> io::Result<bool> {
        let key = (interface.index, direction);
        if let Some(link) = self.0.get(&key) {
            if is_attached(link, key)? {
                return repin(link, pin);
            }
        } else if let Some(link) = sys::pinned(pin)?
            && is_attached(&link, key)?
        {
            // Left by an earlier life, maybe of another version: ours takes its place between two packets.
            sys::link_update(link.as_fd(), programs.of(direction, interface))?;
            self.0.insert(key, link);
            return Ok(true);
        }
        let program = programs.of(direction, interface);
        let link = sys::link_create(program, interface.index, attach_type(direction))?;
        remove_if_there(pin)?;
        sys::pin(link.as_fd(), pin)?;
        self.0.insert(key, link);
        Ok(true)
    }

    /// Lets go of the interfaces that are gone.
    pub(super) fn forget_all_but(&mut self, directory: &Path, present: &BTreeSet<u32>) {
        self.0.retain(|(index, _), _| present.contains(index));
        let Ok(entries) = fs::read_dir(directory) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let link = path.file_name().and_then(|name| link_of(name.to_str()?));
            if link.is_some_and(|index| !present.contains(&index))
                && let Err(error) = remove_if_there(&path)
            {
                tracing::warn!(path = %path.display(), %error, "the pin of a lost interface stays");
            }
        }
    }
}

/// A link that somebody detached, or whose interface is gone, says interface 0.
fn is_attached(link: &OwnedFd, (index, direction): (u32, Direction)) -> io::Result<bool> {
    let info = sys::link_info(link.as_fd())?;
    Ok(info.ifindex == index && info.attach_type == attach_type(direction))
}

/// Pins a link again where somebody removed its pin; it would end with this process.
fn repin(link: &OwnedFd, pin: &Path) -> io::Result<bool> {
    if fs::exists(pin)? {
        return Ok(false);
    }
    sys::pin(link.as_fd(), pin).map(|()| true)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn pin(directory: &Path, ifindex: u32, direction: Direction) -> PathBuf {
    let name = match direction {
        Direction::Ingress => format!("in-{ifindex}"),
        Direction::Egress => format!("out-{ifindex}"),
    };
    directory.join(name)
}

/// `BPF_TCX_INGRESS`, `BPF_TCX_EGRESS`
fn attach_type(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => 46,
        Direction::Egress => 47,
    }
}
