//! Netlink messages into the table's words, and how our addresses are marked.

use std::net::IpAddr;

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::ADDRESS_PROTOCOL;
use crate::table::{AddressKey, Change, Holder, Link, Mac};

/// Tells this cluster's addresses from those of another cluster's daemon on the same host. It is stored as the address'
/// route priority, which has no other effect on an address without a prefix route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag(u32);

impl Tag {
    /// FNV-1a of the cluster's name; never 0, which is what unmarked addresses have.
    pub(crate) fn of(cluster: &str) -> Self {
        let hash = cluster.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(hash.max(1))
    }
}

/// What a message of the kernel says, where it concerns interfaces or addresses.
pub(crate) fn change_of(message: &RouteNetlinkMessage, tag: Tag) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(link)
            if link.header.interface_family == AddressFamily::Inet6 =>
        {
            Some(Change::Switched(link.header.index))
        }
        RouteNetlinkMessage::NewLink(link) => link_of(link).map(Change::Link),
        RouteNetlinkMessage::DelLink(link) => {
            is_plain(link).then_some(Change::LinkGone(link.header.index))
        }
        RouteNetlinkMessage::NewAddress(address) => {
            let key = key_of(address)?;
            Some(Change::Address(key, holder_of(address, tag)))
        }
        RouteNetlinkMessage::DelAddress(address) => key_of(address).map(Change::AddressGone),
        _ => None,
    }
}

/// Bridges speak of their ports under the same types in a family of their own: a port that leaves is no interface gone.
fn is_plain(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Unspec
}

/// `None` for what names no interface in full (wireless events carry only their own attribute).
pub(crate) fn link_of(message: &LinkMessage) -> Option<Link> {
    if !is_plain(message) {
        return None;
    }
    let name = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })?;
    let mac = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok().map(Mac),
            _ => None,
        });
    let flags = message.header.flags;
    Some(Link {
        index: message.header.index,
        name,
        mac: mac.filter(|_| message.header.link_layer_type == LinkLayerType::Ether),
        loopback: flags.contains(LinkFlags::Loopback),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
    })
}

/// With a peer, `IFA_LOCAL` is the address and `IFA_ADDRESS` the peer's; without, they are equal or only the second is there.
pub(crate) fn key_of(message: &AddressMessage) -> Option<AddressKey> {
    let local = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
    let plain = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
    let address = local.or(plain)?;
    Some(AddressKey {
        index: message.header.index,
        address,
        prefix: message.header.prefix_len,
    })
}

/// Ours bears our tag and our protocol number. A kernel before 5.18 keeps no protocol of addresses: there the tag decides.
pub(crate) fn holder_of(message: &AddressMessage, tag: Tag) -> Holder {
    let mut protocol = 0;
    let mut priority = 0;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Protocol(value) => protocol = u8::from(*value),
            AddressAttribute::RoutePriority(value) => priority = *value,
            _ => {}
        }
    }
    if priority == tag.0 && (protocol == ADDRESS_PROTOCOL || protocol == 0) {
        Holder::Ours
    } else {
        Holder::Others
    }
}

/// The message that names one of our addresses, enough to remove it.
pub(crate) fn naming(key: &AddressKey) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = key.index;
    message.header.prefix_len = key.prefix;
    message
        .attributes
        .push(AddressAttribute::Address(key.address));
    match key.address {
        IpAddr::V4(_) => {
            message.header.family = AddressFamily::Inet;
            message
                .attributes
                .push(AddressAttribute::Local(key.address));
        }
        IpAddr::V6(_) => message.header.family = AddressFamily::Inet6,
    }
    message
}

/// The message that puts one of our addresses on: no prefix route, no duplicate address detection (the lease decides who
/// has it, and the detection would hold it back for a second), and deprecated, so that nothing on this host chooses an
/// IPv6 address of ours as its source.
pub(crate) fn putting_on(key: &AddressKey, tag: Tag) -> AddressMessage {
    let mut message = naming(key);
    let mut flags = AddressFlags::Noprefixroute;
    if key.address.is_ipv6() {
        flags |= AddressFlags::Nodad;
        message.header.flags |= AddressHeaderFlags::Nodad;
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = u32::MAX;
        lifetime.ifa_preferred = 0;
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetime));
    }
    message.attributes.push(AddressAttribute::Flags(flags));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::Other(
            ADDRESS_PROTOCOL,
        )));
    message
        .attributes
        .push(AddressAttribute::RoutePriority(tag.0));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AddressKey {
        AddressKey::host(2, "10.77.0.100".parse().unwrap())
    }

    #[test]
    fn what_we_put_on_is_ours_and_not_another_clusters() {
        let message = putting_on(&key(), Tag::of("web"));
        assert_eq!(key_of(&message), Some(key()));
        assert_eq!(holder_of(&message, Tag::of("web")), Holder::Ours);
        assert_eq!(holder_of(&message, Tag::of("mail")), Holder::Others);
        assert_eq!(holder_of(&naming(&key()), Tag::of("web")), Holder::Others);
    }

    #[test]
    fn without_the_kernels_protocol_the_tag_decides() {
        let mut message = putting_on(&key(), Tag::of("web"));
        message
            .attributes
            .retain(|attribute| !matches!(attribute, AddressAttribute::Protocol(_)));
        assert_eq!(holder_of(&message, Tag::of("web")), Holder::Ours);
        message
            .attributes
            .push(AddressAttribute::Protocol(AddressProtocol::Other(18)));
        assert_eq!(holder_of(&message, Tag::of("web")), Holder::Others);
    }

    #[test]
    fn a_port_that_leaves_a_bridge_is_no_interface_gone() {
        let mut link = LinkMessage::default();
        link.header.index = 2;
        assert_eq!(
            change_of(&RouteNetlinkMessage::DelLink(link.clone()), Tag::of("web")),
            Some(Change::LinkGone(2))
        );
        link.header.interface_family = AddressFamily::Bridge;
        assert_eq!(
            change_of(&RouteNetlinkMessage::DelLink(link), Tag::of("web")),
            None
        );
    }
}
