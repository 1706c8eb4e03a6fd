//! Which interface carries a virtual IP on this node, and what keeps it from working there. Pure.

use std::net::IpAddr;

use had_core::ids::NodeName;
use had_core::spec::{InterfaceSpec, VipSpec};

use crate::table::{Holder, Table, host_prefix};

/// The interface that carries the address, or why there is none, for people.
///
/// `last` is the interface found before. It stays where nothing else fits: an interface that was renamed, or that lost
/// its own addresses when it was set down, is still the one that was meant.
pub(crate) fn place(
    vip: &VipSpec,
    node: &NodeName,
    table: &Table,
    last: Option<u32>,
) -> Result<u32, String> {
    let found = match &vip.interface {
        InterfaceSpec::BySubnet => by_subnet(vip.address, table)
            .ok_or_else(|| format!("no interface has a subnet that holds {}", vip.address)),
        InterfaceSpec::Named(name) => by_name(name, table),
        InterfaceSpec::PerNode(names) => match names.get(node) {
            Some(name) => by_name(name, table),
            None => Err(format!(
                "no interface of {node} is named for {}",
                vip.address
            )),
        },
    };
    match (found, last) {
        (Err(_), Some(index)) if table.link(index).is_some() => Ok(index),
        (found, _) => found,
    }
}

fn by_name(name: &str, table: &Table) -> Result<u32, String> {
    table
        .link_named(name)
        .map(|link| link.index)
        .ok_or_else(|| format!("interface {name} does not exist"))
}

/// The longest prefix wins, then the lower index, so that every start finds the same.
fn by_subnet(address: IpAddr, table: &Table) -> Option<u32> {
    table
        .addresses()
        .filter(|(key, holder)| {
            *holder == Holder::Others
                && key.prefix < host_prefix(key.address)
                && same_subnet(key.address, address, key.prefix)
                && table.link(key.index).is_some_and(|link| !link.loopback)
        })
        .map(|(key, _)| key)
        .max_by_key(|key| (key.prefix, std::cmp::Reverse(key.index)))
        .map(|key| key.index)
}

fn same_subnet(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let (bits, difference) = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (32, u128::from(one.to_bits() ^ other.to_bits())),
        (IpAddr::V6(one), IpAddr::V6(other)) => (128, one.to_bits() ^ other.to_bits()),
        _ => return false,
    };
    difference
        .checked_shr(bits - u32::from(prefix).min(bits))
        .unwrap_or(0)
        == 0
}

/// What keeps the address from working on that interface now, for people.
pub(crate) fn obstacle(vip: &VipSpec, index: u32, table: &Table) -> Option<String> {
    if let Some(text) = held_by_others(vip.address, table) {
        return Some(text);
    }
    let link = table.link(index)?;
    let name = &link.name;
    if !link.up {
        Some(format!("interface {name} is down"))
    } else if !link.carrier {
        Some(format!("interface {name} has no carrier"))
    } else {
        None
    }
}

/// The complaint about an address that somebody else put on this host.
pub(crate) fn held_by_others(address: IpAddr, table: &Table) -> Option<String> {
    let key = table.held_by_others(address)?;
    Some(format!(
        "{address} is already configured on {} by somebody else; remove it",
        table.name_of(key.index)
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::table::{AddressKey, Change, Link};

    fn table(links: &[(u32, &str)], addresses: &[(u32, &str, u8, Holder)]) -> Table {
        let mut table = Table::default();
        for (index, name) in links {
            table.apply(Change::Link(Link {
                index: *index,
                name: (*name).into(),
                mac: None,
                loopback: *name == "lo",
                up: true,
                carrier: true,
            }));
        }
        for (index, address, prefix, holder) in addresses {
            let address = address.parse().unwrap();
            let key = AddressKey {
                index: *index,
                address,
                prefix: *prefix,
            };
            table.apply(Change::Address(key, *holder));
        }
        table
    }

    fn vip(address: &str, interface: InterfaceSpec) -> VipSpec {
        VipSpec {
            address: address.parse().unwrap(),
            prefix: 24,
            interface,
        }
    }

    const OTHERS: Holder = Holder::Others;

    #[test]
    fn the_subnet_finds_the_interface_and_the_longest_prefix_wins() {
        let node = NodeName::from("h1");
        let table = table(
            &[(1, "lo"), (2, "eth0"), (3, "eth1"), (4, "eth2")],
            &[
                (1, "127.0.0.1", 8, OTHERS),
                (2, "10.0.0.1", 8, OTHERS),
                (3, "10.77.0.1", 24, OTHERS),
                (4, "10.77.0.100", 32, Holder::Ours),
                (4, "fd00::1", 64, OTHERS),
            ],
        );
        let find = |address| place(&vip(address, InterfaceSpec::BySubnet), &node, &table, None);
        assert_eq!(find("10.77.0.100"), Ok(3));
        assert_eq!(find("10.78.0.100"), Ok(2));
        assert_eq!(find("fd00::100"), Ok(4));
        assert_eq!(
            find("192.0.2.1"),
            Err("no interface has a subnet that holds 192.0.2.1".into())
        );
        assert!(
            find("127.0.0.9").is_err(),
            "the loopback carries nothing by its subnet"
        );
    }

    #[test]
    fn a_prefix_of_zero_holds_everything_and_a_full_one_only_itself() {
        let [a, b] = ["10.0.0.1", "11.0.0.1"].map(|text| text.parse().unwrap());
        assert!(same_subnet(a, b, 0));
        assert!(!same_subnet(a, b, 32));
        assert!(same_subnet(a, a, 32));
        assert!(!same_subnet(a, "fd00::1".parse().unwrap(), 0));
    }

    #[test]
    fn names_are_per_node_where_the_file_says_so() {
        let node = NodeName::from("h2");
        let table = table(&[(2, "ens3")], &[]);
        let names = BTreeMap::from([(NodeName::from("h2"), "ens3".to_owned())]);
        let vip = vip("10.77.0.100", InterfaceSpec::PerNode(names));
        assert_eq!(place(&vip, &node, &table, None), Ok(2));
        let missing = place(&vip, &NodeName::from("h3"), &table, None);
        assert_eq!(
            missing,
            Err("no interface of h3 is named for 10.77.0.100".into())
        );
    }

    #[test]
    fn a_renamed_interface_is_still_the_one_until_it_goes() {
        let node = NodeName::from("h1");
        let vip = vip("10.77.0.100", InterfaceSpec::Named("eth0".into()));
        let renamed = table(&[(2, "wan0")], &[]);
        assert_eq!(place(&vip, &node, &renamed, Some(2)), Ok(2));
        let gone = table(&[], &[]);
        let answer = place(&vip, &node, &gone, Some(2));
        assert_eq!(answer, Err("interface eth0 does not exist".into()));
        let back = table(&[(2, "wan0"), (7, "eth0")], &[]);
        assert_eq!(place(&vip, &node, &back, Some(2)), Ok(7));
    }

    #[test]
    fn an_address_that_somebody_else_configured_is_named() {
        let table = table(&[(2, "eth0")], &[(2, "10.77.0.100", 24, OTHERS)]);
        let vip = vip("10.77.0.100", InterfaceSpec::BySubnet);
        assert_eq!(
            obstacle(&vip, 2, &table).unwrap(),
            "10.77.0.100 is already configured on eth0 by somebody else; remove it"
        );
    }
}
