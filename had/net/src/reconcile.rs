//! Wanted against actual: what is to be changed. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::table::{AddressKey, Table};

/// One change to the kernel's addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Action {
    /// Take one of ours off. Before any addition: an address that changes its interface is never on both.
    Remove(AddressKey),
    /// Put one on.
    Add(AddressKey),
}

impl Action {
    /// Which address, and where.
    pub(crate) fn key(self) -> AddressKey {
        match self {
            Self::Remove(key) | Self::Add(key) => key,
        }
    }
}

/// The changes that lead from `table` to `wanted` (address → interface), removals first.
///
/// Every address of ours that is not wanted goes, also one that no configuration knows: it is of an earlier life.
/// An address that somebody else configured is neither touched nor doubled.
pub(crate) fn reconcile(wanted: &BTreeMap<IpAddr, u32>, table: &Table) -> Vec<Action> {
    let is_wanted = |key: &&AddressKey| {
        wanted
            .get(&key.address)
            .is_some_and(|index| AddressKey::host(*index, key.address) == **key)
    };
    let removals = table
        .ours()
        .filter(|key| !is_wanted(key))
        .map(|key| Action::Remove(*key));
    let additions = wanted
        .iter()
        .map(|(address, index)| AddressKey::host(*index, *address))
        .filter(|key| !table.holds(key) && table.held_by_others(key.address).is_none())
        .map(Action::Add);
    removals.chain(additions).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Change, Holder};

    fn key(index: u32, address: &str, prefix: u8) -> AddressKey {
        AddressKey {
            index,
            address: address.parse().unwrap(),
            prefix,
        }
    }

    fn check(wanted: &[(&str, u32)], actual: &[(AddressKey, Holder)], expected: &[Action]) {
        let wanted = wanted
            .iter()
            .map(|(text, index)| (text.parse().unwrap(), *index))
            .collect();
        let mut table = Table::default();
        for (key, holder) in actual {
            table.apply(Change::Address(*key, *holder));
        }
        assert_eq!(reconcile(&wanted, &table), expected);
    }

    #[test]
    fn what_is_wanted_and_there_is_left_alone() {
        check(
            &[("10.77.0.100", 2)],
            &[(key(2, "10.77.0.100", 32), Holder::Ours)],
            &[],
        );
    }

    #[test]
    fn what_is_missing_is_added_and_a_stray_removed_first() {
        check(
            &[("10.77.0.100", 2), ("fd00::100", 2)],
            &[(key(3, "10.9.9.9", 32), Holder::Ours)],
            &[
                Action::Remove(key(3, "10.9.9.9", 32)),
                Action::Add(key(2, "10.77.0.100", 32)),
                Action::Add(key(2, "fd00::100", 128)),
            ],
        );
    }

    #[test]
    fn an_address_on_the_wrong_interface_or_under_another_prefix_moves() {
        check(
            &[("10.77.0.100", 2)],
            &[
                (key(2, "10.77.0.100", 24), Holder::Ours),
                (key(3, "10.77.0.100", 32), Holder::Ours),
            ],
            &[
                Action::Remove(key(2, "10.77.0.100", 24)),
                Action::Remove(key(3, "10.77.0.100", 32)),
                Action::Add(key(2, "10.77.0.100", 32)),
            ],
        );
    }

    #[test]
    fn somebody_elses_address_is_neither_touched_nor_doubled() {
        check(
            &[("10.77.0.100", 2)],
            &[(key(2, "10.77.0.100", 24), Holder::Others)],
            &[],
        );
        check(&[], &[(key(2, "10.77.0.1", 24), Holder::Others)], &[]);
    }
}
