//! The nftables rung, where BPF is not permitted: one table in the `netdev` family, without the `nft` program.
//!
//! It is weaker in what DESIGN §5 accepts: a lease ends some ticks early ([`renewal`]); frames with an inline
//! VLAN tag are judged on the way out at the VLAN's own interface alone; runts pass; the tick counter stops
//! while the host sleeps. The table is ours alone where the kernel knows owners (`owner, persist`), and
//! watched where it does not.

mod batch;
mod chains;
mod expression;
mod renewal;
mod sets;
mod watch;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use crate::error::{Doing, GateError};
use crate::interfaces;
use crate::netlink::Channel;
use crate::settings::{Dropped, GuardedGroup, SLOTS, Slots, kernel_name, take_patiently};

use batch::{Batch, Nftables, Verb};
use chains::{IN, OUT, base_chain};
use renewal::{Renewal, boot_ns};
use watch::Watch;

/// All addresses and interfaces go to the kernel in one transaction of bounded size.
const ADDRESSES_MAX: u32 = 2048;

const TABLE_OWNER: u32 = 2;
const TABLE_PERSIST: u32 = 4;

/// Who may change the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ownership {
    /// Us alone, where the kernel knows owners.
    Best,
    /// Anybody, as below kernel 6.9.
    Shared,
}

/// The gate of one instance.
pub(crate) struct NftGate {
    slots: Slots,
    renewal: Renewal,
    /// Which slots have a grant, that a new one must replace.
    granted: Vec<bool>,
    tables: Nftables,
    counters: RefCell<Nftables>,
    route: Channel,
    watch: Option<Watch>,
    /// The kernel's number for our table: another one of the same name is not ours.
    handle: u64,
    hooked: BTreeMap<u32, String>,
}

impl NftGate {
    /// Puts the table up in one transaction, which also takes away what an earlier life left: there is no moment
    /// between the two, and every group is shut.
    pub(crate) fn open(
        instance: &str,
        groups: &[GuardedGroup],
        ownership: Ownership,
    ) -> Result<Self, GateError> {
        let slots = assign(&Slots::default(), groups)?;
        let name = format!("had-{}", kernel_name(instance));
        let socket = || Nftables::new(name.clone()).doing(|| "opening an nftables socket".into());
        let mut gate = Self {
            slots,
            renewal: Renewal::of_this_kernel().doing(|| "asking for the tick".into())?,
            granted: vec![false; SLOTS as usize],
            tables: socket()?,
            counters: RefCell::new(socket()?),
            route: Channel::new(libc::NETLINK_ROUTE as isize)
                .doing(|| "opening an rtnetlink socket".into())?,
            watch: None,
            handle: 0,
            hooked: BTreeMap::new(),
        };
        let found = take_patiently(|| gate.unowned_table())
            .doing(|| format!("looking for the table {name}"))?
            .ok_or_else(|| GateError::Held {
                instance: instance.into(),
            })?;
        gate.build(found.is_some(), ownership)
            .doing(|| format!("building the table {name}"))?;
        Ok(gate)
    }

    fn build(&mut self, replace: bool, ownership: Ownership) -> io::Result<()> {
        let owned = TABLE_OWNER | TABLE_PERSIST;
        if ownership == Ownership::Shared {
            self.build_with(replace, 0)?;
        } else if let Err(error) = self.build_with(replace, owned) {
            // Kernels before 6.9 do not know the flags; anything else fails again without them.
            if error.raw_os_error() != Some(libc::EOPNOTSUPP) {
                return Err(error);
            }
            self.build_with(replace, 0)?;
        }
        let table = self
            .table()?
            .ok_or_else(|| io::Error::other("it vanished"))?;
        if table.flags & TABLE_OWNER == 0 {
            self.watch = Some(Watch::new()?);
        }
        self.handle = table.handle;
        Ok(())
    }

    fn build_with(&mut self, replace: bool, flags: u32) -> io::Result<()> {
        let dropped = self.counted();
        let interfaces = interfaces::guardable(&mut self.route)?;
        let addresses: Vec<_> = self.slots.addresses.iter().map(|(a, s)| (*a, *s)).collect();
        self.tables.transact(|batch| {
            if replace {
                batch.delete(Verb::DeleteTable, |_| {});
            }
            batch.create(Verb::NewTable, |m| m.be32(2, flags));
            sets::create_all(batch);
            sets::guard(batch, &addresses);
            chains::create_all(batch, [dropped.ingress, dropped.egress]);
            for interface in &interfaces {
                chains::hook(batch, &interface.name);
            }
        })?;
        self.hooked = interfaces
            .into_iter()
            .map(|found| (found.index, found.name))
            .collect();
        Ok(())
    }

    /// Arms a stamp, then grants it ([`renewal`]); 0, or a deadline that is too near, takes the grant away.
    pub(crate) fn set(&mut self, group: usize, until_boot_ns: u64) -> Result<(), GateError> {
        let slot = self.slots.of(group)?;
        self.check_watch()?;
        self.set_slot(slot, until_boot_ns)
            .map_err(|error| self.explain(error, "renewing"))
    }

    fn set_slot(&mut self, slot: u32, until_boot_ns: u64) -> io::Result<()> {
        loop {
            let stamp = boot_ns()?;
            let Some(timeout_ms) = self.renewal.timeout_ms(stamp, until_boot_ns) else {
                return self.replace_grant(slot, None);
            };
            self.tables
                .transact(|batch| sets::arm(batch, stamp, timeout_ms))?;
            // Each round that is too slow brings the deadline nearer: this ends.
            if self.renewal.is_in_time(stamp, boot_ns()?) {
                return self.replace_grant(slot, Some(stamp));
            }
        }
    }

    fn replace_grant(&mut self, slot: u32, stamp: Option<u64>) -> io::Result<()> {
        let was_granted = self.granted[slot as usize];
        if !was_granted && stamp.is_none() {
            return Ok(());
        }
        self.tables.transact(|batch| {
            if was_granted {
                sets::revoke(batch, slot);
            }
            if let Some(stamp) = stamp {
                sets::grant(batch, slot, stamp);
            }
        })?;
        self.granted[slot as usize] = stamp.is_some();
        Ok(())
    }

    /// Sees to it that the table is ours and that every interface is hooked; returns how many were not.
    pub(crate) fn cover(&mut self) -> Result<usize, GateError> {
        self.check_watch()?;
        let table = self
            .table()
            .doing(|| "looking for the gate's table".into())?;
        if table.is_none_or(|table| table.handle != self.handle) {
            return Err(GateError::Tampered("its table is gone".into()));
        }
        self.hook_all()
            .map_err(|error| self.explain(error, "hooking the interfaces"))
    }

    fn hook_all(&mut self) -> io::Result<usize> {
        let interfaces = interfaces::guardable(&mut self.route)?;
        let mut present = BTreeSet::new();
        self.tables.list(Verb::GetChain, |chain| {
            present.extend(chain.text(3).map(str::to_owned));
        })?;
        let is_whole = |name: &str| {
            [IN, OUT]
                .iter()
                .all(|way| present.contains(&base_chain(way, name)))
        };
        let (kept, missing): (Vec<_>, Vec<_>) = interfaces.into_iter().partition(|interface| {
            self.hooked.get(&interface.index) == Some(&interface.name) && is_whole(&interface.name)
        });
        let keep: BTreeSet<String> = kept
            .iter()
            .flat_map(|found| [IN, OUT].map(|way| base_chain(way, &found.name)))
            .collect();
        let is_base = |name: &&String| name.starts_with("in-") || name.starts_with("out-");
        let stale: Vec<&String> = present
            .iter()
            .filter(is_base)
            .filter(|name| !keep.contains(*name))
            .collect();
        if !stale.is_empty() || !missing.is_empty() {
            self.tables.transact(|batch| {
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

    pub(crate) fn dropped(&self) -> Dropped {
        self.counted()
    }

    /// What the counters say; nothing where there are none.
    fn counted(&self) -> Dropped {
        const DATA: u16 = 4;
        const PACKETS: u16 = 2;
        const COUNTER: u32 = 1;
        let packets = |name: &str| {
            let mut packets = 0;
            let body = |m: &mut crate::netlink::Messages| {
                m.text(2, name);
                m.be32(3, COUNTER);
            };
            let outcome = self
                .counters
                .borrow_mut()
                .get(Verb::GetObject, body, |object| {
                    let data = object.get(DATA).map(crate::netlink::Attributes);
                    let bytes = data.and_then(|data| data.get(PACKETS)?.try_into().ok());
                    packets = bytes.map_or(0, u64::from_be_bytes);
                });
            outcome.map_or(0, |_| packets)
        };
        Dropped {
            ingress: packets(IN),
            egress: packets(OUT),
        }
    }

    /// Other groups: those that stay keep their grant, new ones are shut.
    pub(crate) fn reconfigure(&mut self, groups: &[GuardedGroup]) -> Result<(), GateError> {
        let next = assign(&self.slots, groups)?;
        for slot in self.slots.freed(&next) {
            self.replace_grant(slot, None)
                .map_err(|error| self.explain(error, "shutting"))?;
        }
        let (old, new) = (&self.slots.addresses, &next.addresses);
        let changed = |from: &BTreeMap<IpAddr, u32>, to: &BTreeMap<IpAddr, u32>| -> Vec<_> {
            from.iter()
                .filter(|(a, s)| to.get(a) != Some(s))
                .map(|(a, s)| (*a, *s))
                .collect()
        };
        let (removed, added) = (changed(old, new), changed(new, old));
        if !removed.is_empty() || !added.is_empty() {
            self.tables
                .transact(|batch| {
                    sets::unguard(batch, &removed);
                    sets::guard(batch, &added);
                })
                .map_err(|error| self.explain(error, "changing the addresses"))?;
        }
        self.slots = next;
        Ok(())
    }

    /// Takes the table out of the kernel.
    pub(crate) fn remove(mut self) -> Result<(), GateError> {
        self.tables
            .transact(|batch| batch.delete(Verb::DeleteTable, |_| {}))
            .doing(|| "removing the gate's table".into())
    }

    /// The table that an earlier life may have left; `None` where another process owns it.
    fn unowned_table(&mut self) -> io::Result<Option<Option<Table>>> {
        let found = self.table()?;
        let is_owned = found.is_some_and(|table| table.flags & TABLE_OWNER != 0);
        Ok((!is_owned).then_some(found))
    }

    fn table(&mut self) -> io::Result<Option<Table>> {
        let mut found = None;
        self.tables.get(
            Verb::GetTable,
            |_| {},
            |table| {
                let flags = table.get(2).and_then(|value| value.try_into().ok());
                let handle = table.get(4).and_then(|value| value.try_into().ok());
                found = Some(Table {
                    flags: flags.map_or(0, u32::from_be_bytes),
                    handle: handle.map_or(0, u64::from_be_bytes),
                });
            },
        )?;
        Ok(found)
    }

    fn check_watch(&mut self) -> Result<(), GateError> {
        let (table, port) = self.tables.identity();
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

    /// Something of ours that is missing was removed by somebody.
    fn explain(&self, error: io::Error, doing: &str) -> GateError {
        let (table, _) = self.tables.identity();
        match error.raw_os_error() {
            Some(libc::ENOENT) => GateError::Tampered(format!("{doing} in {table}: {error}")),
            _ => GateError::Kernel {
                doing: format!("{doing} in {table}"),
                source: error,
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Table {
    flags: u32,
    handle: u64,
}

/// Tries what the rung needs in a transaction that leaves nothing behind.
pub(crate) fn probe() -> Result<(), GateError> {
    let mut route = Channel::new(libc::NETLINK_ROUTE as isize)
        .doing(|| "opening an rtnetlink socket".into())?;
    let interfaces = interfaces::guardable(&mut route).doing(|| "listing the interfaces".into())?;
    let mut tables = Nftables::new(format!("had-probe-{}", std::process::id()))
        .doing(|| "opening an nftables socket".into())?;
    let fill = |batch: &mut Batch<'_>| {
        batch.create(Verb::NewTable, |m| m.be32(2, 0));
        sets::create_all(batch);
        chains::create_all(batch, [0, 0]);
        if let Some(interface) = interfaces.first() {
            chains::hook(batch, &interface.name);
        }
        batch.delete(Verb::DeleteTable, |_| {});
    };
    tables
        .transact(fill)
        .doing(|| "trying out an nftables table".into())
}

fn assign(slots: &Slots, groups: &[GuardedGroup]) -> Result<Slots, GateError> {
    slots.assign(groups, ADDRESSES_MAX)
}
