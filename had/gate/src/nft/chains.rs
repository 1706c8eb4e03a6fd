//! The table's chains: two at each interface, and what they jump to.
//!
//! ```text
//!  in-eth0  ─▶ ingress ─▶ daddr4, arp-target, daddr6, nd-target
//!  out-eth0 ─▶ egress ──▶ saddr4, arp-sender, saddr6, nd-advertised
//!
//!  each of these:  address ─▶ slot; slot, wall clock ─▶ granted stamp ─▶ armed: return
//!                  address guarded: count, drop
//! ```

use crate::netlink::{Attributes, Messages};

use super::batch::{Batch, Verb};
use super::expression::{Field, Register, Rule, Verdict, rule};
use super::sets::{ANNOUNCED, ARMED, GRANTED, GUARDED4, GUARDED6};

pub(super) const IN: &str = "in";
pub(super) const OUT: &str = "out";

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// Before every other chain on the interface.
const PRIORITY: i32 = -1000;
pub(super) const CHAIN_NAME: u16 = 3;
const RULE_CHAIN: u16 = 2;

/// Where a guarded address may stand in a packet. ARP: RFC 826 with hardware addresses of six bytes.
struct Place {
    chain: &'static str,
    protocol: u16,
    /// ICMPv6 messages of this type alone (RFC 4861 §4.3, §4.4).
    message: Option<u8>,
    field: Field,
    guarded: &'static str,
}

const ARP_SENDER: Field = Field(14, 4);
const ARP_TARGET: Field = Field(24, 4);
const TARGET: Field = Field(48, 16);

#[rustfmt::skip]
const INGRESS: [Place; 4] = [
    Place { chain: "daddr4", protocol: IPV4, message: None, field: Field(16, 4), guarded: GUARDED4 },
    Place { chain: "arp-target", protocol: ARP, message: None, field: ARP_TARGET, guarded: GUARDED4 },
    Place { chain: "daddr6", protocol: IPV6, message: None, field: Field(24, 16), guarded: GUARDED6 },
    Place { chain: "nd-target", protocol: IPV6, message: Some(135), field: TARGET, guarded: GUARDED6 },
];
#[rustfmt::skip]
const EGRESS: [Place; 4] = [
    Place { chain: "saddr4", protocol: IPV4, message: None, field: Field(12, 4), guarded: GUARDED4 },
    Place { chain: "arp-sender", protocol: ARP, message: None, field: ARP_SENDER, guarded: GUARDED4 },
    Place { chain: "saddr6", protocol: IPV6, message: None, field: Field(8, 16), guarded: GUARDED6 },
    Place { chain: "nd-advertised", protocol: IPV6, message: Some(136), field: TARGET, guarded: GUARDED6 },
];

/// Makes the counters, starting with what an earlier life counted, and the chains that judge.
pub(super) fn create_all(batch: &mut Batch<'_>, dropped: [u64; 2]) {
    for ((direction, places), packets) in [("ingress", (IN, &INGRESS)), ("egress", (OUT, &EGRESS))]
        .into_iter()
        .zip(dropped)
    {
        let (counter, places) = places;
        create_counter(batch, counter, packets);
        create_chain(batch, direction, |_| {});
        for place in places {
            create_chain(batch, place.chain, |_| {});
            judge(batch, place, counter);
            rule(batch, direction, |r| lead_to(r, place));
        }
    }
}

fn lead_to(r: &mut Rule<'_>, place: &Place) {
    const NEXT_HEADER_AT: u32 = 6;
    const ICMPV6: u8 = 58;
    const MESSAGE_AT: u32 = 40;
    r.protocol_is(place.protocol);
    if let Some(message) = place.message {
        r.byte_is(NEXT_HEADER_AT, ICMPV6)
            .byte_is(MESSAGE_AT, message);
    }
    r.verdict(Verdict::Jump(place.chain));
}

fn judge(batch: &mut Batch<'_>, place: &Place, counter: &str) {
    if place.field == ARP_TARGET {
        // RFC 5227 §3: what others announce keeps this host's neighbour table right.
        rule(batch, place.chain, |r| {
            r.load(ARP_SENDER)
                .load_into(Register::PacketSecond, ARP_TARGET);
            r.is_in(Register::Packet, ANNOUNCED)
                .verdict(Verdict::Return);
        });
    }
    rule(batch, place.chain, |r| {
        r.load(place.field)
            .maps(Register::Packet, place.guarded, Register::Slot);
        r.load_time().maps(Register::Slot, GRANTED, Register::Stamp);
        r.is_in(Register::Stamp, ARMED).verdict(Verdict::Return);
    });
    rule(batch, place.chain, |r| {
        r.load(place.field)
            .maps(Register::Packet, place.guarded, Register::Slot);
        r.count(counter).verdict(Verdict::Drop);
    });
}

/// Hooks an interface both ways.
pub(super) fn hook(batch: &mut Batch<'_>, interface: &str) {
    const HOOK: u16 = 4;
    const KIND: u16 = 7;
    for (number, direction, target) in [(0u32, IN, "ingress"), (1, OUT, "egress")] {
        let name = base_chain(direction, interface);
        create_chain(batch, &name, |m| {
            m.nest(HOOK, |m| {
                m.be32(1, number);
                m.attribute(2, &PRIORITY.to_be_bytes());
                m.text(3, interface);
            });
            m.text(KIND, "filter");
        });
        rule(batch, &name, |r| r.verdict(Verdict::Jump(target)));
    }
}

/// Takes one chain of an interface away, with its rule.
pub(super) fn unhook(batch: &mut Batch<'_>, base_chain: &str) {
    batch.delete(Verb::DeleteRule, |m| m.text(RULE_CHAIN, base_chain));
    batch.delete(Verb::DeleteChain, |m| m.text(CHAIN_NAME, base_chain));
}

/// The chain of an interface.
pub(super) fn base_chain(direction: &str, interface: &str) -> String {
    format!("{direction}-{interface}")
}

fn create_chain(batch: &mut Batch<'_>, name: &str, more: impl FnOnce(&mut Messages)) {
    batch.create(Verb::NewChain, |m| {
        m.text(CHAIN_NAME, name);
        more(m);
    });
}

/// Whether a chain of this name is one of [`base_chain`]'s.
pub(super) fn is_base(name: &str) -> bool {
    [IN, OUT].iter().any(|way| {
        name.strip_prefix(way)
            .is_some_and(|rest| rest.starts_with('-'))
    })
}

const COUNTER: u32 = 1;
const OBJECT_DATA: u16 = 4;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

fn create_counter(batch: &mut Batch<'_>, name: &str, packets: u64) {
    batch.create(Verb::NewObject, |m| {
        name_counter(m, name);
        m.nest(OBJECT_DATA, |m| {
            m.attribute(COUNTER_BYTES, &0u64.to_be_bytes());
            m.attribute(COUNTER_PACKETS, &packets.to_be_bytes());
        });
    });
}

/// Says which counter is meant.
pub(super) fn name_counter(m: &mut Messages, name: &str) {
    const OBJECT_NAME: u16 = 2;
    const OBJECT_TYPE: u16 = 3;
    m.text(OBJECT_NAME, name);
    m.be32(OBJECT_TYPE, COUNTER);
}

/// The packets of a counter as the kernel shows it.
pub(super) fn counted(object: Attributes<'_>) -> Option<u64> {
    let data = Attributes(object.get(OBJECT_DATA)?);
    Some(u64::from_be_bytes(
        data.get(COUNTER_PACKETS)?.try_into().ok()?,
    ))
}
