//! The nftables rung, where BPF is not permitted: one table in the `netdev` family, without the `nft` program.
//!
//! It is weaker: a lease ends some ticks early and a wall clock that is set forward shuts until the next renewal
//! ([`renewal`]); frames with an inline VLAN tag are judged on the way out at the VLAN's own interface alone;
//! runts pass. The table is ours alone where the kernel knows owners (`owner, persist`), and
//! watched where it does not.

mod batch;
mod chains;
mod expression;
mod renewal;
mod sets;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use crate::error::{Doing, GateError};
use crate::settings::{Dropped, GuardedGroup, SLOTS, Slots, kernel_name};

use renewal::{Now, Renewal, boot_ns};
use sets::Grant;
pub(crate) use table::Ownership;
use table::Table;

/// All addresses and interfaces go to the kernel in one transaction of bounded size.
const ADDRESSES_MAX: u32 = 2048;

/// The gate of one instance.
pub(crate) struct NftGate {
    slots: Slots,
    renewal: Renewal,
    /// What each slot passes on; a new grant must replace it.
    granted: Vec<Option<Grant>>,
    table: Table,
}

impl NftGate {
    /// Puts the table up in one transaction, which also takes away what an earlier life left: there is no moment
    /// between the two, and every group is shut.
    pub(crate) fn open(
        instance: &str,
        groups: &[GuardedGroup],
        ownership: Ownership,
    ) -> Result<Self, GateError> {
        let slots = Slots::default().assign(groups, ADDRESSES_MAX)?;
        let (mut table, found) = unowned_table(instance)?;
        let addresses: Vec<_> = slots.addresses.iter().map(|(a, s)| (*a, *s)).collect();
        table
            .build(found, ownership, &addresses)
            .doing(|| format!("building the nftables table of {instance}"))?;
        let renewal = Renewal::of_this_kernel().doing(|| "asking for the tick".into())?;
        Ok(Self {
            slots,
            renewal,
            granted: vec![None; SLOTS as usize],
            table,
        })
    }

    /// Arms a stamp, then grants it ([`renewal`]); 0, or a deadline that is too near, takes the grant away.
    pub(crate) fn set(&mut self, group: usize, until_boot_ns: u64) -> Result<(), GateError> {
        let slot = self.slots.of(group)?;
        self.table.check_undisturbed()?;
        self.set_slot(slot, until_boot_ns)
            .map_err(|error| explain(error, "renewing"))
    }

    fn set_slot(&mut self, slot: u32, until_boot_ns: u64) -> io::Result<()> {
        loop {
            let now = Now::read()?;
            let Some(timeout_ms) = self.renewal.timeout_ms(now.boot_ns, until_boot_ns) else {
                return self.replace_grant(slot, None);
            };
            let stamp = now.boot_ns;
            self.table
                .transact(|batch| sets::arm(batch, stamp, timeout_ms))?;
            // Each round that is too slow brings the deadline nearer: this ends.
            if self.renewal.is_in_time(stamp, boot_ns()?) {
                let until_wall_ns = now.wall_at(until_boot_ns);
                return self.replace_grant(
                    slot,
                    Some(Grant {
                        stamp,
                        until_wall_ns,
                    }),
                );
            }
        }
    }

    fn replace_grant(&mut self, slot: u32, next: Option<Grant>) -> io::Result<()> {
        let previous = self.granted[slot as usize];
        if previous.is_none() && next.is_none() {
            return Ok(());
        }
        self.table.transact(|batch| {
            if let Some(previous) = previous {
                sets::revoke(batch, slot, previous);
            }
            if let Some(next) = next {
                sets::grant(batch, slot, next);
            }
        })?;
        self.granted[slot as usize] = next;
        Ok(())
    }

    /// Sees to it that the table is ours and that every interface is hooked; returns how many were not.
    pub(crate) fn cover(&mut self) -> Result<usize, GateError> {
        self.table.check_undisturbed()?;
        self.table.check_present()?;
        self.table
            .hook_all()
            .doing(|| "hooking the interfaces".into())
    }

    pub(crate) fn dropped(&self) -> Dropped {
        self.table.dropped()
    }

    /// Other groups: those that stay keep their grant, new ones are shut.
    pub(crate) fn reconfigure(&mut self, groups: &[GuardedGroup]) -> Result<(), GateError> {
        let next = self.slots.assign(groups, ADDRESSES_MAX)?;
        for slot in self.slots.freed(&next) {
            self.replace_grant(slot, None)
                .map_err(|error| explain(error, "shutting"))?;
        }
        let removed = difference(&self.slots.addresses, &next.addresses);
        let added = difference(&next.addresses, &self.slots.addresses);
        if !removed.is_empty() || !added.is_empty() {
            self.table
                .transact(|batch| {
                    sets::unguard(batch, &removed);
                    sets::guard(batch, &added);
                })
                .map_err(|error| explain(error, "changing the addresses"))?;
        }
        self.slots = next;
        Ok(())
    }

    /// Takes the table out of the kernel.
    pub(crate) fn remove(mut self) -> Result<(), GateError> {
        self.table
            .remove()
            .doing(|| "removing the gate's table".into())
    }
}

/// Takes out of the kernel what an earlier life of this instance left on this rung.
pub(crate) fn clear(instance: &str) -> Result<(), GateError> {
    match unowned_table(instance)? {
        (mut table, true) => table
            .remove()
            .doing(|| format!("removing the table of {instance}")),
        (_, false) => Ok(()),
    }
}

/// Whether an earlier life of this instance left something on this rung.
pub(crate) fn is_left(instance: &str) -> Result<bool, GateError> {
    unowned_table(instance).map(|(_, found)| found)
}

/// Tries what the rung needs, and leaves nothing behind.
pub(crate) fn probe() -> Result<(), GateError> {
    table::try_out().doing(|| "trying out an nftables table".into())
}

/// An instance's table, once nobody owns it, and whether it exists.
fn unowned_table(instance: &str) -> Result<(Table, bool), GateError> {
    let name = format!("had-{}", kernel_name(instance));
    let doing = || format!("looking for the nftables table {name}");
    let mut table = Table::new(&name).doing(doing)?;
    let found = table.await_unowned().doing(doing)?;
    let instance = instance.to_owned();
    Ok((table, found.ok_or(GateError::Held { instance })?))
}

/// What stands in `from`, and not so in `other`.
fn difference(from: &BTreeMap<IpAddr, u32>, other: &BTreeMap<IpAddr, u32>) -> Vec<(IpAddr, u32)> {
    let changed = from
        .iter()
        .filter(|(address, slot)| other.get(address) != Some(slot));
    changed.map(|(address, slot)| (*address, *slot)).collect()
}

/// Something of ours that is missing was removed by somebody.
fn explain(error: io::Error, doing: &str) -> GateError {
    match error.raw_os_error() {
        Some(libc::ENOENT) => GateError::Tampered(format!("{doing}: {error}")),
        _ => GateError::Kernel {
            doing: doing.into(),
            source: error,
        },
    }
}
