//! What the gate is asked to guard, checked.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::GateError;

/// Groups that the gate has room for: 32 KiB of deadlines, mapped into memory.
pub(crate) const SLOTS: u32 = 4096;

/// The file's `gate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preference {
    /// BPF, else nftables, else an error.
    #[default]
    Auto,
    /// BPF alone.
    Bpf,
    /// nftables alone.
    Nft,
    /// No gate: the addresses of a frozen daemon go on answering.
    None,
}

/// What guards the addresses, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rung {
    /// A program in the kernel that compares deadlines.
    Bpf,
    /// nftables with timeouts: ends a lease earlier by a few ticks, judges a little less.
    Nft,
    /// Nothing.
    None,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bpf => "bpf",
            Self::Nft => "nft",
            Self::None => "none",
        })
    }
}

/// What to guard, and with what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// What the file allows.
    pub preference: Preference,
    /// Names what is left in the kernel, so that a restart finds it: one for each `had` of a host, such as `web-h1`.
    pub instance: String,
    /// The groups; [`crate::Gate::set`] names them by their place here.
    pub groups: Vec<GuardedGroup>,
}

/// A group whose addresses are silent unless its deadline is ahead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuardedGroup {
    /// Its name; after [`crate::Gate::reconfigure`] a group of the same name keeps its deadline.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Packets that the gate dropped since it was first put up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// On their way in.
    pub ingress: u64,
    /// On their way out.
    pub egress: u64,
}

/// How long to wait for the holder of a gate to let go: a killed one may still be on its way out, and what a
/// process has just forked holds its descriptors until it executes its own program.
const HOLDER_PATIENCE: Duration = Duration::from_secs(1);

/// Tries to take what one process alone may hold; `None` where another goes on holding it.
pub(crate) fn take_patiently<T, E>(
    mut take: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let start = Instant::now();
    loop {
        match take()? {
            None if start.elapsed() < HOLDER_PATIENCE => thread::sleep(Duration::from_millis(10)),
            outcome => return Ok(outcome),
        }
    }
}

/// An instance's name as the kernel's name spaces take it (bpffs keeps dots for itself): anything unusual
/// as `%` and its bytes, so that no two instances share one.
pub(crate) fn kernel_name(instance: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    instance.bytes().map(encode).collect()
}

/// Which group has which slot, and which address belongs to which slot. Slots are what the kernel knows of groups.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Slots {
    by_index: Vec<u32>,
    by_name: BTreeMap<String, u32>,
    /// What to guard.
    pub(crate) addresses: BTreeMap<IpAddr, u32>,
}

impl Slots {
    /// Gives every group a slot; a group that had one here keeps it.
    pub(crate) fn assign(
        &self,
        groups: &[GuardedGroup],
        addresses_max: u32,
    ) -> Result<Self, GateError> {
        let limit = SLOTS as usize;
        if groups.len() > limit {
            return Err(GateError::TooMany {
                what: "groups",
                count: groups.len(),
                limit: SLOTS,
            });
        }
        let kept: Vec<Option<u32>> = groups
            .iter()
            .map(|group| self.by_name.get(&group.name).copied())
            .collect();
        let mut free = (0..SLOTS).filter(|slot| !kept.contains(&Some(*slot)));
        let mut slots = Self::default();
        for (group, kept) in groups.iter().zip(&kept) {
            let slot = kept
                .or_else(|| free.next())
                .expect("no more groups than slots");
            slots.by_index.push(slot);
            slots.by_name.insert(group.name.clone(), slot);
            for address in &group.addresses {
                let address = address.to_canonical();
                if let Some(other) = slots.addresses.insert(address, slot)
                    && other != slot
                {
                    let first = slots.name(other);
                    return Err(GateError::TwoGroups {
                        address,
                        first,
                        second: group.name.clone(),
                    });
                }
            }
        }
        let count = slots.addresses.len();
        if count > addresses_max as usize {
            return Err(GateError::TooMany {
                what: "addresses",
                count,
                limit: addresses_max,
            });
        }
        Ok(slots)
    }

    /// The slot of the group at this place of the settings.
    pub(crate) fn of(&self, group: usize) -> Result<u32, GateError> {
        self.by_index
            .get(group)
            .copied()
            .ok_or(GateError::NoSuchGroup(group))
    }

    /// The slots of groups that are not in `next`; another group may have one of them there.
    pub(crate) fn freed(&self, next: &Self) -> Vec<u32> {
        let gone = self
            .by_name
            .iter()
            .filter(|(name, _)| !next.by_name.contains_key(*name));
        gone.map(|(_, slot)| *slot).collect()
    }

    fn name(&self, slot: u32) -> String {
        let found = self
            .by_name
            .iter()
            .find(|(_, candidate)| **candidate == slot);
        found.map(|(name, _)| name.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, addresses: &[&str]) -> GuardedGroup {
        let addresses = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        GuardedGroup {
            name: name.into(),
            addresses,
        }
    }

    #[test]
    fn a_group_keeps_its_slot_when_another_is_put_before_it() {
        let before = Slots::default()
            .assign(&[group("a", &["10.0.0.1"]), group("b", &[])], 9)
            .unwrap();
        let after = before
            .assign(&[group("new", &[]), group("b", &["fd00::1"])], 9)
            .unwrap();
        assert_eq!(after.of(1).unwrap(), before.of(1).unwrap());
        assert_eq!(
            after.of(0).unwrap(),
            before.of(0).unwrap(),
            "the slot of `a` is free again"
        );
        assert_eq!(
            before.freed(&after),
            vec![before.of(0).unwrap()],
            "`new` must begin shut"
        );
        assert_eq!(after.freed(&after), Vec::<u32>::new());
    }

    #[test]
    fn an_address_in_two_groups_is_refused_however_it_is_written() {
        let groups = [group("a", &["10.0.0.1"]), group("b", &["::ffff:10.0.0.1"])];
        let error = Slots::default().assign(&groups, 9).unwrap_err();
        assert_eq!(error.to_string(), "10.0.0.1 belongs to two groups, a and b");
    }

    #[test]
    fn instances_never_share_a_name() {
        assert_eq!(kernel_name("web-h1"), "web-h1");
        assert_eq!(kernel_name("a.b/c"), "a%2eb%2fc");
    }

    #[test]
    fn a_group_that_was_never_given_has_no_slot() {
        assert!(matches!(
            Slots::default().of(0),
            Err(GateError::NoSuchGroup(0))
        ));
    }
}
