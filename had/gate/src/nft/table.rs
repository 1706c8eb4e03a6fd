//! The table as a whole: put up in one transaction, hooked to the interfaces, watched, taken down.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use crate::error::{Doing, GateError};
use crate::interfaces::{self, Interface};
use crate::netlink::{Attributes, Channel, Messages};
use crate::settings::{Dropped, take_patiently};

use super::batch::{Batch, Nftables, Verb};
use super::chains::{self, IN, OUT, base_chain};
use super::sets;
use super::watch::Watch;

const OWNER: u32 = 2;
const PERSIST: u32 = 4;
/// Interfaces may come and go while a transaction names them; they do not do so three times in a row.
const ATTEMPTS: usize = 3;

/// Who may change the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ownership {
    /// Us alone, where the kernel knows owners.
    Best,
    /// Anybody, as below kernel 6.9.
    Shared,
}

/// One instance's table.
pub(super) struct Table {
    nftables: Nftables,
    counters: RefCell<Nftables>,
    route: Channel,
    watch: Option<Watch>,
    /// The kernel's number for our table: another one of the same name is not ours.
    handle: u64,
    hooked: BTreeMap<u32, String>,
}

/// A table that the kernel knows.
#[derive(Clone, Copy, Debug)]
struct Found {
    flags: u32,
    handle: u64,
}

impl Table {
    pub(super) fn new(name: &str) -> io::Result<Self> {
        Ok(Self {
            nftables: Nftables::new(name.into())?,
            counters: RefCell::new(Nftables::new(name.into())?),
            route: Channel::new(libc::NETLINK_ROUTE as isize)?,
            watch: None,
            handle: 0,
            hooked: BTreeMap::new(),
        })
    }

    /// Whether an earlier life left a table, once nobody owns it; `None` where another process goes on owning it.
    pub(super) fn await_unowned(&mut self) -> io::Result<Option<bool>> {
        take_patiently(|| {
            let found = self.find()?;
            let is_owned = found.is_some_and(|found| found.flags & OWNER != 0);
            Ok((!is_owned).then_some(found.is_some()))
        })
    }

    /// Builds the table in one transaction, which also takes away an earlier one: nothing passes in between.
    pub(super) fn build(
        &mut self,
        replace: bool,
        ownership: Ownership,
        addresses: &[(IpAddr, u32)],
    ) -> io::Result<()> {
        let owned = self.build_with(replace, OWNER | PERSIST, ownership, addresses);
        match owned {
            // Kernels before 6.9 do not know both flags.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                self.build_with(replace, 0, ownership, addresses)?;
            }
            other => other?,
        }
        let found = self
            .find()?
            .ok_or_else(|| io::Error::other("it vanished"))?;
        if found.flags & OWNER == 0 {
            self.watch = Some(Watch::new()?);
        }
        self.handle = found.handle;
        Ok(())
    }

    fn build_with(
        &mut self,
        replace: bool,
        flags: u32,
        ownership: Ownership,
        addresses: &[(IpAddr, u32)],
    ) -> io::Result<()> {
        let flags = if ownership == Ownership::Shared {
            0
        } else {
            flags
        };
        let dropped = self.dropped();
        self.with_interfaces(|table, interfaces| {
            table.nftables.transact(|batch| {
                if replace {
                    batch.delete(Verb::DeleteTable, |_| {});
                }
                create(batch, flags, addresses, dropped);
                interfaces
                    .iter()
                    .for_each(|interface| chains::hook(batch, &interface.name));
            })?;
            let hooked = interfaces
                .into_iter()
                .map(|found| (found.index, found.name));
            table.hooked = hooked.collect();
            Ok(())
        })
    }

    pub(super) fn transact(&mut self, fill: impl FnOnce(&mut Batch<'_>)) -> io::Result<()> {
        self.nftables.transact(fill)
    }

    /// Fails where the table is no longer the one that was built.
    pub(super) fn check_present(&mut self) -> Result<(), GateError> {
        let found = self
            .find()
            .doing(|| "looking for the gate's table".into())?;
        match found {
            Some(found) if found.handle == self.handle => Ok(()),
            _ => Err(GateError::Tampered("its table is gone".into())),
        }
    }

    /// Fails where somebody else wrote to the table since the last call.
    pub(super) fn check_undisturbed(&mut self) -> Result<(), GateError> {
        let (table, port) = self.nftables.identity();
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        match watch
            .is_disturbed(table, port)
            .doing(|| "listening for changes of tables".into())?
        {
            true => Err(GateError::Tampered(
                "another program wrote to its table".into(),
            )),
            false => Ok(()),
        }
    }

    /// Hooks every interface that is not; returns how many were not.
    pub(super) fn hook_all(&mut self) -> io::Result<usize> {
        self.with_interfaces(Self::hook_missing)
    }

    fn hook_missing(&mut self, interfaces: Vec<Interface>) -> io::Result<usize> {
        let mut present = BTreeSet::new();
        self.nftables.list(Verb::GetChain, |chain| {
            present.extend(chain.text(chains::CHAIN_NAME).map(str::to_owned));
        })?;
        let base = |name: &str| [IN, OUT].map(|way| base_chain(way, name));
        let (kept, missing): (Vec<_>, Vec<_>) = interfaces.into_iter().partition(|interface| {
            self.hooked.get(&interface.index) == Some(&interface.name)
                && base(&interface.name)
                    .iter()
                    .all(|chain| present.contains(chain))
        });
        let keep: BTreeSet<String> = kept
            .iter()
            .flat_map(|interface| base(&interface.name))
            .collect();
        let stale: Vec<&String> = present
            .iter()
            .filter(|name| chains::is_base(name) && !keep.contains(*name))
            .collect();
        if !stale.is_empty() || !missing.is_empty() {
            self.nftables.transact(|batch| {
                stale.iter().for_each(|chain| chains::unhook(batch, chain));
                missing
                    .iter()
                    .for_each(|interface| chains::hook(batch, &interface.name));
            })?;
        }
        let mended = missing.len();
        let all = kept.into_iter().chain(missing);
        self.hooked = all.map(|found| (found.index, found.name)).collect();
        Ok(mended)
    }

    /// What the counters say; nothing where there are none.
    pub(super) fn dropped(&self) -> Dropped {
        Dropped {
            ingress: self.packets(IN),
            egress: self.packets(OUT),
        }
    }

    fn packets(&self, counter: &str) -> u64 {
        let mut packets = 0;
        let which = |m: &mut Messages| chains::name_counter(m, counter);
        let outcome = self
            .counters
            .borrow_mut()
            .get(Verb::GetObject, which, |object| {
                packets = chains::counted(object).unwrap_or(0);
            });
        outcome.map_or(0, |_| packets)
    }

    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.nftables
            .transact(|batch| batch.delete(Verb::DeleteTable, |_| {}))
    }

    /// Does something with the present interfaces, again where one of them left meanwhile.
    fn with_interfaces<T>(
        &mut self,
        mut body: impl FnMut(&mut Self, Vec<Interface>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut attempt = 1;
        loop {
            let interfaces = interfaces::guardable(&mut self.route)?;
            match body(self, interfaces) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn find(&mut self) -> io::Result<Option<Found>> {
        const FLAGS: u16 = 2;
        const HANDLE: u16 = 4;
        let mut found = None;
        let read = |table: Attributes<'_>| {
            let flags = table.get(FLAGS).and_then(|value| value.try_into().ok());
            let handle = table.get(HANDLE).and_then(|value| value.try_into().ok());
            found = Some(Found {
                flags: flags.map_or(0, u32::from_be_bytes),
                handle: handle.map_or(0, u64::from_be_bytes),
            });
        };
        self.nftables.get(Verb::GetTable, |_| {}, read)?;
        Ok(found)
    }
}

/// Everything but the hooks.
fn create(batch: &mut Batch<'_>, flags: u32, addresses: &[(IpAddr, u32)], dropped: Dropped) {
    const FLAGS: u16 = 2;
    batch.create(Verb::NewTable, |m| m.be32(FLAGS, flags));
    sets::create_all(batch);
    sets::guard(batch, addresses);
    chains::create_all(batch, [dropped.ingress, dropped.egress]);
}

/// Tries what the rung needs in a transaction that leaves nothing behind.
pub(super) fn try_out() -> io::Result<()> {
    let name = format!("had-probe-{}", std::process::id());
    Table::new(&name)?.with_interfaces(|table, interfaces| {
        table.nftables.transact(|batch| {
            create(batch, 0, &[], Dropped::default());
            interfaces
                .iter()
                .take(1)
                .for_each(|found| chains::hook(batch, &found.name));
            batch.delete(Verb::DeleteTable, |_| {});
        })
    })
}
