//! What the kernel says about interfaces and addresses, kept up to date by its events.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The kernel's number: stays through a change of name.
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Where it speaks Ethernet; only there is anything announced or watched.
    pub(crate) mac: Option<Mac>,
    pub(crate) loopback: bool,
    /// Set up by its administrator.
    pub(crate) up: bool,
    /// The cable, the switch or the peer is there.
    pub(crate) carrier: bool,
}

impl Link {
    /// Whether packets can leave.
    pub(crate) fn is_usable(&self) -> bool {
        self.up && self.carrier
    }
}

/// What tells one configured address from another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct AddressKey {
    /// Of the interface.
    pub(crate) index: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

impl AddressKey {
    /// A virtual IP is always put on as a host address (see the crate's documentation).
    pub(crate) fn host(index: u32, address: IpAddr) -> Self {
        Self {
            index,
            address,
            prefix: host_prefix(address),
        }
    }
}

/// 32 or 128.
pub(crate) fn host_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Who put an address on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// This cluster's daemon, in this life or an earlier one.
    Ours,
    /// Anybody else.
    Others,
}

/// One thing that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Link(Link),
    LinkGone(u32),
    /// IPv6 was switched on or off on an interface, or comes up there: what was refused may be possible now.
    Switched(u32),
    Address(AddressKey, Holder),
    AddressGone(AddressKey),
}

/// Interfaces and addresses of this network namespace.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    links: BTreeMap<u32, Link>,
    addresses: BTreeMap<AddressKey, Holder>,
}

impl Table {
    /// Takes in one change. Applying an old event again does no harm once all later ones followed.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                self.links.insert(link.index, link);
            }
            Change::Switched(_) => {}
            Change::LinkGone(index) => {
                self.links.remove(&index);
                self.addresses.retain(|key, _| key.index != index);
            }
            Change::Address(key, holder) => {
                self.addresses.insert(key, holder);
            }
            Change::AddressGone(key) => {
                self.addresses.remove(&key);
            }
        }
    }

    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(crate) fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The interface's name for people, or its number where it is gone.
    pub(crate) fn name_of(&self, index: u32) -> String {
        self.link(index)
            .map_or_else(|| format!("interface {index}"), |link| link.name.clone())
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&AddressKey, Holder)> {
        self.addresses.iter().map(|(key, holder)| (key, *holder))
    }

    /// Whether our address is on that interface.
    pub(crate) fn holds(&self, key: &AddressKey) -> bool {
        self.addresses.get(key) == Some(&Holder::Ours)
    }

    /// Where somebody else configured this address on this host.
    pub(crate) fn held_by_others(&self, address: IpAddr) -> Option<&AddressKey> {
        self.addresses()
            .find(|(key, holder)| key.address == address && *holder == Holder::Others)
            .map(|(key, _)| key)
    }

    /// Everything that decides whether a change to this address can succeed: equal where nothing happened.
    pub(crate) fn about(&self, key: AddressKey) -> (Option<&Link>, Vec<(&AddressKey, Holder)>) {
        let holders = self
            .addresses()
            .filter(|(held, _)| held.address == key.address);
        (self.link(key.index), holders.collect())
    }

    /// Our own addresses, wanted or not.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &AddressKey> {
        self.addresses()
            .filter(|(_, holder)| *holder == Holder::Ours)
            .map(|(key, _)| key)
    }

    /// Whether a hardware address belongs to one of this host's interfaces. Linux answers for any of its addresses on any
    /// of its links, so a claim from one of them is our own.
    pub(crate) fn has_mac(&self, mac: Mac) -> bool {
        self.links.values().any(|link| link.mac == Some(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.into(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            loopback: false,
            up: true,
            carrier: true,
        }
    }

    #[test]
    fn an_interface_that_goes_takes_its_addresses_along() {
        let mut table = Table::default();
        let vip = AddressKey::host(2, "10.77.0.100".parse().unwrap());
        table.apply(Change::Link(link(2, "eth0")));
        table.apply(Change::Address(vip, Holder::Ours));
        assert!(table.holds(&vip));
        table.apply(Change::LinkGone(2));
        assert!(!table.holds(&vip));
        assert!(!table.has_mac(Mac([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn events_replayed_over_a_newer_dump_end_where_the_dump_stood() {
        let vip = AddressKey::host(2, "10.77.0.100".parse().unwrap());
        let events = [
            Change::Address(vip, Holder::Ours),
            Change::AddressGone(vip),
            Change::Link(link(2, "wan0")),
        ];
        let mut dump = Table::default();
        dump.apply(Change::Link(link(2, "wan0")));
        let mut replayed = dump.clone();
        for event in events {
            replayed.apply(event);
        }
        assert_eq!(replayed, dump);
    }

    #[test]
    fn hardware_addresses_are_written_as_people_know_them() {
        assert_eq!(Mac([2, 0, 0xab, 0, 0, 1]).to_string(), "02:00:ab:00:00:01");
    }
}
