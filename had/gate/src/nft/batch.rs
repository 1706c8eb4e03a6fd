//! Transactions: everything in a batch happens, or nothing of it (`linux/netfilter/nfnetlink.h`).

use std::io;

use crate::netlink::{
    Attributes, Channel, Message, Messages, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST,
};

/// What is done to what (`enum nf_tables_msg_types`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(super) enum Verb {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    GetChain = 4,
    DeleteChain = 5,
    NewRule = 6,
    DeleteRule = 8,
    NewSet = 9,
    NewElements = 12,
    DeleteElements = 14,
    NewObject = 18,
    GetObject = 19,
}

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const FAMILY_NETDEV: u8 = 5;
/// The attribute that names the table is 1 in every kind of message.
pub(super) const TABLE_NAME: u16 = 1;
/// `struct nfgenmsg`
const GENERIC: [u8; 4] = [FAMILY_NETDEV, 0, 0, 0];
/// Room for a few hundred interfaces and two thousand addresses in one transaction.
const SEND_BYTES: i32 = 1 << 20;

/// A socket to nftables, for one table.
pub(super) struct Nftables {
    channel: Channel,
    messages: Messages,
    table: String,
}

impl Nftables {
    pub(super) fn new(table: String) -> io::Result<Self> {
        let channel = Channel::new(libc::NETLINK_NETFILTER as isize)?;
        channel.room_to_send(SEND_BYTES);
        Ok(Self {
            channel,
            messages: Messages::default(),
            table,
        })
    }

    /// Which table, and the port under which notifications name this socket.
    pub(super) fn identity(&self) -> (&str, u32) {
        (&self.table, self.channel.port())
    }

    /// One transaction. After the first use with as many elements, nothing is allocated.
    pub(super) fn transact(&mut self, fill: impl FnOnce(&mut Batch<'_>)) -> io::Result<()> {
        let Self {
            channel,
            messages,
            table,
        } = self;
        messages.clear();
        let first = channel.next_sequence();
        let [high, low] = SUBSYSTEM.to_be_bytes();
        let nftables = [0, 0, high, low];
        messages.add(BATCH_BEGIN, NLM_F_REQUEST, first, &nftables, |_| {});
        let mut batch = Batch {
            messages,
            channel,
            table,
            last: first,
        };
        fill(&mut batch);
        let last = batch.last;
        messages.flag_last(NLM_F_ACK);
        let end = channel.next_sequence();
        messages.add(BATCH_END, NLM_F_REQUEST, end, &nftables, |_| {});
        channel.exchange(messages, first, last)
    }

    /// Asks for one thing; `None` where it does not exist.
    pub(super) fn get(
        &mut self,
        verb: Verb,
        body: impl FnOnce(&mut Messages),
        mut each: impl FnMut(Attributes<'_>),
    ) -> io::Result<Option<()>> {
        let Self { channel, table, .. } = self;
        let body = |m: &mut Messages| {
            m.text(TABLE_NAME, table);
            body(m);
        };
        match channel.query(kind(verb), &GENERIC, body, |message| each(read(message))) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Asks for everything of a kind in this table.
    pub(super) fn list(
        &mut self,
        verb: Verb,
        mut each: impl FnMut(Attributes<'_>),
    ) -> io::Result<()> {
        let Self { channel, table, .. } = self;
        let body = |m: &mut Messages| m.text(TABLE_NAME, table);
        channel.dump(kind(verb), &GENERIC, body, |message| {
            let attributes = read(message);
            if attributes.text(TABLE_NAME) == Some(table) {
                each(attributes);
            }
        })
    }
}

/// A transaction that is being filled.
pub(super) struct Batch<'a> {
    messages: &'a mut Messages,
    channel: &'a mut Channel,
    table: &'a str,
    last: u32,
}

impl Batch<'_> {
    /// Makes something in the table.
    pub(super) fn create(&mut self, verb: Verb, body: impl FnOnce(&mut Messages)) {
        self.add(verb, NLM_F_CREATE, body);
    }

    /// Makes something at the end of a list.
    pub(super) fn append(&mut self, verb: Verb, body: impl FnOnce(&mut Messages)) {
        const NLM_F_APPEND: u16 = 0x800;
        self.add(verb, NLM_F_CREATE | NLM_F_APPEND, body);
    }

    /// Takes something away; where it is missing, the transaction fails.
    pub(super) fn delete(&mut self, verb: Verb, body: impl FnOnce(&mut Messages)) {
        self.add(verb, 0, body);
    }

    fn add(&mut self, verb: Verb, flags: u16, body: impl FnOnce(&mut Messages)) {
        self.last = self.channel.next_sequence();
        let table = self.table;
        self.messages.add(
            kind(verb),
            flags | NLM_F_REQUEST,
            self.last,
            &GENERIC,
            |m| {
                m.text(TABLE_NAME, table);
                body(m);
            },
        );
    }
}

/// The attributes of a message of nftables.
pub(super) fn read<'a>(message: &Message<'a>) -> Attributes<'a> {
    message.attributes(GENERIC.len())
}

/// Whether a message speaks of nftables at all.
pub(super) fn is_nftables(message: &Message<'_>) -> bool {
    message.kind >> 8 == SUBSYSTEM
}

fn kind(verb: Verb) -> u16 {
    SUBSYSTEM << 8 | verb as u16
}
