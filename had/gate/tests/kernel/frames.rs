//! Frames as bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lab::{HOST_MAC, PEER_MAC};

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const REQUEST: u16 = 1;
pub(crate) const REPLY: u16 = 2;
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;

/// Which way a frame goes: into the host or out of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    In,
    Out,
}

pub(crate) fn ethernet(way: Way, kind: u16, payload: &[u8]) -> Vec<u8> {
    let (to, from) = match way {
        Way::In => (HOST_MAC, PEER_MAC),
        Way::Out => (PEER_MAC, HOST_MAC),
    };
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// The same frame behind an inline VLAN tag.
pub(crate) fn tagged(frame: &[u8], kind: u16) -> Vec<u8> {
    [&frame[..12], &kind.to_be_bytes(), &[0, 7], &frame[12..]].concat()
}

pub(crate) fn arp(operation: u16, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let header = [0, 1, 8, 0, 6, 4];
    let [high, low] = operation.to_be_bytes();
    let (mac, unknown) = ([2, 0, 0, 0, 0, 9], [0; 6]);
    [
        &header[..],
        &[high, low],
        &mac,
        &sender.octets(),
        &unknown,
        &target.octets(),
    ]
    .concat()
}

/// A UDP packet, with so many bytes of options and this fragment field.
pub(crate) fn ipv4(
    source: Ipv4Addr,
    to: Ipv4Addr,
    options: usize,
    fragment: u16,
    data: &[u8],
) -> Vec<u8> {
    let words = 5 + options / 4;
    let length = u16::try_from(words * 4 + 8 + data.len()).unwrap();
    let udp_length = u16::try_from(8 + data.len()).unwrap();
    let mut header = vec![0x40 | u8::try_from(words).unwrap(), 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 1]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, 17, 0, 0]);
    header.extend(source.octets());
    header.extend(to.octets());
    header.extend(std::iter::repeat_n(1, options));
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend([0x12, 0x34, 0x12, 0x34]);
    header.extend(udp_length.to_be_bytes());
    header.extend([0, 0]);
    header.extend(data);
    header
}

pub(crate) fn udp4(source: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    ipv4(source, to, 0, 0, b"had")
}

pub(crate) fn udp6(source: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    ipv6(
        source,
        to,
        17,
        &[0x12, 0x34, 0x12, 0x34, 0, 11, 0, 1, b'h', b'a', b'd'],
    )
}

/// A neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4).
pub(crate) fn neighbour(kind: u8, source: Ipv6Addr, to: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..]].concat();
    ipv6(source, to, 58, &message)
}

fn ipv6(source: Ipv6Addr, to: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([next, 255]);
    packet.extend(source.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
