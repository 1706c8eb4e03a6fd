//! ARP and neighbour discovery frames, written and read byte by byte. Pure.
//!
//! | frame | bytes | source |
//! | --- | --- | --- |
//! | gratuitous ARP, as request and as reply | 42 | RFC 5227 §2.3, RFC 5944 §4.6 |
//! | ARP probe | 42 | RFC 5227 §2.1.1 |
//! | unsolicited neighbour advertisement | 86 | RFC 4861 §4.4, §7.2.6 |
//! | neighbour solicitation as a probe | 78 | RFC 4862 §5.4.2 |

mod read;
mod write;

pub(crate) use read::{Sighting, sighting};
pub(crate) use write::{announcement, probe};

pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(crate) const NEXT_HEADER_ICMPV6: u8 = 58;
pub(crate) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(crate) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const ETHERNET_LEN: usize = 14;
const OPTION_TARGET_LINK_LAYER: u8 = 2;
/// RFC 4861: such packets are taken only with this hop limit, so that none comes from beyond the link.
const HOP_LIMIT: u8 = 255;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::read::bytes;
    use super::write::checksum;
    use super::*;
    use crate::table::Mac;

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
