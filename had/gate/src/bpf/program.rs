//! The program that judges every packet.
//!
//! ```text
//!  frame ─▶ protocol (behind at most two inline VLAN tags)
//!            ├─ IPv4 ──▶ daddr in, saddr out ──────────────┐
//!            ├─ ARP ───▶ target in, sender out ────────────┤
//!            ├─ IPv6 ──▶ daddr in, saddr out; then the     ├─▶ address ─▶ slot ─▶ deadline > now ?
//!            │           target of NS in, of NA out ───────┘    │ none         │ yes       │ no
//!            └─ else ──▶ pass                                   pass           pass        drop
//! ```
//!
//! What is *not* judged is as deliberate: the source on the way in and the destination on the way out, so
//! that this host can be a client of the address and hears foreign claims; ARP announcements of others
//! (sender equals target, RFC 5227 §3), which keep its neighbour table right; ARP probes and neighbour
//! solicitations of its own, which ask who has the address without claiming it.

use super::asm::{Assembler, Helper, If, Instruction, Label, Reg, Size};

/// Which way the packet goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// What stands before the network header on an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Link {
    /// An Ethernet header: its own type field is believed, whatever the sender told the kernel.
    Ethernet,
    /// Anything else (tun, ipip, GRE, InfiniBand): the kernel says what it is and where it begins.
    Other,
}

/// The descriptors of the maps that the program is loaded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapFds {
    pub(super) addresses: i32,
    pub(super) deadlines: i32,
    pub(super) drops: i32,
}

/// `TC_ACT_UNSPEC`, `TCX_NEXT`: whoever comes next decides.
const PASS: i32 = -1;
/// `TC_ACT_SHOT`, `TCX_DROP`.
const DROP: i32 = 2;

/// An interface of its own stands for each further tag, and is covered itself.
const INLINE_TAGS: usize = 2;
/// Enough for an outer header, an IPv6 header and a neighbour solicitation to be linear.
const LINEAR_BYTES: i32 = 128;

const ETHERNET_HEADER: i32 = 14;
const ETHERTYPE_AT: i32 = 12;
const TYPE_IPV4: u16 = 0x0800;
const TYPE_ARP: u16 = 0x0806;
const TYPE_IPV6: u16 = 0x86dd;
const TYPE_VLAN: [u16; 2] = [0x8100, 0x88a8];
const NEXT_HEADER_ICMPV6: i32 = 58;

/// Offsets in `struct __sk_buff`.
const SKB_LEN: i16 = 0;
const SKB_PROTOCOL: i16 = 16;
/// `BPF_HDR_START_NET`
const FROM_NETWORK_HEADER: i32 = 1;

/// The stack: the key (an IPv6 address, or an IPv4 one mapped into it), a slot number, and a place for what is looked at.
const KEY: i16 = -16;
const KEY_V4: i16 = KEY + 12;
const SLOT: i16 = -20;
const SCRATCH: i16 = -24;

/// What lives in the registers that survive calls.
const CONTEXT: Reg = Reg::R6;
const NETWORK: Reg = Reg::R7;
const PROTOCOL: Reg = Reg::R8;
const VARYING: Reg = Reg::R9;

/// The program for one direction and kind of interface.
pub(super) fn assemble(direction: Direction, link: Link, maps: MapFds) -> Vec<Instruction> {
    let mut asm = Assembler::default();
    let (pass, drop) = (asm.label(), asm.label());
    let mut program = Program {
        asm,
        direction,
        link,
        maps,
        pass,
        drop,
    };
    program.asm.copy(CONTEXT, Reg::R1);
    match link {
        Link::Ethernet => program.ethernet_header(),
        Link::Other => program.other_header(),
    }
    let [ipv4, arp, ipv6] = [(); 3].map(|()| program.asm.label());
    program.on_protocol(TYPE_IPV4, ipv4);
    program.on_protocol(TYPE_IPV6, ipv6);
    program.on_protocol(TYPE_ARP, arp);
    program.asm.jump(pass);
    program.asm.place(ipv4);
    program.ipv4();
    program.asm.place(arp);
    program.arp();
    program.asm.place(ipv6);
    program.ipv6();
    program.verdicts();
    program.asm.finish()
}

struct Program {
    asm: Assembler,
    direction: Direction,
    link: Link,
    maps: MapFds,
    pass: Label,
    drop: Label,
}

impl Program {
    /// Finds protocol and network header behind an Ethernet header.
    fn ethernet_header(&mut self) {
        let too_short = self.pass;
        self.asm.set(NETWORK, 0);
        self.read(ETHERTYPE_AT, 2, SCRATCH, too_short);
        self.asm.load(Size::Half, PROTOCOL, Reg::R10, SCRATCH);
        self.asm.set(NETWORK, ETHERNET_HEADER);
        let untagged = self.asm.label();
        for _ in 0..INLINE_TAGS {
            let tagged = self.asm.label();
            for kind in TYPE_VLAN {
                self.on_protocol(kind, tagged);
            }
            self.asm.jump(untagged);
            self.asm.place(tagged);
            self.read(2, 2, SCRATCH, too_short);
            self.asm.load(Size::Half, PROTOCOL, Reg::R10, SCRATCH);
            self.asm.add(NETWORK, 4);
        }
        self.asm.place(untagged);
    }

    /// Takes protocol and network header from the kernel, and makes the headers linear, as reading
    /// relative to the network header asks for.
    fn other_header(&mut self) {
        let short = self.asm.label();
        self.asm.load(Size::Word, PROTOCOL, CONTEXT, SKB_PROTOCOL);
        self.asm.copy(Reg::R1, CONTEXT);
        self.asm.load(Size::Word, Reg::R2, CONTEXT, SKB_LEN);
        self.asm.jump_if(Reg::R2, If::Less, LINEAR_BYTES, short);
        self.asm.set(Reg::R2, LINEAR_BYTES);
        self.asm.place(short);
        self.asm.call(Helper::SkbPullData);
        self.asm.set(NETWORK, 0);
    }

    fn on_protocol(&mut self, kind: u16, label: Label) {
        self.asm
            .jump_if(PROTOCOL, If::Equal, i32::from(kind.to_be()), label);
    }

    fn ipv4(&mut self) {
        let address = match self.direction {
            Direction::Ingress => 16,
            Direction::Egress => 12,
        };
        self.key_is_ipv4();
        self.read(address, 4, KEY_V4, self.drop);
        self.judge();
        self.asm.jump(self.pass);
    }

    /// RFC 826: the addresses stand behind hardware addresses whose length is in the header.
    fn arp(&mut self) {
        const HARDWARE_LENGTH_AT: i32 = 4;
        self.key_is_ipv4();
        self.read(HARDWARE_LENGTH_AT, 1, SCRATCH, self.drop);
        self.asm.load(Size::Byte, VARYING, Reg::R10, SCRATCH);
        self.asm.add_reg(NETWORK, VARYING);
        match self.direction {
            Direction::Egress => self.read(8, 4, KEY_V4, self.drop),
            Direction::Ingress => {
                self.read(8, 4, SCRATCH, self.drop);
                self.asm.add_reg(NETWORK, VARYING);
                self.read(12, 4, KEY_V4, self.drop);
                self.asm.load(Size::Word, Reg::R1, Reg::R10, SCRATCH);
                self.asm.load(Size::Word, Reg::R2, Reg::R10, KEY_V4);
                self.asm.jump_if_reg(Reg::R1, If::Equal, Reg::R2, self.pass);
            }
        }
        self.judge();
        self.asm.jump(self.pass);
    }

    /// RFC 4861 §4.3, §4.4: solicitation and advertisement carry their target 8 bytes into the message.
    fn ipv6(&mut self) {
        const NEXT_HEADER_AT: i32 = 6;
        const ICMPV6_AT: i32 = 40;
        let (address, message) = match self.direction {
            Direction::Ingress => (24, 135),
            Direction::Egress => (8, 136),
        };
        self.read(address, 16, KEY, self.drop);
        self.judge();
        self.read(NEXT_HEADER_AT, 1, SCRATCH, self.drop);
        self.asm.load(Size::Byte, Reg::R1, Reg::R10, SCRATCH);
        self.asm
            .jump_if(Reg::R1, If::NotEqual, NEXT_HEADER_ICMPV6, self.pass);
        self.read(ICMPV6_AT, 1, SCRATCH, self.drop);
        self.asm.load(Size::Byte, Reg::R1, Reg::R10, SCRATCH);
        self.asm.jump_if(Reg::R1, If::NotEqual, message, self.pass);
        self.read(ICMPV6_AT + 8, 16, KEY, self.drop);
        self.judge();
        self.asm.jump(self.pass);
    }

    /// Copies bytes at `NETWORK + offset` to the stack, wherever in the packet's pages they lie.
    fn read(&mut self, offset: i32, length: i32, to: i16, too_short: Label) {
        self.asm.copy(Reg::R1, CONTEXT);
        self.asm.copy(Reg::R2, NETWORK);
        self.asm.add(Reg::R2, offset);
        self.asm.copy(Reg::R3, Reg::R10);
        self.asm.add(Reg::R3, i32::from(to));
        self.asm.set(Reg::R4, length);
        match self.link {
            Link::Ethernet => self.asm.call(Helper::SkbLoadBytes),
            Link::Other => {
                self.asm.set(Reg::R5, FROM_NETWORK_HEADER);
                self.asm.call(Helper::SkbLoadBytesRelative);
            }
        }
        self.asm.jump_if(Reg::R0, If::NotEqual, 0, too_short);
    }

    /// Fills the part of the key that stands before a mapped IPv4 address (RFC 4291 §2.5.5.2).
    fn key_is_ipv4(&mut self) {
        self.asm.store_value(Size::Double, Reg::R10, KEY, 0);
        let mapped = i32::from_ne_bytes([0, 0, 0xff, 0xff]);
        self.asm.store_value(Size::Word, Reg::R10, KEY + 8, mapped);
    }

    /// Drops unless the key is no guarded address or its group's deadline is ahead; falls through otherwise.
    fn judge(&mut self) {
        let fine = self.asm.label();
        self.look_up(self.maps.addresses, KEY);
        self.asm.jump_if(Reg::R0, If::Equal, 0, fine);
        self.asm.load(Size::Word, Reg::R1, Reg::R0, 0);
        self.asm.store(Size::Word, Reg::R10, SLOT, Reg::R1);
        self.look_up(self.maps.deadlines, SLOT);
        self.asm.jump_if(Reg::R0, If::Equal, 0, self.drop);
        self.asm.load(Size::Double, VARYING, Reg::R0, 0);
        self.asm.call(Helper::KtimeGetBootNs);
        self.asm.jump_if_reg(Reg::R0, If::Less, VARYING, fine);
        self.asm.jump(self.drop);
        self.asm.place(fine);
    }

    fn look_up(&mut self, map: i32, key: i16) {
        self.asm.map(Reg::R1, map);
        self.asm.copy(Reg::R2, Reg::R10);
        self.asm.add(Reg::R2, i32::from(key));
        self.asm.call(Helper::MapLookup);
    }

    /// Where every path ends.
    fn verdicts(&mut self) {
        let counted = self.asm.label();
        self.asm.place(self.pass);
        self.asm.exit(PASS);
        self.asm.place(self.drop);
        self.asm
            .store_value(Size::Word, Reg::R10, SLOT, self.direction as i32);
        self.look_up(self.maps.drops, SLOT);
        self.asm.jump_if(Reg::R0, If::Equal, 0, counted);
        self.asm.set(Reg::R1, 1);
        self.asm.atomic_add(Reg::R0, 0, Reg::R1);
        self.asm.place(counted);
        self.asm.exit(DROP);
    }
}
