//! What the gate is shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::frames::{
    ADVERTISEMENT, ARP, IPV4, IPV6, REPLY, REQUEST, SOLICITATION, Way, arp, ethernet, ipv4,
    neighbour, udp4, udp6,
};
use crate::lab::{HOST, HOST6, PEER, PEER6, VIPS, VIPS6};

pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Everything that carries a guarded address, by direction.
pub(crate) fn guarded(group: usize) -> Vec<(Way, &'static str, Vec<u8>)> {
    let (vip, vip6) = (VIPS[group], VIPS6[group]);
    vec![
        (
            Way::In,
            "udp to it",
            ethernet(Way::In, IPV4, &udp4(PEER, vip)),
        ),
        (
            Way::In,
            "options",
            ethernet(Way::In, IPV4, &ipv4(PEER, vip, 8, 0, b"had")),
        ),
        (
            Way::In,
            "later fragment",
            ethernet(Way::In, IPV4, &ipv4(PEER, vip, 0, 5, b"had")),
        ),
        (
            Way::In,
            "arp request for it",
            ethernet(Way::In, ARP, &arp(REQUEST, PEER, vip)),
        ),
        (
            Way::In,
            "arp probe for it",
            ethernet(Way::In, ARP, &arp(REQUEST, NOBODY, vip)),
        ),
        (
            Way::In,
            "arp reply to it",
            ethernet(Way::In, ARP, &arp(REPLY, PEER, vip)),
        ),
        (
            Way::In,
            "udp6 to it",
            ethernet(Way::In, IPV6, &udp6(PEER6, vip6)),
        ),
        (
            Way::In,
            "solicitation for it",
            ethernet(Way::In, IPV6, &neighbour(SOLICITATION, PEER6, HOST6, vip6)),
        ),
        (
            Way::Out,
            "udp from it",
            ethernet(Way::Out, IPV4, &udp4(vip, PEER)),
        ),
        (
            Way::Out,
            "options",
            ethernet(Way::Out, IPV4, &ipv4(vip, PEER, 8, 0, b"had")),
        ),
        (
            Way::Out,
            "later fragment",
            ethernet(Way::Out, IPV4, &ipv4(vip, PEER, 0, 5, b"had")),
        ),
        (
            Way::Out,
            "arp reply from it",
            ethernet(Way::Out, ARP, &arp(REPLY, vip, PEER)),
        ),
        (
            Way::Out,
            "arp request from it",
            ethernet(Way::Out, ARP, &arp(REQUEST, vip, PEER)),
        ),
        (
            Way::Out,
            "gratuitous request",
            ethernet(Way::Out, ARP, &arp(REQUEST, vip, vip)),
        ),
        (
            Way::Out,
            "gratuitous reply",
            ethernet(Way::Out, ARP, &arp(REPLY, vip, vip)),
        ),
        (
            Way::Out,
            "udp6 from it",
            ethernet(Way::Out, IPV6, &udp6(vip6, PEER6)),
        ),
        (
            Way::Out,
            "advertisement of it",
            ethernet(
                Way::Out,
                IPV6,
                &neighbour(ADVERTISEMENT, HOST6, ALL_NODES, vip6),
            ),
        ),
        (
            Way::Out,
            "solicitation from it",
            ethernet(Way::Out, IPV6, &neighbour(SOLICITATION, vip6, PEER6, PEER6)),
        ),
    ]
}

/// What names a guarded address without using it, and what does not name one.
pub(crate) fn harmless() -> Vec<(Way, &'static str, Vec<u8>)> {
    let (vip, vip6) = (VIPS[0], VIPS6[0]);
    vec![
        (
            Way::In,
            "udp to the host",
            ethernet(Way::In, IPV4, &udp4(PEER, HOST)),
        ),
        (
            Way::In,
            "the owner's udp",
            ethernet(Way::In, IPV4, &udp4(vip, HOST)),
        ),
        (
            Way::In,
            "the owner's arp reply",
            ethernet(Way::In, ARP, &arp(REPLY, vip, HOST)),
        ),
        (
            Way::In,
            "the owner's announcement",
            ethernet(Way::In, ARP, &arp(REQUEST, vip, vip)),
        ),
        (
            Way::In,
            "arp for the host",
            ethernet(Way::In, ARP, &arp(REQUEST, PEER, HOST)),
        ),
        (
            Way::In,
            "the owner's udp6",
            ethernet(Way::In, IPV6, &udp6(vip6, HOST6)),
        ),
        (
            Way::In,
            "the owner's advertisement",
            ethernet(
                Way::In,
                IPV6,
                &neighbour(ADVERTISEMENT, vip6, ALL_NODES, vip6),
            ),
        ),
        (
            Way::Out,
            "udp from the host",
            ethernet(Way::Out, IPV4, &udp4(HOST, PEER)),
        ),
        (
            Way::Out,
            "udp to the owner",
            ethernet(Way::Out, IPV4, &udp4(HOST, vip)),
        ),
        (
            Way::Out,
            "arp probe",
            ethernet(Way::Out, ARP, &arp(REQUEST, NOBODY, vip)),
        ),
        (
            Way::Out,
            "arp request for it",
            ethernet(Way::Out, ARP, &arp(REQUEST, HOST, vip)),
        ),
        (
            Way::Out,
            "udp6 to the owner",
            ethernet(Way::Out, IPV6, &udp6(HOST6, vip6)),
        ),
        (
            Way::Out,
            "duplicate address detection",
            ethernet(
                Way::Out,
                IPV6,
                &neighbour(SOLICITATION, Ipv6Addr::UNSPECIFIED, ALL_NODES, vip6),
            ),
        ),
    ]
}
