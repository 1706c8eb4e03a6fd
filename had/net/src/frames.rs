//! ARP and neighbour discovery frames, written and read byte by byte. Pure.
//!
//! | frame | bytes | source |
//! | --- | --- | --- |
//! | gratuitous ARP, as request and as reply | 42 | RFC 5227 §2.3, RFC 5944 §4.6 |
//! | ARP probe | 42 | RFC 5227 §2.1.1 |
//! | unsolicited neighbour advertisement | 86 | RFC 4861 §4.4, §7.2.6 |
//! | neighbour solicitation as a probe | 78 | RFC 4862 §5.4.2 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::table::Mac;

pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(crate) const NEXT_HEADER_ICMPV6: u8 = 58;
pub(crate) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(crate) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const ETHERNET_LEN: usize = 14;
const IPV6_LEN: usize = 40;
const ARP_LEN: usize = ETHERNET_LEN + 28;
/// Ethernet, IPv6, ICMPv6 header and target: where the options begin.
const OPTIONS_AT: usize = ETHERNET_LEN + IPV6_LEN + 24;
const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
const BROADCAST: Mac = Mac([0xff; 6]);
const NO_MAC: Mac = Mac([0; 6]);
const OPTION_TARGET_LINK_LAYER: u8 = 2;
/// RFC 4861: such packets are taken only with this hop limit, so that none comes from beyond the link.
const HOP_LIMIT: u8 = 255;

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
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, icmp: &[u8]) -> u16 {
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

/// Somebody says where an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sighting {
    /// The address.
    pub(crate) address: IpAddr,
    /// Where it is said to be.
    pub(crate) mac: Mac,
}

/// What a frame claims; `None` for everything that claims nothing, probes among it.
pub(crate) fn sighting(frame: &[u8]) -> Option<Sighting> {
    match u16::from_be_bytes(bytes(frame, 12)?) {
        ETHERTYPE_ARP => arp_sighting(frame),
        ETHERTYPE_IPV6 => neighbour_sighting(frame),
        _ => None,
    }
}

fn arp_sighting(frame: &[u8]) -> Option<Sighting> {
    if bytes(frame, ETHERNET_LEN)? != [0, 1, 0x08, 0, 6, 4] {
        return None;
    }
    let mac = Mac(bytes(frame, 22)?);
    let address = Ipv4Addr::from(bytes::<4>(frame, 28)?);
    // A sender of 0.0.0.0 asks and claims nothing (RFC 5227 §2.1.1).
    (!address.is_unspecified()).then_some(Sighting {
        address: address.into(),
        mac,
    })
}

fn neighbour_sighting(frame: &[u8]) -> Option<Sighting> {
    let [next_header, hop_limit] = bytes(frame, 20)?;
    if next_header != NEXT_HEADER_ICMPV6 || hop_limit != HOP_LIMIT {
        return None;
    }
    let source = Ipv6Addr::from(bytes::<16>(frame, 22)?);
    let from = Mac(bytes(frame, 6)?);
    let [kind] = bytes(frame, 54)?;
    match kind {
        NEIGHBOUR_ADVERTISEMENT => {
            let target = Ipv6Addr::from(bytes::<16>(frame, 62)?);
            let mac = match bytes(frame, OPTIONS_AT) {
                Some([OPTION_TARGET_LINK_LAYER, 1]) => Mac(bytes(frame, OPTIONS_AT + 2)?),
                _ => from,
            };
            Some(Sighting {
                address: target.into(),
                mac,
            })
        }
        // Who asks *from* the address uses it; who asks from nowhere only probes.
        NEIGHBOUR_SOLICITATION if !source.is_unspecified() => Some(Sighting {
            address: source.into(),
            mac: from,
        }),
        _ => None,
    }
}

fn bytes<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn v4() -> IpAddr {
        "10.77.0.100".parse().unwrap()
    }

    fn v6() -> IpAddr {
        "fd00::64".parse().unwrap()
    }

    #[test]
    fn gratuitous_arp_is_a_request_and_a_reply_about_oneself() {
        let frames = announcement(v4(), MAC, false);
        let request = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, // ARP request
            2, 0, 0, 0, 0, 1, 10, 77, 0, 100, // sender
            0, 0, 0, 0, 0, 0, 10, 77, 0, 100, // target
        ];
        assert_eq!(frames[0], request);
        assert_eq!(frames[1][20..22], [0, 2]);
        assert_eq!(frames[1][32..38], [0xff; 6]);
        assert_eq!(frames.len(), 2);
        for frame in &frames {
            assert_eq!(
                sighting(frame),
                Some(Sighting {
                    address: v4(),
                    mac: MAC
                })
            );
        }
    }

    #[test]
    fn a_probe_claims_nothing() {
        let frame = probe(v4(), MAC);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[28..32], [0; 4]);
        assert_eq!(frame[38..42], [10, 77, 0, 100]);
        assert_eq!(sighting(&frame), None);
        assert_eq!(sighting(&probe(v6(), MAC)), None);
    }

    #[test]
    fn the_advertisement_overrides_and_its_checksum_holds() {
        let frame = announcement(v6(), MAC, false).remove(0);
        assert_eq!(frame.len(), 86);
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(frame[58], 0x20);
        assert_eq!(frame[78..86], [2, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(verify(&frame), 0);
        assert_eq!(
            sighting(&frame),
            Some(Sighting {
                address: v6(),
                mac: MAC
            })
        );
        assert_eq!(announcement(v6(), MAC, true)[0][58], 0xa0);
    }

    #[test]
    fn the_solicitation_goes_to_the_group_of_the_address() {
        let frame = probe("fd00::12:3456".parse().unwrap(), MAC);
        assert_eq!(frame.len(), 78);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame[22..38], [0; 16]);
        assert_eq!(verify(&frame), 0);
    }

    /// A receiver's sum over a message with its checksum in place is zero.
    fn verify(frame: &[u8]) -> u16 {
        let address = |at| Ipv6Addr::from(bytes::<16>(frame, at).unwrap());
        checksum(address(22), address(38), &frame[54..])
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_read_without_harm() {
        for frame in [
            announcement(v4(), MAC, false).remove(0),
            announcement(v6(), MAC, true).remove(0),
        ] {
            for length in 0..frame.len() {
                let _ = sighting(&frame[..length]);
            }
            for at in 0..frame.len() {
                let mut bent = frame.clone();
                bent[at] ^= 0xff;
                let _ = sighting(&bent);
            }
        }
        assert_eq!(
            sighting(&announcement(v4(), MAC, false)[0][..41]).map(|s| s.mac),
            Some(MAC)
        );
        assert_eq!(sighting(&announcement(v4(), MAC, false)[0][..31]), None);
    }

    #[test]
    fn a_neighbour_message_from_beyond_the_link_is_no_claim() {
        let mut frame = announcement(v6(), MAC, false).remove(0);
        frame[21] = 254;
        assert_eq!(sighting(&frame), None);
    }
}
