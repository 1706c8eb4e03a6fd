//! Rules as nftables' virtual machine reads them: expressions over registers (`linux/netfilter/nf_tables.h`).

use crate::netlink::Messages;

use super::batch::{Batch, Verb};

/// Where a value lies: the first byte of a register or of one of its four words (`enum nft_registers`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Register {
    /// What was loaded from the packet.
    Packet = 1,
    /// The word behind four bytes in [`Register::Packet`]: together a pair.
    PacketSecond = 9,
    /// The slot of a guarded address.
    Slot = 12,
    /// The word behind [`Register::Slot`]: slot and time together are looked up.
    Time = 13,
    /// The stamp on which a slot may pass.
    Stamp = 3,
}

/// How a rule ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict<'a> {
    Drop,
    Return,
    Jump(&'a str),
}

/// A field of the packet: offset from the network header and length, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field(pub(super) u32, pub(super) u32);

const NETWORK_HEADER: u32 = 1;
const META_PROTOCOL: u32 = 1;
const META_TIME_NS: u32 = 30;
const REGISTER_VERDICT: u32 = 0;
const OBJECT_COUNTER: u32 = 1;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

/// The expressions of one rule, in order; a rule ends where one of them does not match.
pub(super) struct Rule<'a>(&'a mut Messages);

/// Appends a rule to a chain.
pub(super) fn rule(batch: &mut Batch<'_>, chain: &str, expressions: impl FnOnce(&mut Rule<'_>)) {
    const CHAIN: u16 = 2;
    const EXPRESSIONS: u16 = 4;
    batch.append(Verb::NewRule, |m| {
        m.text(CHAIN, chain);
        m.nest(EXPRESSIONS, |m| expressions(&mut Rule(m)));
    });
}

impl Rule<'_> {
    /// The kernel's idea of the protocol (`meta protocol`), behind an outer VLAN tag on the way in.
    pub(super) fn protocol_is(&mut self, protocol: u16) -> &mut Self {
        self.expression("meta", |m| {
            m.be32(1, Register::Packet as u32);
            m.be32(2, META_PROTOCOL);
        });
        self.equals(&protocol.to_be_bytes())
    }

    /// A field of one byte has this value.
    pub(super) fn byte_is(&mut self, offset: u32, value: u8) -> &mut Self {
        self.load(Field(offset, 1)).equals(&[value])
    }

    /// Loads a field of the packet.
    pub(super) fn load(&mut self, field: Field) -> &mut Self {
        self.load_into(Register::Packet, field)
    }

    /// Loads a field into some place.
    pub(super) fn load_into(&mut self, to: Register, Field(offset, length): Field) -> &mut Self {
        self.expression("payload", |m| {
            m.be32(1, to as u32);
            m.be32(2, NETWORK_HEADER);
            m.be32(3, offset);
            m.be32(4, length);
        })
    }

    /// Loads the wall clock, nanoseconds since 1970, most significant byte first, as ranges compare.
    pub(super) fn load_time(&mut self) -> &mut Self {
        const TO_NETWORK_ORDER: u32 = 1;
        self.expression("meta", |m| {
            m.be32(1, Register::Time as u32);
            m.be32(2, META_TIME_NS);
        });
        self.expression("byteorder", |m| {
            m.be32(1, Register::Time as u32);
            m.be32(2, Register::Time as u32);
            m.be32(3, TO_NETWORK_ORDER);
            m.be32(4, 8);
            m.be32(5, 8);
        })
    }

    fn equals(&mut self, value: &[u8]) -> &mut Self {
        const EQUAL: u32 = 0;
        self.expression("cmp", |m| {
            m.be32(1, Register::Packet as u32);
            m.be32(2, EQUAL);
            m.nest(3, |m| m.attribute(DATA_VALUE, value));
        })
    }

    /// What lies there is in this set.
    pub(super) fn is_in(&mut self, from: Register, set: &str) -> &mut Self {
        self.expression("lookup", |m| {
            m.text(1, set);
            m.be32(2, from as u32);
        })
    }

    /// What lies there is in this map; what it maps to goes to another place.
    pub(super) fn maps(&mut self, from: Register, map: &str, to: Register) -> &mut Self {
        self.expression("lookup", |m| {
            m.text(1, map);
            m.be32(2, from as u32);
            m.be32(3, to as u32);
        })
    }

    /// Counts the packet.
    pub(super) fn count(&mut self, counter: &str) -> &mut Self {
        self.expression("objref", |m| {
            m.be32(1, OBJECT_COUNTER);
            m.text(2, counter);
        })
    }

    pub(super) fn verdict(&mut self, verdict: Verdict<'_>) {
        const CODE: u16 = 1;
        const CHAIN: u16 = 2;
        let (code, chain) = match verdict {
            Verdict::Drop => (0i32, None),
            Verdict::Return => (-5, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
        };
        self.expression("immediate", |m| {
            m.be32(1, REGISTER_VERDICT);
            m.nest(2, |m| {
                m.nest(DATA_VERDICT, |m| {
                    m.attribute(CODE, &code.to_be_bytes());
                    if let Some(chain) = chain {
                        m.text(CHAIN, chain);
                    }
                });
            });
        });
    }

    fn expression(&mut self, name: &str, data: impl FnOnce(&mut Messages)) -> &mut Self {
        const LIST_ELEMENT: u16 = 1;
        const NAME: u16 = 1;
        const DATA: u16 = 2;
        self.0.nest(LIST_ELEMENT, |m| {
            m.text(NAME, name);
            m.nest(DATA, data);
        });
        self
    }
}
