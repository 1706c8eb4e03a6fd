//! Frames that arrive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ETHERNET_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV6, HOP_LIMIT, NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION, NEXT_HEADER_ICMPV6, OPTION_TARGET_LINK_LAYER,
};
use crate::table::Mac;

/// Where the options begin: behind Ethernet, IPv6, the ICMPv6 header and the target.
const OPTIONS_AT: usize = ETHERNET_LEN + 40 + 24;

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

pub(super) fn bytes<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}
