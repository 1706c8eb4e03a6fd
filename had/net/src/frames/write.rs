//! Frames that leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ETHERNET_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV6, HOP_LIMIT, NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION, NEXT_HEADER_ICMPV6, OPTION_TARGET_LINK_LAYER,
};
use crate::table::Mac;

const IPV6_LEN: usize = 40;
const ARP_LEN: usize = ETHERNET_LEN + 28;
const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
const BROADCAST: Mac = Mac([0xff; 6]);
const NO_MAC: Mac = Mac([0; 6]);

/// The frames that tell a link where an address is. For IPv4 both forms, since some hosts heed only one.
pub(crate) fn announcement(address: IpAddr, mac: Mac, is_router: bool) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => vec![
            arp(ARP_REQUEST, mac, address, NO_MAC, address),
            arp(ARP_REPLY, mac, address, BROADCAST, address),
        ],
        IpAddr::V6(address) => vec![advertisement(mac, address, is_router)],
    }
}

/// The frame that asks whether anybody holds an address, without claiming it.
pub(crate) fn probe(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp(ARP_REQUEST, mac, Ipv4Addr::UNSPECIFIED, NO_MAC, address),
        IpAddr::V6(address) => solicitation(mac, address),
    }
}

fn arp(operation: u16, mac: Mac, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ETHERTYPE_ARP, ARP_LEN);
    // Ethernet (1), IPv4, their lengths.
    frame.extend([0, 1, 0x08, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(mac.0);
    frame.extend(sender.octets());
    frame.extend(target_mac.0);
    frame.extend(target.octets());
    frame
}

/// To all nodes, with the override flag: whoever knows the address learns its new place (RFC 4861 §7.2.6). The router
/// flag must say what the kernel's own answers say, else hosts drop their default route.
fn advertisement(mac: Mac, address: Ipv6Addr, is_router: bool) -> Vec<u8> {
    const ROUTER: u8 = 0x80;
    const OVERRIDE: u8 = 0x20;
    let flags = OVERRIDE | if is_router { ROUTER } else { 0 };
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut icmp = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    icmp.extend(address.octets());
    icmp.extend([OPTION_TARGET_LINK_LAYER, 1]);
    icmp.extend(mac.0);
    icmpv6(mac, address, all_nodes, icmp)
}

/// From the unspecified address to the address' solicited-node group, as in duplicate address detection.
fn solicitation(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&[a, b, c]);
    let mut icmp = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(address.octets());
    icmpv6(mac, Ipv6Addr::UNSPECIFIED, group.into(), icmp)
}

fn icmpv6(mac: Mac, source: Ipv6Addr, group: Ipv6Addr, mut icmp: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(icmp.len()).expect("a neighbour message has 24 or 32 bytes");
    let sum = checksum(source, group, &icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    // RFC 2464 §7: a group's frames go to 33:33 and its last four bytes.
    let [.., a, b, c, d] = group.octets();
    let to = Mac([0x33, 0x33, a, b, c, d]);
    let mut frame = ethernet(
        to,
        mac,
        ETHERTYPE_IPV6,
        ETHERNET_LEN + IPV6_LEN + icmp.len(),
    );
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([NEXT_HEADER_ICMPV6, HOP_LIMIT]);
    frame.extend(source.octets());
    frame.extend(group.octets());
    frame.extend(icmp);
    frame
}

fn ethernet(to: Mac, from: Mac, ethertype: u16, capacity: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(capacity);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(ethertype.to_be_bytes());
    frame
}

/// RFC 4443 §2.3: over the pseudo-header and the message, whose own checksum field is zero.
pub(super) fn checksum(source: Ipv6Addr, destination: Ipv6Addr, icmp: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum()
    };
    let length = u32::try_from(icmp.len()).expect("a neighbour message has 24 or 32 bytes");
    let mut sum = words(&source.octets())
        + words(&destination.octets())
        + length
        + u32::from(NEXT_HEADER_ICMPV6)
        + words(icmp);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}
