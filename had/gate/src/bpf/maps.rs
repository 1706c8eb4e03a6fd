//! The three maps: which address belongs to which slot, until when a slot is open, what was dropped.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use super::program::{Direction, MapFds};
use super::sys::{self, MapShape};
use crate::error::{Doing, GateError};
use crate::settings::SLOTS;
use crate::words::Words;

/// The addresses of all groups; memory is taken for those in use alone (`BPF_F_NO_PREALLOC`).
pub(super) const ADDRESSES_MAX: u32 = 16_384;

const ADDRESSES: MapShape = MapShape {
    kind: 1,
    key_bytes: 16,
    value_bytes: 4,
    entries: ADDRESSES_MAX,
    flags: 1,
};
/// `BPF_MAP_TYPE_ARRAY`, `BPF_F_MMAPABLE`
const DEADLINES: MapShape = MapShape {
    kind: 2,
    key_bytes: 4,
    value_bytes: 8,
    entries: SLOTS,
    flags: 1 << 10,
};
const DROPS: MapShape = MapShape {
    entries: 2,
    ..DEADLINES
};

pub(super) struct Maps {
    addresses: OwnedFd,
    deadlines: Words,
    drops: Words,
}

impl Maps {
    /// Adopts the maps that are pinned there; those that are missing, or that another version shaped, are made anew.
    pub(super) fn adopt(directory: &Path) -> Result<Self, GateError> {
        Self::from(|name, shape| adopt_one(&directory.join(name), shape, name))
    }

    /// Maps that nobody else sees and that end with this value.
    pub(super) fn unpinned() -> Result<Self, GateError> {
        Self::from(|name, shape| sys::map_create(shape, name))
    }

    fn from(make: impl Fn(&str, MapShape) -> io::Result<OwnedFd>) -> Result<Self, GateError> {
        let make = |name, shape| make(name, shape).doing(|| format!("making the map {name}"));
        Ok(Self {
            addresses: make("addresses", ADDRESSES)?,
            deadlines: Words::map(make("deadlines", DEADLINES)?, DEADLINES.entries)
                .doing(|| "mapping the deadlines into memory".into())?,
            drops: Words::map(make("drops", DROPS)?, DROPS.entries)
                .doing(|| "mapping the counters into memory".into())?,
        })
    }

    pub(super) fn fds(&self) -> MapFds {
        MapFds {
            addresses: self.addresses.as_raw_fd(),
            deadlines: self.deadlines.as_fd().as_raw_fd(),
            drops: self.drops.as_fd().as_raw_fd(),
        }
    }

    /// A slot is open until this moment. When this returns, every CPU sees it.
    pub(super) fn set_deadline(&self, slot: u32, until_boot_ns: u64) {
        self.deadlines.store(slot, until_boot_ns);
    }

    /// Until when a slot is open.
    pub(super) fn deadline(&self, slot: u32) -> u64 {
        self.deadlines.load(slot)
    }

    /// Shuts every slot.
    pub(super) fn shut_all(&self) {
        (0..SLOTS).for_each(|slot| self.set_deadline(slot, 0));
    }

    /// Shuts every slot that an earlier life used for other addresses than `wanted` gives it, or not at all: what stays open
    /// is open for what that life was granted, and until then.
    pub(super) fn inherit(&self, wanted: &BTreeMap<IpAddr, u32>) -> Result<(), GateError> {
        let guarded = self
            .guarded()
            .doing(|| "reading the guarded addresses".into())?;
        let (former, wanted) = (by_slot(&guarded), by_slot(wanted));
        for slot in 0..SLOTS {
            let guards = former.get(&slot);
            if guards.is_none() || guards != wanted.get(&slot) {
                self.set_deadline(slot, 0);
            }
        }
        Ok(())
    }

    pub(super) fn dropped(&self, direction: Direction) -> u64 {
        self.drops.load(direction as u32)
    }

    /// Makes the guarded addresses exactly these: new ones first, those that are no longer guarded last.
    pub(super) fn guard(&self, wanted: &BTreeMap<IpAddr, u32>) -> Result<(), GateError> {
        for (address, slot) in wanted {
            sys::map_update(self.addresses.as_fd(), &key(*address), *slot)
                .doing(|| format!("guarding {address}"))?;
        }
        for old in self
            .guarded()
            .doing(|| "reading the guarded addresses".into())?
            .into_keys()
        {
            if !wanted.contains_key(&old) {
                sys::map_delete(self.addresses.as_fd(), &key(old))
                    .doing(|| "forgetting an address".into())?;
            }
        }
        Ok(())
    }

    /// Every guarded address and its slot.
    fn guarded(&self) -> io::Result<BTreeMap<IpAddr, u32>> {
        let map = self.addresses.as_fd();
        let (mut guarded, mut last) = (BTreeMap::new(), None);
        while let Some(next) = sys::map_next_key(map, last.as_ref())? {
            if let Some(slot) = sys::map_lookup(map, &next)? {
                guarded.insert(Ipv6Addr::from(next).to_canonical(), slot);
            }
            last = Some(next);
        }
        Ok(guarded)
    }
}

/// The addresses of each slot.
fn by_slot(addresses: &BTreeMap<IpAddr, u32>) -> BTreeMap<u32, Vec<IpAddr>> {
    let mut slots: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    for (address, slot) in addresses {
        slots.entry(*slot).or_default().push(*address);
    }
    slots
}

fn adopt_one(path: &Path, shape: MapShape, name: &str) -> io::Result<OwnedFd> {
    if let Some(map) = sys::pinned(path)? {
        if sys::map_shape(map.as_fd())? == shape {
            return Ok(map);
        }
        std::fs::remove_file(path)?;
    }
    let map = sys::map_create(shape, &format!("had_{name}"))?;
    sys::pin(map.as_fd(), path)?;
    Ok(map)
}

fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
